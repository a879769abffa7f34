import type { Clock, Timer } from '../base/clock.ts'
import type {
  HandlerKind,
  Job,
  LocationView,
  Outcome,
  Reservation,
  Router,
  ContactView,
} from '../core/verdict.ts'
import type { Spine } from '../spine/spine.ts'
import { MAX_JOB_ID } from './claims.ts'
import type { Batch, HostControlPort, Manifest, Services } from './conversation.ts'
import type { Run } from './run.ts'
import { RunEndings } from './run-endings.ts'
import { RunQueue } from './run-queue.ts'
import { ScriptTimers } from './script-timers.ts'
import type { WorkerLink } from './worker-link.ts'
import { WorkerPool } from './worker-pool.ts'
import { WorkerReports } from './worker-reports.ts'
import { WorkerWatch } from './worker-watch.ts'

export interface HostLimits {
  /** Most jobs that wait for a worker; one eighth of it is for jobs inside dialogs only. */
  readonly queueCapacity: number
  /** One run of handlers, awaiting included. Milliseconds. A job waits for a worker at most twice as long, or 30 s. */
  readonly handlerTimeoutMs: number
  /** Workers at rest. */
  readonly poolSize: number
  /** Ceiling of workers, `poolSize` or more. */
  readonly poolMax: number
  /** Handlers that may be under way in one worker at once: one runs, the others await. */
  readonly handlersPerWorker: number
}

export interface HostOptions {
  readonly clock: Clock
  readonly spine: Spine
  readonly location: LocationView
  /** What else scripts may ask of the engine, by name. */
  readonly services?: Services
  readonly limits: HostLimits
  readonly control: HostControlPort
  /**
   * While jobs come more often than this, they are posted together, once in so long: waking a thread costs more than what
   * most handlers do. Milliseconds; 0, the default: every turn of the event loop posts what it has.
   */
  readonly batchMs?: number
  /** 0 … 1, for the jitter of script timers. */
  readonly random?: () => number
  /** How many threads can run at once. Default: what the system says. */
  readonly processors?: number | undefined
}

/**
 * The engine's end of the handler pool: admission, order, dispatch, time limits, and which generation serves.
 *
 * Everything is decided here, on the thread that asked; workers only run handlers. A job is offered to a worker through
 * shared memory and is the host's again until the worker claims it (`Claims`), so that jobs behind a handler that spins
 * go to another worker within two looks. Jobs of one Call-ID run one after another.
 */
export class ScriptHost implements Router {
  readonly #clock: Clock
  readonly #location: LocationView
  readonly #limits: HostLimits
  readonly #pool: WorkerPool
  readonly #queue: RunQueue
  readonly #endings: RunEndings
  readonly #reports: WorkerReports
  readonly #watch: WorkerWatch
  readonly #timers: ScriptTimers
  #manifest: Manifest = { handlers: [], timers: [] }
  #lastId = 0
  readonly #batchMs: number
  /** A flush that is to come. */
  #flushing: Timer | null = null
  #flushedAt = -Infinity
  /** `fetch` is called regularly. */
  #comes = false
  #closed = false

  constructor(options: HostOptions) {
    this.#clock = options.clock
    this.#location = options.location
    this.#limits = options.limits
    this.#batchMs = options.batchMs ?? 0
    const { poolSize, poolMax } = options.limits
    this.#pool = new WorkerPool(options.clock, options.control, poolSize, poolMax, options.processors)
    this.#queue = new RunQueue(options.limits.queueCapacity)
    this.#endings = new RunEndings(options.clock, options.spine, this.#queue)
    const { location, services = new Map() } = options
    const flushSoon = (): void => this.#scheduleFlush()
    this.#reports = new WorkerReports(location, services, this.#endings, flushSoon)
    this.#watch = new WorkerWatch({
      clock: options.clock,
      pool: this.#pool,
      queue: this.#queue,
      endings: this.#endings,
      limits: options.limits,
      flush: () => this.flush(),
      flushSoon,
    })
    this.#timers = new ScriptTimers(options.clock, options.random ?? Math.random, (timer, done) =>
      this.#submit(this.#run('timer', null, timer, 'in-dialog', false, done)),
    )
  }

  /** Live workers of the serving generation. */
  get size(): number {
    return this.#pool.size
  }

  get max(): number {
    return this.#pool.max
  }

  /** Handlers started and not ended, in all workers. */
  get inflight(): number {
    let started = 0
    for (const link of this.#pool.links) started += link.started
    return started
  }

  /** Jobs that wait: for a worker, for another of their call, or behind the handler their worker is running. */
  get queued(): number {
    let offered = 0
    for (const link of this.#pool.links) offered += link.runs.size - link.started
    return this.#queue.size + offered
  }

  /** Counts up with every script that was put into service; 0 before the first. */
  get generation(): number {
    return this.#pool.generation
  }

  get manifest(): Manifest {
    return this.#manifest
  }

  reserve(share: 'initial' | 'in-dialog', _method: string, stream = false): Reservation | null {
    // Told now, a caller can go elsewhere.
    if (share === 'initial' && this.#pool.gone) return null
    if (this.#closed || !this.#queue.reserve(share, stream)) return null
    let open = true
    const leave = (): void => {
      if (!open) throw new Error('a reservation is used twice')
      open = false
      this.#queue.release(share, stream)
    }
    return {
      decide: (job, done) => {
        leave()
        this.#submit(this.#run(job.kind, job, -1, share, stream, done))
      },
      release: leave,
    }
  }

  handles(kind: HandlerKind, method: string): boolean {
    return this.#manifest.handlers.some((h) => h.kind === kind && (h.methods?.includes(method) ?? true))
  }

  /**
   * Offers waiting jobs to workers and posts one message to each. Called at the end of a batch of input; when it is
   * not, it happens by itself before the loop goes on.
   */
  flush(): void {
    const now = this.#clock.now()
    while (this.#pool.canTake) {
      const run = this.#queue.next()
      if (run === undefined) break
      const link = this.#pool.choose(run, now)
      if (link === undefined) break
      if (run.timer >= 0 && run.generation !== this.#pool.generation) this.#endings.settle(run, OVER)
      else {
        run.deadline = now + this.#limits.handlerTimeoutMs
        link.offer(run, this.#nextId(), this.#foresee(run), now)
      }
    }
    for (const link of this.#pool.links) link.flush()
  }

  /** The end of a batch of input: jobs that wait for one another wait no longer. */
  postWaiting(): void {
    if (this.#flushing === null) return
    this.#flushing.cancel()
    this.#flushNow()
  }

  /** Fetches what workers have left in their mailboxes. */
  fetch(): void {
    for (const link of this.#pool.links) {
      const batch = link.port.fetch()
      if (batch !== null) this.receive(link.id, batch)
    }
  }

  /** Says whether `fetch` is called regularly from now on. When not, it is called once more. */
  comes(comes: boolean): void {
    this.#comes = comes
    for (const link of this.#pool.links) link.port.comes(comes)
    if (!comes) this.fetch()
  }

  /** Adds a worker that has loaded. One of a generation that no longer serves is let go at once. */
  attach(link: WorkerLink): void {
    link.port.comes(this.#comes)
    this.#pool.attach(link)
    this.#scheduleFlush()
  }

  /** From now on these workers serve. Those before finish what they have begun and are let go. */
  switchGeneration(generation: number, links: readonly WorkerLink[]): void {
    this.#manifest = links[0]?.manifest ?? this.#manifest
    for (const link of links) link.port.comes(this.#comes)
    this.#pool.switchTo(generation, links)
    this.#endings.serves(this.#manifest)
    this.#timers.start(this.#manifest.timers)
    this.#watch.start()
    this.#scheduleFlush()
  }

  /** A worker has exited: what it ran has failed, what it had not started goes to others. */
  workerGone(id: number, why: string): void {
    const link = this.#pool.get(id)
    if (link === undefined) return
    for (const batch of link.port.drain()) this.receive(id, batch)
    this.#watch.lose(link, link.claims.running, 'worker_lost', why)
    this.#pool.refill()
  }

  /** What a worker posted. */
  receive(id: number, batch: Batch): void {
    const link = this.#pool.get(id)
    if (link === undefined) return
    link.heard()
    this.#reports.read(link, batch)
    this.#pool.letGo(link)
    if (this.#queue.ready > 0) this.#scheduleFlush()
    link.flush()
  }

  /** Lets all workers go. Runs that are not over are forgotten: the engine is stopping. */
  close(): void {
    this.#closed = true
    this.#timers.stop()
    this.#watch.stop()
    this.#pool.close()
  }

  #run(
    kind: Run['kind'],
    job: Job | null,
    timer: number,
    share: Run['share'],
    stream: boolean,
    done: Run['done'],
  ): Run {
    const since = this.#clock.now()
    return {
      kind,
      job,
      timer,
      share,
      stream,
      done,
      since,
      generation: this.#pool.generation,
      callId: job?.request.callId ?? null,
      offeredAt: since,
      deadline: Infinity,
      id: 0,
      slot: -1,
      parked: false,
    }
  }

  #submit(run: Run): void {
    this.#queue.add(run)
    this.#scheduleFlush()
    this.#watch.start()
  }

  #scheduleFlush(): void {
    if (this.#flushing !== null) return
    // The first after a pause goes at once; those on its heels wait for one another.
    const soon = this.#clock.now() - this.#flushedAt < 2 * this.#batchMs
    this.#flushing = soon
      ? this.#clock.startTimer(this.#batchMs, () => this.#flushNow())
      : immediately(() => this.#flushNow())
  }

  #flushNow(): void {
    this.#flushing = null
    this.#flushedAt = this.#clock.now()
    if (!this.#closed) this.flush()
  }

  /** What the handler will most likely ask: the contacts of the Request-URI. Saves it a round trip. */
  #foresee(run: Run): readonly ContactView[] | null {
    if ((run.kind !== 'request' && run.kind !== 'invite') || run.job === null) return null
    const { request } = run.job
    if (request.method === 'REGISTER' || request.toTag !== undefined) return null
    return this.#location.lookup(request.uri)
  }

  #nextId(): number {
    this.#lastId = this.#lastId >= MAX_JOB_ID ? 1 : this.#lastId + 1
    return this.#lastId
  }
}

function immediately(fire: () => void): Timer {
  const immediate = setImmediate(fire)
  return { cancel: () => clearImmediate(immediate) }
}

const OVER: Outcome = { ok: false, reason: 'worker_lost', what: 'its script was replaced' }
