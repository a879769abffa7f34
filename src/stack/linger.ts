import type { Clock, Timer } from '../base/clock.ts'

/**
 * Items that wait for one and the same time: first in, first out under one timer.
 * A transaction that only lingers (timers D, I, J, K, L, M) is one of tens of thousands; a timer for each would cost more
 * than the transaction itself.
 */
export class LingerQueue<T extends object | string> {
  readonly #clock: Clock
  readonly #ms: number
  readonly #fire: (item: T) => boolean
  // Two lists instead of one of pairs: a pair and the number in it would be 48 bytes for each that waits.
  #waiting: (T | undefined)[] = []
  /** When each of them is due, monotonic milliseconds. */
  #due: number[] = []
  #head = 0
  /** Of those waiting, how many somebody still waits for. */
  #wanted = 0
  #timer: Timer | null = null

  /**
   * @param ms how long each item waits
   * @param fire false when the item was not wanted any more (`forgetOne`)
   */
  constructor(clock: Clock, ms: number, fire: (item: T) => boolean) {
    this.#clock = clock
    this.#ms = ms
    this.#fire = fire
  }

  add(item: T): void {
    this.#wanted++
    this.#waiting.push(item)
    this.#due.push(this.#clock.now() + this.#ms)
    this.#timer ??= this.#start(this.#ms)
  }

  /** One of the items is not wanted any more: it fires all the same, unless no other is wanted either. */
  forgetOne(): void {
    if (--this.#wanted === 0) this.clear()
  }

  /** Forgets everything and leaves no timer. */
  clear(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#empty()
    this.#wanted = 0
  }

  #start(ms: number): Timer {
    return this.#clock.startTimer(ms, () => {
      this.#timer = null
      this.#run()
    })
  }

  #run(): void {
    const now = this.#clock.now()
    for (;;) {
      const item = this.#waiting[this.#head]
      if (item === undefined) {
        this.#empty()
        return
      }
      const due = this.#due[this.#head] ?? 0
      if (due > now) {
        this.#compact()
        // Those that fall due within the next milliseconds go together.
        this.#timer ??= this.#start(Math.max(due - now, GRAIN_MS))
        return
      }
      this.#waiting[this.#head++] = undefined
      if (this.#fire(item)) this.#wanted--
    }
  }

  #compact(): void {
    if (this.#head > 1024 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#due = this.#due.slice(this.#head)
      this.#head = 0
    }
  }

  #empty(): void {
    this.#waiting = []
    this.#due = []
    this.#head = 0
  }
}

/** How much later than asked an item may go: nobody waits for the end of a linger. */
const GRAIN_MS = 50
