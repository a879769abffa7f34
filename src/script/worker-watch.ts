import type { Clock, Timer } from '../base/clock.ts'
import type { ScriptFailureReason } from '../spine/facts.ts'
import { blame, handlerOf, LABELS, nameOf } from './blame.ts'
import type { Run } from './run.ts'
import type { RunEndings } from './run-endings.ts'
import type { RunQueue } from './run-queue.ts'
import type { WorkerLink } from './worker-link.ts'
import type { WorkerPool } from './worker-pool.ts'

export interface WorkerWatchOptions {
  readonly clock: Clock
  readonly pool: WorkerPool
  readonly queue: RunQueue
  readonly endings: RunEndings
  /** Of the host's limits, those that are kept here. */
  readonly limits: { readonly handlerTimeoutMs: number; readonly handlersPerWorker: number }
  /** Offers waiting jobs to workers, now. */
  readonly flush: () => void
  /** The same, before the loop goes on. */
  readonly flushSoon: () => void
}

/** How often workers that have work are looked at. Two looks without a move, and their unstarted jobs go elsewhere. */
const LOOK_MS = 50

/**
 * Looks at the workers while they have work: takes back what one that does not move has not started, ends runs that are
 * late and jobs that have waited too long, and says when one worker more would help.
 */
export class WorkerWatch {
  readonly #clock: Clock
  readonly #pool: WorkerPool
  readonly #queue: RunQueue
  readonly #endings: RunEndings
  readonly #limits: WorkerWatchOptions['limits']
  readonly #flush: () => void
  readonly #flushSoon: () => void
  /** Twice the time limit, so that who waits for a stuck worker's place gets it; but a transaction ends at 32 s (§17). */
  readonly #maxWaitMs: number
  #look: Timer | null = null

  constructor(options: WorkerWatchOptions) {
    this.#clock = options.clock
    this.#pool = options.pool
    this.#queue = options.queue
    this.#endings = options.endings
    this.#limits = options.limits
    this.#flush = options.flush
    this.#flushSoon = options.flushSoon
    const { handlerTimeoutMs } = options.limits
    this.#maxWaitMs = Math.max(handlerTimeoutMs, Math.min(2 * handlerTimeoutMs, 30_000))
  }

  /** There is work: looks from now on until there is none. */
  start(): void {
    this.#look ??= this.#startLook()
  }

  stop(): void {
    this.#look?.cancel()
  }

  /** Forgets a worker: the guilty run fails for `reason`, other started runs with it, the rest go to other workers. */
  lose(link: WorkerLink, guilty: number, reason: ScriptFailureReason, why: string): void {
    this.#pool.drop(link)
    for (const run of link.takeBack()) this.#queue.putBack(run)
    const last = link.lastHandler
    if (guilty === 0 || !link.runs.has(guilty)) {
      // Nothing of ours was running: still to be told, or the loss of the worker would be silent.
      if (link.runs.size === 0 || reason === 'timeout')
        this.#endings.fail(last?.name ?? 'outside', reason, why, last?.where ?? null, null)
    }
    for (const run of link.runs.values()) {
      const own = run.id === guilty || (guilty === 0 && link.runs.size === 1)
      const handler = handlerOf(link, run)
      const what = own ? blame(handler, why) : `its worker was lost to another handler: ${why}`
      const kind = own ? reason : 'worker_lost'
      this.#endings.fail(handler?.name ?? LABELS[run.kind], kind, what, handler?.where ?? null, run)
      this.#endings.settle(run, { ok: false, reason: kind, what }, handler)
    }
    link.runs.clear()
    link.abandoned.clear()
    this.#flushSoon()
  }

  #startLook(): Timer {
    return this.#clock.startTimer(LOOK_MS, () => {
      this.#look = null
      this.#lookAtWorkers()
      const busy = [...this.#pool.links].some((l) => l.holds || l.stalledSince !== null)
      if (busy || this.#queue.size > 0) this.start()
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
      this.#endings.fail(LABELS[run.kind], 'timeout', what, null, run)
      this.#endings.settle(run, { ok: false, reason: 'timeout', what })
    }
    this.#pool.refill()
    this.#flush()
    // What is over in a moment needs no worker more.
    if (this.#waits(now - LOOK_MS)) this.#pool.grow()
  }

  /** Jobs that came before then still wait: for a worker, or at one behind a slow handler. */
  #waits(before: number): boolean {
    if (this.#queue.ready > 0 && this.#queue.oldest <= before) return true
    for (const { waitsSince } of this.#pool.links)
      if (waitsSince !== null && waitsSince <= before) return true
    return false
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
      this.lose(link, guilty ? guilty.id : running, 'timeout', what)
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
    this.#endings.fail(handler?.name ?? LABELS[run.kind], 'timeout', what, handler?.where ?? null, run)
    this.#endings.settle(run, { ok: false, reason: 'timeout', what }, handler)
    // Handlers that never end keep their memory: before they fill the worker, it makes room for a fresh one.
    if (!link.draining && link.abandoned.size * 2 >= this.#limits.handlersPerWorker) {
      this.#pool.retire(link)
      this.#pool.refill()
    }
  }
}
