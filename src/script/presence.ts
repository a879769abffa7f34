/** How long a script may be without any worker before it is down. Milliseconds. */
const GONE_MS = 1_000
/** How long a worker must have lived before a script that was down is up again. Milliseconds. */
const LIVED_MS = 3_000

/**
 * Whether a script is up. Workers may be lost now and then, the last one included, for others take their place at once; but
 * when they die as fast as they are started, nobody should send calls here in the moments between.
 */
export class Presence {
  readonly #now: () => number
  readonly #workers = new Set<number>()
  #since: number
  #down = false

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now
    this.#since = now()
  }

  get up(): boolean {
    this.#settle()
    return !this.#down
  }

  /** Only these serve from now on. */
  replace(ids: Iterable<number>): void {
    this.#settle()
    this.#workers.clear()
    for (const id of ids) this.#workers.add(id)
    // Another script: what became of the workers of the one before says nothing about it.
    this.#down = false
    this.#since = this.#now()
  }

  add(id: number): void {
    this.#settle()
    if (this.#workers.size === 0) this.#since = this.#now()
    this.#workers.add(id)
  }

  remove(id: number): void {
    this.#settle()
    if (this.#workers.delete(id) && this.#workers.size === 0) this.#since = this.#now()
  }

  #settle(): void {
    const lasted = this.#now() - this.#since
    if (this.#workers.size === 0) this.#down ||= lasted >= GONE_MS
    else if (lasted >= LIVED_MS) this.#down = false
  }
}
