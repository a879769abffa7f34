import { BoundedQueue } from '../base/bounded-queue.ts'
import { TextMap } from '../base/text-map.ts'
import type { Run } from './run.ts'

/** Of the capacity, this part is kept for jobs inside dialogs: overload must not keep calls from ending. */
const IN_DIALOG_SHARE = 1 / 8

/**
 * Runs that wait for a worker, in order, one at a time for each Call-ID.
 *
 * A place is reserved before the request has any state and is held until a worker is offered the run. Runs that a
 * worker gave back have had their place and wait in front of all others.
 */
export class RunQueue {
  readonly #capacity: number
  readonly #initialCapacity: number
  /** Call-IDs with a run that is ready or with a worker, and the runs that wait for it. Null: none does. */
  readonly #calls = new TextMap<Run[] | null>()
  readonly #returned: Run[] = []
  readonly #inDialog = new BoundedQueue<Run>(Infinity)
  readonly #initial = new BoundedQueue<Run>(Infinity)
  #reserved = 0
  #behind = 0

  /** @param capacity most runs that wait at once, 1 or more */
  constructor(capacity: number) {
    this.#capacity = capacity
    this.#initialCapacity = Math.max(1, capacity - Math.max(1, Math.floor(capacity * IN_DIALOG_SHARE)))
  }

  /** Runs that wait, those included that wait for another of their call. */
  get size(): number {
    return this.ready + this.#behind
  }

  /** Runs that only want for a worker. */
  get ready(): number {
    return this.#returned.length + this.#inDialog.size + this.#initial.size
  }

  /** When the ready run that waits longest was handed in; Infinity when none is ready. */
  get oldest(): number {
    let oldest = Math.min(this.#inDialog.peek()?.since ?? Infinity, this.#initial.peek()?.since ?? Infinity)
    for (const run of this.#returned) oldest = Math.min(oldest, run.since)
    return oldest
  }

  /** Calls that have a run somewhere: 0 proves that nothing was left behind. */
  get calls(): number {
    return this.#calls.size
  }

  /** Takes a place. False: there is none for this share. */
  reserve(share: 'initial' | 'in-dialog'): boolean {
    const limit = share === 'initial' ? this.#initialCapacity : this.#capacity
    if (this.#reserved + this.size >= limit) return false
    this.#reserved++
    return true
  }

  release(): void {
    this.#reserved--
  }

  /** Puts in a run whose place was reserved (timers have none). */
  add(run: Run): void {
    if (run.callId !== null) {
      const behind = this.#calls.get(run.callId)
      if (behind !== undefined) {
        if (behind === null) this.#calls.set(run.callId, [run])
        else behind.push(run)
        this.#behind++
        return
      }
      this.#calls.set(run.callId, null)
    }
    this.#ready(run)
  }

  /** Puts a run back that a worker did not start: before all others. */
  putBack(run: Run): void {
    this.#returned.push(run)
  }

  /** The next run to offer; undefined when none is ready. */
  next(): Run | undefined {
    return this.#returned.shift() ?? this.#inDialog.shift() ?? this.#initial.shift()
  }

  /** A run is over: the next one of its call is ready. Once for each run that `next` gave. */
  settled(run: Run): void {
    if (run.callId === null) return
    const behind = this.#calls.get(run.callId)
    const next = behind?.shift()
    if (next === undefined) {
      this.#calls.delete(run.callId)
      return
    }
    this.#behind--
    this.#ready(next)
  }

  /** Takes out the ready runs handed in before `time`. */
  expire(time: number): Run[] {
    const expired: Run[] = []
    for (let at = this.#returned.length - 1; at >= 0; at--) {
      const run = this.#returned[at]
      if (run !== undefined && run.since < time) expired.push(...this.#returned.splice(at, 1))
    }
    for (const queue of [this.#inDialog, this.#initial]) {
      for (let run = queue.peek(); run !== undefined && run.since < time; run = queue.peek()) {
        queue.shift()
        expired.push(run)
      }
    }
    return expired
  }

  #ready(run: Run): void {
    if (run.share === 'in-dialog') this.#inDialog.push(run)
    else this.#initial.push(run)
  }
}
