import type { Clock } from '../base/clock.ts'
import type { Outcome } from '../core/verdict.ts'
import type { ScriptFailureReason } from '../spine/facts.ts'
import type { Spine } from '../spine/spine.ts'
import { LABELS } from './blame.ts'
import type { HandlerInfo, Manifest } from './conversation.ts'
import type { Run } from './run.ts'
import type { RunQueue } from './run-queue.ts'

/** What log and metrics hear of handlers. How runs end: who asked gets the outcome, log and metrics what it took and what failed. */
export class RunEndings {
  readonly #clock: Clock
  readonly #spine: Spine
  readonly #queue: RunQueue

  constructor(clock: Clock, spine: Spine, queue: RunQueue) {
    this.#clock = clock
    this.#spine = spine
    this.#queue = queue
  }

  /** This script's handlers run from now on. */
  serves({ handlers }: Manifest): void {
    this.#spine.scriptServes.publish({ handlers: handlers.map((handler) => handler.name) })
  }

  /** Tells of a failure. Its run, if it was one's, is still to be settled. */
  fail(
    handler: string,
    reason: ScriptFailureReason,
    what: string,
    where: string | null,
    run: Run | null,
  ): void {
    this.#spine.scriptFailed.publish({ handler, reason, where, what, callId: run?.callId ?? null })
  }

  /**
   * The run is over: the next of its call is ready, and who asked is told.
   * @param handler the last that ran; null: not known
   * @param tookMs as its worker says; without it, since it was offered
   */
  settle(run: Run, outcome: Outcome, handler: HandlerInfo | null = null, tookMs?: number): void {
    this.#queue.settled(run)
    const waitMs = run.offeredAt - run.since
    const runMs = tookMs ?? this.#clock.now() - run.offeredAt
    this.#spine.scriptJobDone.publish({ handler: LABELS[run.kind], waitMs, runMs })
    try {
      const handedOn = run.kind === 'invite' && handler?.kind === 'request'
      run.done(handedOn ? { ...outcome, handedOn } : outcome)
    } catch (error) {
      // A bug of the caller's: loud, but not at the cost of the other verdicts of this batch.
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
