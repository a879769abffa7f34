import { randomBytes } from 'node:crypto'
import { formatAddress, type Address } from '../base/address.ts'
import { createByteRing } from '../base/byte-ring.ts'
import { systemClock } from '../base/clock.ts'
import { within } from '../base/within.ts'
import { errorText } from '../base/error-text.ts'
import { trimMemory } from '../base/native-memory.ts'
import type { Config } from '../config/config.ts'
import type { Levels } from '../observe/metrics/builtin.ts'
import type { Format } from '../observe/metrics/negotiate.ts'
import type { CdrPipeline } from '../observe/cdr/pipeline.ts'
import type { HepExporter } from '../observe/hep/exporter.ts'
import { Supervisor } from '../script/supervisor.ts'
import type { TlsMaterial } from '../net/tls.ts'
import type { MetricsMessage } from '../metrics/messages.ts'
import { performControl } from '../script/conversation.ts'
import type { LogLine } from '../spine/facts.ts'
import { RegistrationStore } from '../store/registration-store.ts'
import { adminPort } from './admin-port.ts'
import { CertificateKeeper, readTls } from './certificates.ts'
import type { EngineLevels, FromEngine } from './conversation.ts'
import { drain } from './drain.ts'
import type { EngineLink } from './engine-link.ts'
import { EngineWorker } from './engine-worker.ts'
import { createCdrPipeline, createHepExporter, TRACE_RING_BYTES } from './exporters.ts'
import { handlerSettings } from './handler-settings.ts'
import { levelsOf } from './levels.ts'
import { NodeMetrics } from './node-metrics.ts'
import { engineStart } from './settings.ts'
import { StartError } from './start-error.ts'
import { startTidying, v8Heap, type Tidying } from './tidy.ts'
import { startWeb, type Web } from './web.ts'

export type ServerState = 'starting' | 'ready' | 'draining' | 'stopped'

export interface ServerOptions {
  readonly config: Config
  readonly version: string
  readonly log: (line: LogLine) => void
  /** The engine thread ended by itself: nothing works any more. Called at most once. */
  readonly onCrash: (why: string) => void
}

/** Where a running server can be reached. */
export interface ServerAddresses {
  readonly sip: readonly { readonly protocol: string; readonly address: Address }[]
  readonly metrics: string | null
  readonly admin: string | null
}

/** What the exporters get after the last call to deliver what they hold, ms. */
const FLUSH_MS = 5_000
/** Each step of an end at once, ms: a try, not a wait. */
const ABANDON_MS = 300
/** What stopping the collectors may take then: it is more than a moment only where a disk does not answer, ms. */
const ABANDON_CLOSE_MS = 3_000

/**
 * The control thread's half of SIPhon: starts the engine and the handlers, serves HTTP, writes records, trace and log,
 * and takes the node out of service in order.
 */
export class Server {
  readonly #config: Config
  readonly #log: (line: LogLine) => void
  readonly #version: string
  readonly #onCrash: (why: string) => void
  readonly #ring: SharedArrayBuffer | null
  readonly #heartbeat = new SharedArrayBuffer(8)
  readonly #metrics: NodeMetrics
  readonly #cdr: CdrPipeline | null
  readonly #hep: HepExporter | null
  readonly #store: RegistrationStore | null
  readonly #started = performance.now()
  readonly #tidying: Tidying
  #engine: EngineWorker | null = null
  #link: EngineLink | null = null
  #supervisor: Supervisor | null = null
  #certificates: CertificateKeeper | null = null
  #closers: (() => Promise<void>)[] = []
  #state: ServerState = 'starting'
  #ending: Promise<void> | null = null

  constructor(options: ServerOptions) {
    const { config, version, log } = options
    this.#config = config
    this.#log = log
    this.#version = version
    this.#onCrash = options.onCrash
    this.#ring = config.tracing.hep ? createByteRing(TRACE_RING_BYTES) : null
    this.#metrics = new NodeMetrics({
      version,
      maxSeries: config.metrics.max_series,
      sharedBytes: this.#ring?.byteLength ?? 0,
      levels: () => this.#levels(),
    })
    // This thread carries no call. A worker's pages are kept for the next one until somebody collects, as is what it had of malloc.
    this.#tidying = startTidying(
      systemClock,
      () => true,
      v8Heap(() => trimMemory?.()),
    )
    this.#closers.push(async () => {
      this.#metrics.close()
      this.#tidying.stop()
    })
    const say = (level: LogLine['level'], text: string): void => this.say(level, 'export', text)
    this.#cdr = createCdrPipeline(config, systemClock, say)
    const { backend, sqlite } = config.registrar
    if (backend === 'sqlite') {
      const log = (level: LogLine['level'], text: string): void => this.say(level, 'registrar', text)
      this.#store = new RegistrationStore({ path: sqlite.path, log, wallTime: systemClock.wallTime })
    } else this.#store = null
    this.#hep = createHepExporter(config, this.#ring, systemClock, say)
  }

  get state(): ServerState {
    return this.#state
  }

  say(level: LogLine['level'], module: string, text: string): void {
    this.#log({ level, module, text, fields: null, at: systemClock.wallTime() })
  }

  /**
   * Resolves when calls are taken.
   * @throws StartError when a listener cannot be had or the script does not load; nothing is left running then
   */
  async start(): Promise<ServerAddresses> {
    try {
      const web = await this.#startWeb()
      await this.#cdr?.start()
      this.#hep?.start()
      this.#store?.open()
      await this.#startEngine(this.#readCertificates())
      await this.#restore()
      await this.#certificates?.start()
      await this.#startScript()
      // The sockets open last: whoever gets through to us finds a script that serves.
      const sip = await this.#listen()
      this.#state = 'ready'
      this.say(
        'info',
        'server',
        `ready on ${sip.map((l) => `${l.protocol} ${formatAddress(l.address)}`).join(', ')}`,
      )
      return { sip, ...web }
    } catch (error) {
      await this.stopNow()
      throw error
    }
  }

  /** Loads the script and the certificates anew; the old ones serve on when that fails. */
  async reload(): Promise<void> {
    await Promise.all([this.#supervisor?.reload(), this.#certificates?.reload()])
  }

  /** Opens files anew after they were moved away. */
  reopen(): void {
    this.#cdr?.reopen()
  }

  /**
   * Takes the node out of service and resolves when everything that was promised is kept.
   * @param waitFor `calls`: transactions that have been answered and only wait for repetitions may be cut off; for
   * callers who are known to have gone
   */
  async drain(waitFor: 'transactions' | 'calls' = 'transactions'): Promise<void> {
    this.#state = 'draining'
    const link = this.#link
    if (!link) return this.stopNow()
    const { lame_duck_secs, drain_secs } = this.#config.server
    this.say(
      'info',
      'server',
      `draining: new calls for ${lame_duck_secs} s more, at most ${drain_secs} s after that`,
    )
    const left = await drain(
      {
        refuseCalls: async (retryAfterSecs) => void (await link.ask('refuseCalls', { retryAfterSecs })),
        endCalls: () => link.ask('endCalls', null),
        busy: () => (waitFor === 'calls' ? callsOf(link) : link.ask('busy', null)),
        lingers: async () => waitFor === 'transactions' && lingering(await link.ask('levels', null)),
      },
      { clock: systemClock, lameDuckMs: lame_duck_secs * 1000, drainMs: drain_secs * 1000 },
    )
    if (left > 0)
      this.say('warn', 'server', `${left} transactions and dialogs are cut off by the end of the drain`)
    await link.ask('stop', null)
    return this.stopNow()
  }

  /** Ends everything now, but for what the exporters hold: they get a few seconds to deliver it. */
  stopNow(): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }

  /**
   * Ends at once, whatever still lives: calls that are up get their records, and what collectors have not taken goes to
   * the spool. Takes a moment, and seconds where a disk does not answer. Nothing else is closed: the process is to be
   * ended after it.
   */
  async abandon(): Promise<void> {
    const cut = this.#link?.ask('cutRecords', null) ?? Promise.resolve()
    await within(systemClock, ABANDON_MS, cut)
    await this.#cdr?.flush(ABANDON_MS)
    await within(systemClock, ABANDON_CLOSE_MS, this.#cdr?.close() ?? Promise.resolve())
  }

  async #end(): Promise<void> {
    // Before the first call there is nothing to deliver.
    const served = this.#state !== 'starting'
    this.#state = 'stopped'
    if (served) await this.#flush()
    await this.#close()
  }

  async #flush(): Promise<void> {
    const [hep, cdr] = await Promise.all([
      this.#hep?.flush(FLUSH_MS) ?? true,
      this.#cdr?.flush(FLUSH_MS) ?? true,
    ])
    if (!hep) this.say('warn', 'export', 'the trace collector did not take everything in time')
    if (!cdr) this.say('warn', 'export', 'a record collector did not take everything in time')
  }

  async #close(): Promise<void> {
    const engine = this.#engine
    this.#engine = null
    this.#certificates?.close()
    await this.#supervisor?.close()
    await engine?.end()
    this.#store?.close()
    this.#hep?.close()
    await this.#cdr?.close()
    await Promise.all(this.#closers.map((close) => close()))
  }

  #startWeb(): Promise<Web> {
    const port = adminPort({
      link: () => this.#link,
      state: () => this.#state,
      scriptUp: () => this.#supervisor?.up ?? false,
      heartbeat: this.#heartbeat,
      uptimeSeconds: () => (performance.now() - this.#started) / 1000,
    })
    const options = {
      config: this.#config,
      version: this.#version,
      port,
      render: (format: Format) => this.#metrics.render(format),
      onFault: (what: string, error: unknown) => this.say('error', 'http', `${what}: ${errorText(error)}`),
    }
    return startWeb(options, (close) => void this.#closers.push(close))
  }

  async #levels(): Promise<Levels> {
    const engine = await this.#link?.ask('levels', null).catch(() => null)
    const shown = this.#certificates?.shown.map((c) => [c.serverName, c.notAfter] as const)
    return levelsOf(engine ?? null, this.#cdr, this.#hep, this.#store, shown)
  }

  /** The secret of the configuration, of the file, or a new one. */
  #secret(): Uint8Array {
    const { secret } = this.#config.registrar
    const draw = (): Uint8Array => randomBytes(32)
    return secret === null ? (this.#store?.secret(draw) ?? draw()) : Buffer.from(secret)
  }

  /** Registrations of the last run go back before the first listener opens. */
  async #restore(): Promise<void> {
    const store = this.#store
    const link = this.#link
    if (!store || !link) return
    for (const rows of store.load()) store.restored(await link.ask('restore', rows))
    this.say('info', 'registrar', `restored ${store.levels().restored} registrations`)
  }

  async #listen(): Promise<ServerAddresses['sip']> {
    const link = this.#link
    if (!link) throw new StartError('the engine has stopped')
    try {
      const listeners = await link.ask('listen', null)
      this.#metrics.udp = listeners.filter((l) => l.protocol === 'udp').map((l) => l.address)
      return listeners
    } catch (error) {
      throw new StartError(error instanceof Error ? error.message : String(error))
    }
  }

  /** Before the engine, which starts with what is read here. */
  #readCertificates(): TlsMaterial | null {
    const { tls } = this.#config
    if (tls === null) return null
    const first = readTls(tls)
    if (!first.ok) {
      const faults = first.faults.map(({ path, what, instead }) => `${path.join('.')} ${what}; ${instead}`)
      throw new StartError(faults.join('\n'))
    }
    this.#certificates = new CertificateKeeper({
      config: tls,
      first,
      use: (material) => this.#link?.ask('useTls', material) ?? Promise.resolve(),
      say: (level, text) => this.say(level, 'tls', text),
    })
    return first.material
  }

  #startEngine(tls: TlsMaterial | null): Promise<void> {
    const start = engineStart(this.#config, this.#version, {
      metrics: this.#metrics.shared,
      trace: this.#ring,
      heartbeat: this.#heartbeat,
      secret: this.#secret(),
      tls,
    })
    const engine = new EngineWorker(start, {
      onMessage: (message) => this.#receive(message),
      onEnd: (why) => {
        if (this.#engine === engine) this.#onCrash(why)
      },
    })
    this.#engine = engine
    this.#metrics.reader.attach('engine')
    this.#link = engine.link
    return engine.up
  }

  #receive(message: FromEngine): void {
    switch (message.what) {
      case 'facts':
        for (const record of message.batch.records) this.#cdr?.accept(record)
        for (const line of message.batch.lines) this.#log(line)
        if (message.batch.bindings.length > 0) this.#store?.accept(message.batch.bindings)
        return
      case 'metrics':
        return this.#metrics.reader.receive('engine', message.message)
      case 'pool':
        if (this.#supervisor) performControl(message.message, this.#supervisor)
        return
      default:
    }
  }

  async #startScript(): Promise<void> {
    const { script } = this.#config
    const supervisor = new Supervisor({
      script: script.path,
      reload: script.reload,
      poolSize: script.sync_pool_size,
      handlersPerWorker: script.handlers_per_worker,
      memoryLimitMb: script.memory_limit_mb,
      settings: handlerSettings(this.#config),
      threadSetup: new URL('./handler-setup.ts', import.meta.url).href,
      metrics: this.#metrics.shared,
      toEngine: (message, transfer) => this.#engine?.post({ what: 'script', message }, [...transfer]),
      onLog: this.#log,
      onMetrics: (thread, message) => this.#metrics.reader.receive(thread, message as MetricsMessage),
      onThread: (thread, moved) => {
        if (moved === 'up') return this.#metrics.reader.attach(thread)
        this.#tidying.expect()
        return this.#metrics.reader.detach(thread)
      },
      onMetricNames: (names) => this.#metrics.reader.retireAllBut(names),
    })
    this.#supervisor = supervisor
    const loaded = await supervisor.start()
    if (loaded.ok) return
    const { what, where } = loaded.fault
    throw new StartError(`${where ?? script.path}: ${what}`, loaded.fault)
  }
}

function lingering({ transactions }: EngineLevels): boolean {
  return Object.values(transactions).some((count) => count > 0)
}

async function callsOf(link: EngineLink): Promise<number> {
  const { callsActive, proxyDialogSessions } = await link.ask('levels', null)
  return callsActive + proxyDialogSessions
}
