import type { Verdict } from './verdict.ts'

/** One question for credentials in a handler's run, and the verdict that came of it. */
export class Demand {
  /** Null: not decided yet. */
  verdict: Verdict | null = null
  /** The handler has ended: nothing may come of it any more. */
  over = false
}

/**
 * Holds a handler to its questions for credentials: it must end with the very verdict that each of them gave. One that
 * went on without waiting, or dropped a challenge and decided by itself, has made a mistake that must let nobody in.
 */
export class Demands {
  /** Null: nobody was asked, which is usual. */
  #open: Demand[] | null = null

  open(): Demand {
    const demand = new Demand()
    ;(this.#open ??= []).push(demand)
    return demand
  }

  /** The handler has returned this (undefined: it threw). False when it did not keep to what it had asked. */
  close(returned: unknown): boolean {
    if (this.#open === null) return true
    const kept = this.#open.every(({ verdict }) => verdict !== null && verdict === returned)
    for (const demand of this.#open) demand.over = true
    this.#open = null
    return kept
  }
}
