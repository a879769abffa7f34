import { resolve } from 'node:path'
import type { MessagePort } from 'node:worker_threads'
import type { LogLine } from '../spine/facts.ts'
import type { HandlerSettings, HostControlPort, HostMessage, Manifest, ScriptFault } from './conversation.ts'
import { doubtsOf, takesRequests } from './doubts.ts'
import { HandlerWorker, type Loaded } from './handler-worker.ts'
import { FileWatch } from '../base/file-watch.ts'
import { Presence } from './presence.ts'

export interface SupervisorOptions {
  readonly script: string
  /** `auto`: load anew whenever the script or a file that it imports changes. */
  readonly reload: 'auto' | 'sighup'
  /** Workers that a generation starts with. */
  readonly poolSize: number
  /** As in `HostLimits`. */
  readonly handlersPerWorker: number
  /** Megabytes of heap for each worker, and as much of buffers outside it. 256 unless told. */
  readonly memoryLimitMb?: number
  /** Milliseconds a script may take to load. 10,000 unless told. */
  readonly loadTimeoutMs?: number
  /** `MetricsShared`, for the metrics of scripts. */
  readonly metrics: unknown
  /** For the APIs of scripts. None unless told. */
  readonly settings?: HandlerSettings
  /** URL of a module (`ThreadSetup`) that every handler thread runs before the script. */
  readonly threadSetup?: string
  /** To `hostReceiver` on the engine thread, in order, with the ports transferred. */
  readonly toEngine: (message: HostMessage, transfer: readonly MessagePort[]) => void
  readonly onLog: (line: LogLine) => void
  /** For the metrics reader: `attach` at 'up', `receive`, `detach` at 'down'. */
  readonly onMetrics: (thread: string, message: unknown) => void
  readonly onThread: (thread: string, moved: 'up' | 'down') => void
  /** A load has ended, well or not: these metrics are the serving script's, and all others nobody's. */
  readonly onMetricNames: (names: ReadonlySet<string>) => void
}

export type LoadResult =
  | { readonly ok: true; readonly generation: number; readonly manifest: Manifest }
  | { readonly ok: false; readonly fault: ScriptFault }

/** Losses within this time make the next start wait. Milliseconds. */
const LOSS_WINDOW_MS = 10_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 30_000
/** How often memory outside the heap is looked at. Milliseconds. */
const MEMORY_LOOK_MS = 500

/**
 * The control thread's end of the handler pool: starts and ends worker threads, loads scripts, watches them.
 *
 * A script serves when every worker of a new generation has loaded it without an error; until then, and when it
 * fails, the generation before goes on. Workers that die are started again, after growing pauses when they keep dying.
 */
export class Supervisor implements HostControlPort {
  readonly #options: SupervisorOptions
  readonly #script: string
  readonly #watch: FileWatch
  readonly #workers = new Map<number, HandlerWorker>()
  readonly #pauses = new Set<NodeJS.Timeout>()
  /** Workers of the serving generation that are alive. */
  readonly #presence = new Presence(() => performance.now())
  /** Names of metrics that serving scripts have declared, and those of each thread. */
  #metricNames = new Set<string>()
  readonly #declared = new Map<string, Set<string>>()
  #generation = 0
  /** The serving script takes requests. */
  #heard = false
  #lastId = 0
  #losses: number[] = []
  #refusals = 0
  #loading: Promise<LoadResult> | null = null
  #next: Promise<LoadResult> | null = null
  #memoryLook: NodeJS.Timeout | null = null
  #closed = false
  #emptied: () => void = () => {}

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#script = resolve(options.script)
    this.#watch = new FileWatch((file) => {
      this.#say('info', `${file} has changed`)
      void this.reload()
    })
  }

  /** 0 until the first script serves. */
  get generation(): number {
    return this.#generation
  }

  /** False when its workers die as fast as they are started: whoever can should call elsewhere. */
  get up(): boolean {
    return this.#presence.up
  }

  /** Threads that have not ended, those on their way out included. */
  get threads(): number {
    return this.#workers.size
  }

  /** Loads the script and puts it into service. A script that does not load is the operator's to mend: exit 78. */
  async start(): Promise<LoadResult> {
    this.#memoryLook = setInterval(() => this.#lookAtMemory(), MEMORY_LOOK_MS).unref()
    return this.reload()
  }

  /**
   * Loads the script anew, whether it has changed or not. When it fails the one before goes on serving.
   * Called while a load is under way, it loads once more after that.
   */
  reload(): Promise<LoadResult> {
    if (this.#loading === null) {
      this.#loading = this.#load().finally(() => (this.#loading = null))
      return this.#loading
    }
    this.#next ??= this.#loading.then(() => {
      this.#next = null
      return this.reload()
    })
    return this.#next
  }

  needWorkers(count: number): void {
    for (let i = 0; i < count; i++) this.#pauseThenAdd(this.#generation)
  }

  releaseWorker(id: number): void {
    this.#presence.remove(id)
    this.#workers.get(id)?.release()
  }

  killWorker(id: number, why: string): void {
    const worker = this.#workers.get(id)
    this.#say('error', `${worker?.thread ?? 'a worker'} is ended: ${why}`)
    worker?.kill()
    this.#presence.remove(id)
    this.#losses.push(performance.now())
  }

  /** Ends every thread; resolves when they have ended, or after a second for those that do not. */
  async close(): Promise<void> {
    this.#closed = true
    this.#watch.close()
    if (this.#memoryLook !== null) clearInterval(this.#memoryLook)
    for (const pause of this.#pauses) clearTimeout(pause)
    this.#pauses.clear()
    if (this.#workers.size === 0) return
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, 1000)
      this.#emptied = () => {
        clearTimeout(late)
        resolve()
      }
      for (const worker of this.#workers.values()) worker.kill()
    })
  }

  async #load(): Promise<LoadResult> {
    const generation = this.#generation + 1
    // Somebody may be in the middle of writing it: what comes after this is another load's.
    if (this.#options.reload === 'auto') await this.#watch.begin([this.#script])
    const workers = Array.from({ length: this.#options.poolSize }, () => this.#spawn(generation))
    const loads = await Promise.all(workers.map((w) => w.loaded))
    if (this.#closed) return { ok: false, fault: { what: 'the server is stopping', where: null } }
    if (this.#options.reload === 'auto')
      await this.#watch.follow([this.#script, ...loads.flatMap((l) => l.files)])
    const fault = this.#faultOf(workers, loads) ?? this.#silenceOf(manifestOf(loads[0]))
    if (fault !== null) {
      for (const worker of workers) worker.kill()
      // What they declared is not theirs to keep: the script, once mended, may declare it otherwise.
      this.#options.onMetricNames(this.#metricNames)
      const { what, where } = fault
      // A first load that fails ends the server, which tells the operator why itself.
      if (this.#generation > 0) {
        const told = where === null ? what : `${where}: ${what}`
        this.#say('error', `the script does not load: ${told}; the one before goes on serving`)
      }
      return { ok: false, fault }
    }
    return this.#serve(generation, workers, loads)
  }

  #serve(generation: number, workers: readonly HandlerWorker[], loads: readonly Loaded[]): LoadResult {
    const manifest = manifestOf(loads[0])
    for (const pause of this.#pauses) clearTimeout(pause)
    this.#pauses.clear()
    this.#generation = generation
    this.#heard = takesRequests(manifest)
    this.#refusals = 0
    this.#presence.replace(workers.map((w) => w.id))
    const attachments = workers.map((w) => w.attachment(manifest))
    this.#options.toEngine(
      { what: 'generation', generation, workers: attachments },
      workers.map((w) => w.port),
    )
    this.#metricNames = new Set(workers.flatMap((w) => [...(this.#declared.get(w.thread) ?? [])]))
    this.#say('info', `script generation ${generation} serves: ${this.#script}`)
    for (const { where, what } of doubtsOf(manifest)) this.#say('warn', `${where ?? 'script'}: ${what}`)
    this.#options.onMetricNames(this.#metricNames)
    return { ok: true, generation, manifest }
  }

  /** Adds one worker to the serving generation, now or, when workers keep dying, after a pause. */
  #pauseThenAdd(generation: number): void {
    if (this.#closed || generation !== this.#generation) return
    const pause = setTimeout(() => {
      this.#pauses.delete(pause)
      void this.#add(generation)
    }, this.#pauseMs())
    this.#pauses.add(pause)
  }

  async #add(generation: number): Promise<void> {
    if (this.#closed || generation !== this.#generation) return
    const worker = this.#spawn(generation)
    const loaded = await worker.loaded
    const fit = this.#workers.has(worker.id) && generation === this.#generation && !this.#closed
    if (loaded.ok && fit) {
      this.#refusals = 0
      this.#presence.add(worker.id)
      const attachment = worker.attachment(loaded.manifest)
      this.#options.toEngine({ what: 'worker', worker: attachment }, [worker.port])
      return
    }
    worker.kill()
    const fault = this.#faultOf([worker], [loaded])
    if (fault === null || generation !== this.#generation || this.#closed) return
    this.#refusals++
    const { what, where } = fault
    this.#say('error', `a worker could not load the script: ${where === null ? what : `${where}: ${what}`}`)
    this.#pauseThenAdd(generation)
  }

  /** Why these workers cannot serve. Looked at just before they would: a thread may have ended since it loaded. */
  #faultOf(workers: readonly HandlerWorker[], loads: readonly Loaded[]): ScriptFault | null {
    for (const load of loads) if (!load.ok) return load.fault
    const gone = workers.some((w) => !this.#workers.has(w.id))
    return gone ? { what: 'a thread ended right after it had loaded the script', where: null } : null
  }

  /** A file that somebody is about to write anew is empty for a moment: no reason to let go of a script that takes calls. */
  #silenceOf(manifest: Manifest): ScriptFault | null {
    if (!this.#heard || takesRequests(manifest)) return null
    return { what: 'declares neither proxy.onRequest nor b2bua.onInvite any more', where: null }
  }

  #pauseMs(): number {
    const now = performance.now()
    this.#losses = this.#losses.filter((at) => now - at < LOSS_WINDOW_MS)
    const over = Math.max(this.#losses.length - 2 * this.#options.poolSize, this.#refusals)
    return over <= 0 ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** Math.min(over - 1, 10), LONGEST_PAUSE_MS)
  }

  #spawn(generation: number): HandlerWorker {
    const { handlersPerWorker, metrics, onLog } = this.#options
    const worker = new HandlerWorker({
      id: ++this.#lastId,
      generation,
      script: this.#script,
      slots: handlersPerWorker,
      metrics,
      onLog,
      setup: this.#options.threadSetup ?? null,
      settings: this.#options.settings ?? {},
      memoryLimitMb: this.#options.memoryLimitMb ?? 256,
      loadTimeoutMs: this.#options.loadTimeoutMs ?? 10_000,
      onMetrics: (thread, message) => {
        this.#note(thread, message)
        this.#options.onMetrics(thread, message)
      },
      onExit: (gone, why) => this.#exited(gone, why),
    })
    this.#workers.set(worker.id, worker)
    this.#options.onThread(worker.thread, 'up')
    return worker
  }

  #note(thread: string, message: unknown): void {
    const told = message as { what?: unknown; shape?: { name?: unknown; origin?: unknown } }
    if (told.what !== 'metric' || told.shape?.origin !== 'script' || typeof told.shape.name !== 'string')
      return
    let names = this.#declared.get(thread)
    if (names === undefined) this.#declared.set(thread, (names = new Set()))
    names.add(told.shape.name)
    if (this.#workers.size > 0 && this.#isServing(thread)) this.#metricNames.add(told.shape.name)
  }

  #isServing(thread: string): boolean {
    for (const worker of this.#workers.values()) {
      if (worker.thread === thread) return worker.generation === this.#generation
    }
    return false
  }

  #exited(worker: HandlerWorker, why: string | null): void {
    this.#workers.delete(worker.id)
    this.#presence.remove(worker.id)
    this.#declared.delete(worker.thread)
    if (why !== null && worker.generation <= this.#generation) {
      this.#losses.push(performance.now())
      this.#say('error', `${worker.thread} is lost: ${why}`)
      this.#options.toEngine({ what: 'gone', id: worker.id, why }, [])
    }
    this.#options.onThread(worker.thread, 'down')
    if (this.#workers.size === 0) this.#emptied()
  }

  #lookAtMemory(): void {
    const limit = (this.#options.memoryLimitMb ?? 256) * 1024 * 1024
    for (const worker of this.#workers.values()) {
      worker.externalBytes().then(
        (bytes) => {
          if (bytes > limit) worker.fail(`out of memory (${Math.round(bytes / 1024 / 1024)} MB in buffers)`)
        },
        () => {}, // The thread ended while it was asked.
      )
    }
  }

  #say(level: LogLine['level'], text: string): void {
    this.#options.onLog({ level, module: 'script', text, fields: null, at: Date.now() })
  }
}

function manifestOf(loaded: Loaded | undefined): Manifest {
  return loaded?.ok === true ? loaded.manifest : { handlers: [], timers: [] }
}
