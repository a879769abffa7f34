import type { Timer } from './clock.ts'
import { type Linked, LinkedSet } from './linked-set.ts'

/** Lists there are at most; timers of yet another duration are node's own. */
const MAX_LISTS = 64

/**
 * Timers of equal duration fall due in the order of their start: one list for each duration, with one timer of node's for its
 * head. Node keeps such lists, too, but makes of each timer an object that knows its asynchronous context and its number, which
 * costs more than all that a transaction does with its timers, nearly all of which are cancelled.
 */
export class TimerLists {
  readonly #lists = new Map<number, TimerList>()

  /** As `Clock.startTimer`. */
  start(ms: number, fire: () => void): Timer {
    let list = this.#lists.get(ms)
    if (list === undefined) {
      if (this.#lists.size >= MAX_LISTS || !Number.isSafeInteger(ms)) return new NodeTimer(ms, fire)
      list = new TimerList(ms)
      this.#lists.set(ms, list)
    }
    return list.start(fire)
  }
}

class NodeTimer implements Timer {
  readonly #handle: NodeJS.Timeout

  constructor(ms: number, fire: () => void) {
    this.#handle = setTimeout(fire, ms)
  }

  cancel(): void {
    clearTimeout(this.#handle)
  }
}

class ListedTimer implements Timer, Linked<ListedTimer> {
  inSet: LinkedSet<ListedTimer> | null = null
  before: ListedTimer | null = null
  after: ListedTimer | null = null
  readonly list: TimerList
  readonly fire: () => void
  /** Monotonic ms. */
  readonly due: number

  constructor(list: TimerList, fire: () => void, due: number) {
    this.list = list
    this.fire = fire
    this.due = due
  }

  cancel(): void {
    this.list.remove(this)
  }
}

class TimerList {
  readonly #ms: number
  readonly #timers = new LinkedSet<ListedTimer>()
  /** Runs while there are timers; when there are none it is left to run out, and keeps nobody alive. */
  #handle: NodeJS.Timeout | null = null

  constructor(ms: number) {
    this.#ms = ms
  }

  start(fire: () => void): Timer {
    const timer = new ListedTimer(this, fire, performance.now() + this.#ms)
    if (this.#timers.size === 0) {
      if (this.#handle === null) this.#wait(this.#ms)
      else this.#handle.ref()
    }
    this.#timers.add(timer)
    return timer
  }

  remove(timer: ListedTimer): void {
    if (this.#timers.delete(timer) && this.#timers.size === 0) this.#handle?.unref()
  }

  #wait(ms: number): void {
    this.#handle = setTimeout(() => this.#run(), ms)
  }

  #run(): void {
    this.#handle = null
    const now = performance.now()
    try {
      for (let next = this.#timers.first; next !== null && next.due <= now; next = this.#timers.first) {
        this.remove(next)
        next.fire()
      }
    } finally {
      const next = this.#timers.first
      // A timer started meanwhile may have set it.
      if (next !== null && this.#handle === null)
        this.#wait(Math.max(1, Math.ceil(next.due - performance.now())))
    }
  }
}
