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
import type { ScriptFailureReason } from '../spine/facts.ts'
import type { Spine } from '../spine/spine.ts'
import { blame, handlerOf, LABELS, nameOf } from './blame.ts'
import { MAX_JOB_ID } from './claims.ts'
import type { Batch, HandlerInfo, HostControlPort, Manifest, Services } from './conversation.ts'
import { BatchReader, ToHost } from './conversation.ts'
import { readDecision } from './message-codec.ts'
import type { Run } from './run.ts'
import { RunQueue } from './run-queue.ts'
import { ScriptTimers } from './script-timers.ts'
import { type Asker, serve } from './serve.ts'
import type { WorkerLink } from './worker-link.ts'
import { WorkerPool } from './worker-pool.ts'

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

/** How often workers that have work are looked at. Two looks without a move, and their unstarted jobs go elsewhere. */
const LOOK_MS = 50
/**
 * The engine's end of the handler pool: admission, order, dispatch, time limits, and which generation serves.
 *
 * Everything is decided here, on the thread that asked; workers only run handlers. A job is offered to a worker through
 * shared memory and is the host's again until the worker claims it (`Claims`), so that jobs behind a handler that spins
 * go to another worker within two looks. Jobs of one Call-ID run one after another.
 */
export class ScriptHost implements Router {
  readonly #clock: Clock
  readonly #spine: Spine
  readonly #location: LocationView
  readonly #services: Services
  readonly #limits: HostLimits
  readonly #pool: WorkerPool
  readonly #queue: RunQueue
  /** Twice the time limit, so that who waits for a stuck worker's place gets it; but a transaction ends at 32 s (§17). */
  readonly #maxWaitMs: number
  readonly #timers: ScriptTimers
  #manifest: Manifest = { handlers: [], timers: [] }
  /** Whom answers to what was only told go to. */
  readonly #nobody: Asker = {
    result: () => undefined,
    refused: (_, what) => this.#fail('outside', 'exception', what, null, null),
  }
  #lastId = 0
  readonly #batchMs: number
  /** A flush that is to come. */
  #flushing: Timer | null = null
  #flushedAt = -Infinity
  #look: Timer | null = null
  #closed = false

  constructor(options: HostOptions) {
    this.#clock = options.clock
    this.#spine = options.spine
    this.#location = options.location
    this.#services = options.services ?? new Map()
    this.#limits = options.limits
    this.#batchMs = options.batchMs ?? 0
    const { poolSize, poolMax } = options.limits
    this.#pool = new WorkerPool(options.clock, options.control, poolSize, poolMax, options.processors)
    const { handlerTimeoutMs } = options.limits
    this.#maxWaitMs = Math.max(handlerTimeoutMs, Math.min(2 * handlerTimeoutMs, 30_000))
    this.#queue = new RunQueue(options.limits.queueCapacity)
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
      if (run.timer >= 0 && run.generation !== this.#pool.generation) this.#settle(run, OVER)
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

  /** Adds a worker that has loaded. One of a generation that no longer serves is let go at once. */
  attach(link: WorkerLink): void {
    this.#pool.attach(link)
    this.#scheduleFlush()
  }

  /** From now on these workers serve. Those before finish what they have begun and are let go. */
  switchGeneration(generation: number, links: readonly WorkerLink[]): void {
    this.#manifest = links[0]?.manifest ?? this.#manifest
    this.#pool.switchTo(generation, links)
    this.#timers.start(this.#manifest.timers)
    this.#look ??= this.#startLook()
    this.#scheduleFlush()
  }

  /** A worker has exited: what it ran has failed, what it had not started goes to others. */
  workerGone(id: number, why: string): void {
    const link = this.#pool.get(id)
    if (link === undefined) return
    for (const batch of link.port.drain()) this.receive(id, batch)
    this.#lose(link, link.claims.running, 'worker_lost', why)
    this.#pool.refill()
  }

  /** What a worker posted. */
  receive(id: number, batch: Batch): void {
    const link = this.#pool.get(id)
    if (link === undefined) return
    link.heard()
    const reader = new BatchReader(batch)
    while (!reader.done) this.#perform(link, reader)
    this.#pool.letGo(link)
    if (this.#queue.ready > 0) this.#scheduleFlush()
    link.flush()
  }

  /** Lets all workers go. Runs that are not over are forgotten: the engine is stopping. */
  close(): void {
    this.#closed = true
    this.#timers.stop()
    this.#look?.cancel()
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
    this.#look ??= this.#startLook()
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

  #perform(link: WorkerLink, reader: BatchReader): void {
    const what = reader.number()
    if (what === ToHost.done) {
      const id = reader.number()
      reader.number()
      const decision = readDecision(reader)
      this.#answered(link, id, { ok: true, decision }, null, null)
    } else if (what === ToHost.failed) {
      const id = reader.number()
      const handler = link.manifest.handlers[reader.number()] ?? null
      const reason = reader.string() as ScriptFailureReason
      const what = reader.string()
      this.#answered(link, id, { ok: false, reason, what }, handler, reader.text())
    } else if (what === ToHost.parked) {
      const run = link.runs.get(reader.number())
      if (run === undefined || run.parked) return
      run.parked = true
      link.parked++
    } else if (what === ToHost.ask) {
      link.answer(reader.number(), this.#location.lookup(reader.string()))
    } else if (what === ToHost.call) {
      const question = { id: reader.number(), service: reader.string(), args: reader.slice(reader.number()) }
      serve(this.#services, question, link, () => this.#scheduleFlush())
    } else if (what === ToHost.tell) {
      const told = { id: 0, service: reader.string(), args: reader.slice(reader.number()) }
      serve(this.#services, told, this.#nobody, () => undefined)
    } else if (what === ToHost.stray) {
      this.#fail('outside', 'exception', reader.string(), reader.text(), null)
    } else throw new Error(`a worker sent an unknown item: ${what}`)
  }

  #answered(
    link: WorkerLink,
    id: number,
    outcome: Outcome,
    handler: HandlerInfo | null,
    where: string | null,
  ) {
    const given = link.abandoned.get(id)
    if (given !== undefined) {
      link.free(given)
      return
    }
    const run = link.runs.get(id)
    // Taken back and given to another worker meanwhile.
    if (run === undefined) return
    link.free(run)
    if (!outcome.ok) {
      this.#fail(
        handler?.name ?? LABELS[run.kind],
        outcome.reason,
        outcome.what,
        where ?? handler?.where ?? null,
        run,
      )
    }
    this.#settle(run, outcome)
  }

  #fail(
    handler: string,
    reason: ScriptFailureReason,
    what: string,
    where: string | null,
    run: Run | null,
  ): void {
    this.#spine.scriptFailed.publish({ handler, reason, where, what, callId: run?.callId ?? null })
  }

  #settle(run: Run, outcome: Outcome): void {
    this.#queue.settled(run)
    const now = this.#clock.now()
    const waitMs = run.offeredAt - run.since
    this.#spine.scriptJobDone.publish({ handler: LABELS[run.kind], waitMs, runMs: now - run.offeredAt })
    try {
      run.done(outcome)
    } catch (error) {
      // A bug of the caller's: loud, but not at the cost of the other verdicts of this batch.
      queueMicrotask(() => {
        throw error
      })
    }
  }

  #startLook(): Timer {
    return this.#clock.startTimer(LOOK_MS, () => {
      this.#look = null
      this.#lookAtWorkers()
      const busy = [...this.#pool.links].some((l) => l.holds || l.stalledSince !== null)
      if (busy || this.#queue.size > 0) this.#look ??= this.#startLook()
    })
  }

  #lookAtWorkers(): void {
    const now = this.#clock.now()
    for (const link of this.#pool.links) {
      link.observe(now)
      if (link.stalledSince !== null) for (const run of link.takeBack()) this.#queue.putBack(run)
      this.#enforceLimit(link, now)
      this.#pool.letGo(link)
    }
    for (const run of this.#queue.expire(now - this.#maxWaitMs)) {
      const what = `no worker was free for ${this.#maxWaitMs} ms`
      this.#fail(LABELS[run.kind], 'timeout', what, null, run)
      this.#settle(run, { ok: false, reason: 'timeout', what })
    }
    this.#pool.refill()
    this.flush()
    // What is over in a moment needs no worker more.
    if (this.#queue.ready > 0 && now - this.#queue.oldest >= LOOK_MS) this.#pool.grow()
  }

  /**
   * Ends runs past their time. When the handler awaits something, that run alone; when it holds the thread, the worker
   * with it. A worker that spins outside any run (a callback of the script's) has the same limit.
   */
  #enforceLimit(link: WorkerLink, now: number): void {
    const late: Run[] = []
    for (const run of link.runs.values()) if (now >= run.deadline) late.push(run)
    const running = link.claims.running
    const stalled = link.stalledSince !== null
    const guilty =
      stalled && (late.find((run) => run.id === running) ?? (running === 0 ? late[0] : undefined))
    const stuckElsewhere =
      stalled &&
      (link.abandoned.has(running) || now - (link.stalledSince ?? now) >= this.#limits.handlerTimeoutMs)
    if (guilty || stuckElsewhere) {
      const handler = guilty && guilty.id !== running ? handlerOf(link, guilty) : link.lastHandler
      const name = nameOf(handler)
      const what = `${name} held its thread for more than ${this.#limits.handlerTimeoutMs} ms`
      this.#pool.kill(link, what)
      this.#lose(link, guilty ? guilty.id : running, 'timeout', what)
      return
    }
    for (const run of late) {
      if (link.claims.state(run.slot, run.id) === 'offered') continue
      this.#abandon(link, run)
    }
  }

  #abandon(link: WorkerLink, run: Run): void {
    link.abandon(run)
    const handler = handlerOf(link, run)
    const what = `${nameOf(handler)} did not return a verdict within ${this.#limits.handlerTimeoutMs} ms`
    this.#fail(handler?.name ?? LABELS[run.kind], 'timeout', what, handler?.where ?? null, run)
    this.#settle(run, { ok: false, reason: 'timeout', what })
    // Handlers that never end keep their memory: before they fill the worker, it makes room for a fresh one.
    if (!link.draining && link.abandoned.size * 2 >= this.#limits.handlersPerWorker) {
      this.#pool.retire(link)
      this.#pool.refill()
    }
  }

  /** Forgets a worker: the guilty run fails for `reason`, other started runs with it, the rest go to other workers. */
  #lose(link: WorkerLink, guilty: number, reason: ScriptFailureReason, why: string): void {
    this.#pool.drop(link)
    for (const run of link.takeBack()) this.#queue.putBack(run)
    const last = link.lastHandler
    if (guilty === 0 || !link.runs.has(guilty)) {
      // Nothing of ours was running: still to be told, or the loss of the worker would be silent.
      if (link.runs.size === 0 || reason === 'timeout')
        this.#fail(last?.name ?? 'outside', reason, why, last?.where ?? null, null)
    }
    for (const run of link.runs.values()) {
      const own = run.id === guilty || (guilty === 0 && link.runs.size === 1)
      const handler = handlerOf(link, run)
      const what = own ? blame(handler, why) : `its worker was lost to another handler: ${why}`
      const kind = own ? reason : 'worker_lost'
      this.#fail(handler?.name ?? LABELS[run.kind], kind, what, handler?.where ?? null, run)
      this.#settle(run, { ok: false, reason: kind, what })
    }
    link.runs.clear()
    link.abandoned.clear()
    this.#scheduleFlush()
  }
}

function immediately(fire: () => void): Timer {
  const immediate = setImmediate(fire)
  return { cancel: () => clearImmediate(immediate) }
}

const OVER: Outcome = { ok: false, reason: 'worker_lost', what: 'its script was replaced' }
