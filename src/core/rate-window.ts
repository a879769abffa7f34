import type { Clock } from '../base/clock.ts'

/** Most sources remembered; past them the ones that have been silent for longest are forgotten. */
const MAX_KEYS = 100_000

interface Count {
  /** Number of the window that `current` counts, from the clock's origin. */
  window: number
  current: number
  previous: number
}

/**
 * How often something happened within a sliding window, in two counters a key: this window's, and the part of the one
 * before that still lies within. For a steady rate it is off by one at most, else by the unevenness of one window.
 */
export class RateWindow {
  readonly #clock: Clock
  readonly #counts = new Map<string, Count>()
  readonly #maxKeys: number

  constructor(clock: Clock, maxKeys = MAX_KEYS) {
    this.#clock = clock
    this.#maxKeys = maxKeys
  }

  get size(): number {
    return this.#counts.size
  }

  /** Counts one more, and tells whether there are at most `max` in the last `windowMs`. What is refused counts too. */
  within(key: string, windowMs: number, max: number): boolean {
    const at = this.#clock.now() / windowMs
    const window = Math.floor(at)
    const count = this.#advance(key, window)
    count.current++
    return count.previous * (1 - (at - window)) + count.current <= max
  }

  #advance(key: string, window: number): Count {
    const known = this.#counts.get(key)
    const count = known ?? { window, current: 0, previous: 0 }
    if (count.window !== window) {
      count.previous = count.window === window - 1 ? count.current : 0
      count.current = 0
      count.window = window
    }
    // Moves to the end: the first is the one that was silent for longest.
    this.#counts.delete(key)
    this.#counts.set(key, count)
    if (this.#counts.size > this.#maxKeys) {
      for (const oldest of this.#counts.keys()) {
        this.#counts.delete(oldest)
        break
      }
    }
    return count
  }
}
