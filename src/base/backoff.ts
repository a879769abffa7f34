/** How long to wait before the next attempt: doubling from `minMs` to `maxMs`, each wait cut by up to a half at random. */
export class Backoff {
  readonly #minMs: number
  readonly #maxMs: number
  readonly #random: () => number
  #failures = 0

  /** @param random 0 … 1: many nodes that lost one collector must not come back in the same instant */
  constructor(minMs: number, maxMs: number, random: () => number = Math.random) {
    this.#minMs = minMs
    this.#maxMs = maxMs
    this.#random = random
  }

  /** Failures since the last `reset`. */
  get failures(): number {
    return this.#failures
  }

  /** Counts a failure and returns the milliseconds to wait. */
  next(): number {
    return this.after(++this.#failures)
  }

  /** The wait after the n-th failure, without counting one. */
  after(failures: number): number {
    const full = Math.min(this.#maxMs, this.#minMs * 2 ** Math.min(failures - 1, 30))
    return Math.max(this.#minMs, full * (0.5 + this.#random() / 2))
  }

  reset(): void {
    this.#failures = 0
  }
}
