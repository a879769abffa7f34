import type { Address, Path } from '../base/address.ts'
import { ByteRingWriter } from '../base/byte-ring.ts'
import type { Clock } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import { CallTracker, type CallView } from '../core/calls.ts'
import { Dispatch } from '../core/dispatch.ts'
import { ProxyCore } from '../core/proxy-core.ts'
import { ProxyDialogs } from '../core/proxy-dialogs.ts'
import { RegistrarCore } from '../core/registrar-core.ts'
import type { MetricsMessage } from '../metrics/messages.ts'
import { MetricsWriter } from '../metrics/writer.ts'
import { HostResolver } from '../net/resolve.ts'
import { CdrTap } from '../observe/cdr/tap.ts'
import { HepTap } from '../observe/hep/tap.ts'
import { attachLogTap } from '../observe/log/tap.ts'
import { attachMetricsTap } from '../observe/metrics/tap.ts'
import { startThreadProbe } from '../observe/metrics/probe.ts'
import type { HostControlPort } from '../script/conversation.ts'
import { ScriptHost } from '../script/host.ts'
import type { LogLine } from '../spine/facts.ts'
import { createSpine } from '../spine/spine.ts'
import { TransactionLayer } from '../stack/transaction-layer.ts'
import { TransportLayer } from '../stack/transport-layer.ts'
import type { CallRow, EngineLevels, EngineStart, Question, Questions } from './conversation.ts'
import { listenFault } from './listen-fault.ts'
import type { Outbox } from './outbox.ts'
import { Outgoing } from './outgoing.ts'

export interface EngineWorld {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly outbox: Outbox
  readonly pool: HostControlPort
  readonly onMetrics: (message: MetricsMessage) => void
}

/** What the engine thread is made of, and how it answers the control thread. Knows no thread itself. */
export class Engine {
  readonly host: ScriptHost
  readonly #start: EngineStart
  readonly #clock: Clock
  readonly #outbox: Outbox
  readonly #transport: TransportLayer
  readonly #transactions: TransactionLayer
  readonly #registrar: RegistrarCore
  readonly #dispatch: Dispatch
  readonly #dialogs: ProxyDialogs
  readonly #calls: CallTracker
  readonly #outgoing: Outgoing
  readonly #closers: (() => void)[] = []

  constructor(start: EngineStart, world: EngineWorld) {
    const { clock, identifiers, outbox } = world
    this.#start = start
    this.#clock = clock
    this.#outbox = outbox
    const spine = createSpine((channel, error) => {
      const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
      outbox.line(line(clock, 'error', `a listener of ${channel} failed: ${what}`))
    })
    this.#transport = new TransportLayer({
      clock,
      identifiers,
      spine,
      onMessage: (message, flow) => this.#transactions.onMessage(message, flow),
      onFlowClosed: (flow, error) => this.#transactions.onFlowClosed(flow, error),
    })
    const domains = new Set(start.domains)
    const own = {
      isOurs: (host: string, port: number | null) => this.#transport.isOurs(host, port),
      isLocalDomain: (host: string) => domains.has(host),
    }
    this.#registrar = new RegistrarCore({
      clock,
      identifiers,
      spine,
      rules: start.registrar,
      isLocal: (host) => domains.has(host),
    })
    const resolver = new HostResolver(() => clock.now())
    this.#outgoing = new Outgoing(
      start.outgoing,
      {
        clock,
        identifiers,
        spine,
        transport: this.#transport,
        layer: () => this.#transactions,
        resolver,
        userAgent: start.userAgent,
      },
      () => this.host.generation,
    )
    this.host = new ScriptHost({
      clock,
      spine,
      location: this.#registrar,
      services: this.#outgoing.services,
      limits: start.script,
      control: world.pool,
      batchMs: 1,
    })
    this.#calls = new CallTracker({ clock, identifiers, spine })
    this.#dialogs = new ProxyDialogs({ clock })
    const proxy = new ProxyCore({
      clock,
      identifiers,
      transport: this.#transport,
      layer: () => this.#transactions,
      router: this.host,
      own,
      resolver,
      // Without a connection there is none to be found.
      flowFor: (uri, called) =>
        this.#transport.connections.tcp === 0
          ? undefined
          : (this.#registrar.flowFor(uri, called) ?? undefined),
      timerCMs: start.timerCMs,
      gateways: this.#outgoing.gateways,
    })
    this.#dispatch = new Dispatch({
      clock,
      identifiers,
      spine,
      transport: this.#transport,
      router: this.host,
      own,
      proxy,
      registrar: this.#registrar,
      calls: this.#calls,
      dialogs: this.#dialogs,
    })
    this.#transactions = new TransactionLayer({
      clock,
      identifiers,
      spine,
      transport: this.#transport,
      user: this.#dispatch,
    })

    const writer = new MetricsWriter({
      thread: 'engine',
      shared: start.metrics,
      post: world.onMetrics,
      origin: 'builtin',
    })
    attachMetricsTap(spine, writer, { transports: [...new Set(start.listeners.map((l) => l.protocol))] })
    const probe = startThreadProbe(writer, clock)
    this.#outgoing.addGroups(start.outgoing.gateways)
    attachLogTap(spine, clock, (l) => outbox.line(l))
    if (start.trace) {
      const ownAddress = (path: Path): Address => this.#transport.advertised(path)
      new HepTap({ spine, ring: new ByteRingWriter(start.trace), ownAddress })
    }
    if (start.cdr.enabled) {
      new CdrTap({ spine, identifiers, policy: start.cdr, push: (record) => outbox.record(record) })
    }
    this.#closers.push(() => probe.stop())
  }

  async #listen(): Promise<readonly { protocol: string; address: Address }[]> {
    const addresses: { protocol: string; address: Address }[] = []
    for (const options of this.#start.listeners) {
      const { protocol, address } = options
      try {
        addresses.push({ protocol, address: await this.#transport.listen(options) })
      } catch (error) {
        throw new Error(listenFault(`listen.${protocol}`, address, error), { cause: error })
      }
    }
    this.#outgoing.startProbes()
    return addresses
  }

  /** Answers a question of the control thread. */
  async answer<Q extends Question>(
    question: Q,
    argument: Questions[Q]['ask'],
  ): Promise<Questions[Q]['answer']> {
    const answers: { [K in Question]: (argument: Questions[K]['ask']) => Answer<K> } = {
      listen: () => this.#listen(),
      levels: () => this.#levels(),
      registrations: ({ cursor, limit }) => this.#registrar.page(cursor, limit),
      registration: (aor) => this.#registrar.contactsOf(aor),
      removeRegistration: (aor) => this.#registrar.remove(aor),
      calls: ({ cursor, limit }) => this.#callPage(cursor, limit),
      call: (id) => this.#calls.find(id) !== undefined,
      gateways: () => this.#outgoing.gateways.rows(),
      markGateway: ({ group, destination, to }) => this.#markGateway(group, destination, to),
      refuseCalls: ({ retryAfterSecs }) => {
        this.#dispatch.drain(retryAfterSecs)
        return null
      },
      busy: () => this.#transactions.pending + this.#dialogs.size,
      stop: () => this.#stop(),
    }
    return answers[question](argument)
  }

  /** A fault of ours is about to end the thread: every open call gets its record, and what waits is told. */
  salvage(): void {
    try {
      this.#calls.closeAll('server')
    } finally {
      this.#outbox.flush()
    }
  }

  #levels(): EngineLevels {
    const { host } = this
    const { gateways, requests, timers, caches } = this.#outgoing
    timers.enter(host.generation)
    return {
      transactions: this.#transactions.counts,
      connections: this.#transport.connections,
      proxyDialogSessions: this.#dialogs.size,
      callsActive: this.#calls.active,
      cdrSessions: this.#cdrSessions(),
      registrations: this.#registrar.registrations,
      ownRequestsPending: requests.pending,
      scriptTimers: timers.size,
      caches: [...caches.values()].map(({ name, size, evicted }) => ({ name, entries: size, evicted })),
      gateways: gateways
        .rows()
        .flatMap(({ name, destinations }) =>
          destinations.map((d) => ({ group: name, destination: d.name, up: d.state === 'up' })),
        ),
      pool: {
        size: host.size,
        max: host.max,
        inflight: host.inflight,
        queued: host.queued,
        generation: host.generation,
      },
    }
  }

  #cdrSessions(): number {
    const { enabled, autoEmit } = this.#start.cdr
    if (!enabled) return 0
    return autoEmit ? this.#calls.records : this.#calls.requestedRecords
  }

  #markGateway(group: string, destination: string, to: 'up' | 'down'): Questions['markGateway']['answer'] {
    const { gateways } = this.#outgoing
    if (gateways.get(group) === undefined) return { unknown: 'group' }
    const name = gateways.mark(group, destination, to)
    return name === null ? { unknown: 'destination' } : { destination: name }
  }

  #callPage(cursor: string | null, limit: number): { rows: CallRow[]; next: string | null } {
    const { views, next } = this.#calls.page(cursor, limit)
    return { rows: views.map((view) => this.#callRow(view)), next }
  }

  #callRow(view: CallView): CallRow {
    return {
      id: view.id,
      callId: view.callId,
      state: view.state === 'setup' ? 'calling' : 'answered',
      fromUri: view.fromUri,
      toUri: view.toUri,
      destination: view.destination,
      sinceSeconds: Math.max(0, (this.#clock.wallTime() - view.startedAt) / 1000),
    }
  }

  async #stop(): Promise<null> {
    this.#dispatch.close()
    this.#outgoing.close()
    this.#transactions.close()
    this.host.close()
    this.#registrar.close()
    await this.#transport.close()
    for (const close of this.#closers) close()
    this.#outbox.flush()
    return null
  }
}

type Answer<Q extends Question> = Questions[Q]['answer'] | Promise<Questions[Q]['answer']>

function line(clock: Clock, level: LogLine['level'], text: string): LogLine {
  return { level, module: 'engine', text, fields: null, at: clock.wallTime() }
}
