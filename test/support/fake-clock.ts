import type { Clock, Timer } from '../../src/base/clock.ts'

interface Pending {
  readonly at: number
  readonly order: number
  readonly fire: () => void
}

/** Time that moves only by `advance`. Timers fire in order of their deadline, then of their start. */
export class FakeClock implements Clock {
  #now = 0
  #order = 0
  readonly #epoch = Date.UTC(2026, 0, 1)
  readonly #pending = new Set<Pending>()

  now(): number {
    return this.#now
  }

  wallTime(): number {
    return this.#epoch + this.#now
  }

  startTimer(ms: number, fire: () => void): Timer {
    const entry = { at: this.#now + ms, order: this.#order++, fire }
    this.#pending.add(entry)
    return { cancel: () => void this.#pending.delete(entry) }
  }

  /** How many timers are running: 0 proves that nothing was left behind. */
  get pendingTimers(): number {
    return this.#pending.size
  }

  /** Moves time on by `ms`, firing what falls due on the way, timers started meanwhile included. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      let next: Pending | undefined
      for (const p of this.#pending) {
        if (p.at <= end && (!next || p.at < next.at || (p.at === next.at && p.order < next.order))) next = p
      }
      if (!next) break
      this.#pending.delete(next)
      this.#now = next.at
      next.fire()
    }
    this.#now = end
  }
}
