import type { Timer } from './clock.ts'

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

class ListedTimer implements Timer {
  /** Null when it has fired or was cancelled. */
  list: TimerList | null
  readonly fire: () => void
  /** Monotonic ms. */
  readonly due: number
  before: ListedTimer | null
  after: ListedTimer | null = null

  constructor(list: TimerList, fire: () => void, due: number, before: ListedTimer | null) {
    this.list = list
    this.fire = fire
    this.due = due
    this.before = before
  }

  cancel(): void {
    this.list?.remove(this)
  }
}

class TimerList {
  readonly #ms: number
  #head: ListedTimer | null = null
  #tail: ListedTimer | null = null
  /** Runs while there are timers; when there are none it is left to run out, and keeps nobody alive. */
  #handle: NodeJS.Timeout | null = null

  constructor(ms: number) {
    this.#ms = ms
  }

  start(fire: () => void): Timer {
    const timer = new ListedTimer(this, fire, performance.now() + this.#ms, this.#tail)
    if (this.#tail !== null) this.#tail.after = timer
    else {
      this.#head = timer
      if (this.#handle === null) this.#wait(this.#ms)
      else this.#handle.ref()
    }
    this.#tail = timer
    return timer
  }

  remove(timer: ListedTimer): void {
    const { before, after } = timer
    if (before === null) this.#head = after
    else before.after = after
    if (after === null) this.#tail = before
    else after.before = before
    timer.list = timer.before = timer.after = null
    if (this.#head === null) this.#handle?.unref()
  }

  #wait(ms: number): void {
    this.#handle = setTimeout(() => this.#run(), ms)
  }

  #run(): void {
    this.#handle = null
    const now = performance.now()
    try {
      for (let next = this.#head; next !== null && next.due <= now; next = this.#head) {
        this.remove(next)
        next.fire()
      }
    } finally {
      const next = this.#head
      // A timer started meanwhile may have set it.
      if (next !== null && this.#handle === null)
        this.#wait(Math.max(1, Math.ceil(next.due - performance.now())))
    }
  }
}
