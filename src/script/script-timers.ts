import type { Clock, Timer } from '../base/clock.ts'
import type { Outcome } from '../core/verdict.ts'
import type { TimerInfo } from './conversation.ts'

/**
 * `timer.every` of the serving script. The host keeps the time and runs each tick as a job, so that a tick happens
 * once however many workers there are, outlives any worker, and has the time limit of every handler.
 */
export class ScriptTimers {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #run: (handler: number, done: (outcome: Outcome) => void) => void
  #pending = new Set<Timer>()
  #epoch = 0

  constructor(
    clock: Clock,
    random: () => number,
    run: (handler: number, done: (outcome: Outcome) => void) => void,
  ) {
    this.#clock = clock
    this.#random = random
    this.#run = run
  }

  /** Ends the timers there are and starts these: each sleeps first. */
  start(timers: readonly TimerInfo[]): void {
    this.stop()
    for (const timer of timers) this.#schedule(timer, this.#epoch)
  }

  stop(): void {
    this.#epoch++
    for (const timer of this.#pending) timer.cancel()
    this.#pending.clear()
  }

  /** The next tick is due an interval after this one began, or when this one is over: a timer never overtakes itself. */
  #schedule(timer: TimerInfo, epoch: number): void {
    let over = false
    let due = false
    const next = (): void => {
      if (over && due && epoch === this.#epoch) tick()
    }
    const wait = (): void => {
      const ms = (timer.seconds + timer.jitter * this.#random()) * 1000
      const pending = this.#clock.startTimer(ms, () => {
        this.#pending.delete(pending)
        due = true
        next()
      })
      this.#pending.add(pending)
    }
    const tick = (): void => {
      over = false
      due = false
      wait()
      this.#run(timer.handler, () => {
        over = true
        next()
      })
    }
    over = true
    wait()
  }
}
