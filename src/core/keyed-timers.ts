import type { Clock, Timer } from '../base/clock.ts'

/** Most timers of scripts at once. */
const MAX_TIMERS = 100_000

interface Entry {
  readonly timer: Timer
  readonly over: (due: boolean) => void
}

/**
 * One-shot timers by key, for scripts: a key has one timer, whichever worker set it. They belong to the generation of the
 * script that set them: the first word from a newer one drops those of the older.
 */
export class KeyedTimers {
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()
  #generation = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#entries.size
  }

  /**
   * `over` is called once: with true when the time has come, with false when it was cancelled, replaced or dropped.
   * @returns false when there is no room
   */
  set(key: string, generation: number, ms: number, over: (due: boolean) => void): boolean {
    this.enter(generation)
    if (generation < this.#generation) {
      over(false)
      return true
    }
    this.cancel(key)
    if (this.#entries.size >= MAX_TIMERS) return false
    const timer = this.#clock.startTimer(ms, () => {
      this.#entries.delete(key)
      over(true)
    })
    this.#entries.set(key, { timer, over })
    return true
  }

  /** @returns whether there was one */
  cancel(key: string): boolean {
    const entry = this.#entries.get(key)
    if (entry === undefined) return false
    this.#entries.delete(key)
    entry.timer.cancel()
    entry.over(false)
    return true
  }

  /** A script of this generation serves: timers of those before it are dropped. */
  enter(generation: number): void {
    if (generation <= this.#generation) return
    this.#generation = generation
    this.clear()
  }

  clear(): void {
    for (const key of [...this.#entries.keys()]) this.cancel(key)
  }
}
