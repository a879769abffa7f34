import { BoundedQueue } from '../base/bounded-queue.ts'
import { FairQueue } from '../base/fair-queue.ts'
import { TextMap } from '../base/text-map.ts'
import type { Run } from './run.ts'

/** Of the capacity, this part is kept for jobs inside dialogs: overload must not keep calls from ending. */
const IN_DIALOG_SHARE = 1 / 8
/**
 * Of the rest, this part is kept for datagrams when streams have all else, and for streams when datagrams have: connections
 * that ask and never read must not cost those their calls who have none, nor forged datagrams those who have one.
 */
const OTHERS_SHARE = 1 / 8

/**
 * Runs that wait for a worker, in order, one at a time for each Call-ID.
 *
 * A place is reserved before the request has any state and is held until a worker is offered the run. Runs that a
 * worker gave back have had their place and wait in front of all others. Those of datagrams and of streams go in turns, and of
 * those of streams each peer's: its address is its own, which a datagram's need not be.
 */
export class RunQueue {
  readonly #capacity: number
  readonly #initialCapacity: number
  /** Call-IDs with a run that is ready or with a worker, and the runs that wait for it. Null: none does. */
  readonly #calls = new TextMap<Run[] | null>()
  readonly #returned: Run[] = []
  readonly #inDialog = new BoundedQueue<Run>(Infinity)
  readonly #datagrams = new BoundedQueue<Run>(Infinity)
  readonly #streams = new FairQueue<Run>()
  /** Most places of the initial ones that either of the two may have. */
  readonly #most: number
  #reserved = 0
  #reservedOf = { datagrams: 0, streams: 0 }
  #streamsNext = false
  #behind = 0

  /** @param capacity most runs that wait at once, 1 or more */
  constructor(capacity: number) {
    this.#capacity = capacity
    this.#initialCapacity = Math.max(1, capacity - Math.max(1, Math.floor(capacity * IN_DIALOG_SHARE)))
    this.#most = this.#initialCapacity - Math.floor(this.#initialCapacity * OTHERS_SHARE)
  }

  /** Runs that wait, those included that wait for another of their call. */
  get size(): number {
    return this.ready + this.#behind
  }

  /** Runs that only want for a worker. */
  get ready(): number {
    return this.#returned.length + this.#inDialog.size + this.#datagrams.size + this.#streams.size
  }

  /** When the ready run that waits longest was handed in; Infinity when none is ready. */
  get oldest(): number {
    let oldest = Infinity
    for (const queue of [this.#inDialog, this.#datagrams]) {
      oldest = Math.min(oldest, queue.peek()?.since ?? Infinity)
    }
    for (const { since } of this.#streams.heads()) oldest = Math.min(oldest, since)
    for (const run of this.#returned) oldest = Math.min(oldest, run.since)
    return oldest
  }

  /** Calls that have a run somewhere: 0 proves that nothing was left behind. */
  get calls(): number {
    return this.#calls.size
  }

  /** Takes a place. False: there is none for this share. */
  reserve(share: 'initial' | 'in-dialog', stream: boolean): boolean {
    const limit = share === 'initial' ? this.#initialCapacity : this.#capacity
    if (this.#reserved + this.size >= limit) return false
    if (share === 'initial') {
      const queue = stream ? this.#streams : this.#datagrams
      if (queue.size + this.#reservedOf[stream ? 'streams' : 'datagrams'] >= this.#most) return false
    }
    this.#reserve(share, stream, 1)
    return true
  }

  release(share: 'initial' | 'in-dialog', stream: boolean): void {
    this.#reserve(share, stream, -1)
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
    const run = this.#returned.shift() ?? this.#inDialog.shift()
    if (run !== undefined) return run
    this.#streamsNext = !this.#streamsNext
    return this.#streamsNext
      ? (this.#streams.shift() ?? this.#datagrams.shift())
      : (this.#datagrams.shift() ?? this.#streams.shift())
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
    for (const queue of [this.#inDialog, this.#datagrams]) {
      for (let run = queue.peek(); run !== undefined && run.since < time; run = queue.peek()) {
        queue.shift()
        expired.push(run)
      }
    }
    expired.push(...this.#streams.takeWhile(({ since }) => since < time))
    return expired
  }

  #reserve(share: 'initial' | 'in-dialog', stream: boolean, change: 1 | -1): void {
    this.#reserved += change
    if (share === 'initial') this.#reservedOf[stream ? 'streams' : 'datagrams'] += change
  }

  #ready(run: Run): void {
    if (run.share === 'in-dialog') this.#inDialog.push(run)
    else if (run.stream) this.#streams.push(run.job?.path.remote.host ?? '', run)
    else this.#datagrams.push(run)
  }
}
