import { BoundedQueue } from '../../base/bounded-queue.ts'

/** A record on its way to one sink. */
export interface Entry {
  readonly id: string
  /** The record as JSON, one line without its end. Shared between sinks. */
  readonly line: string
  /** Wall-clock milliseconds when it was queued. */
  readonly at: number
  /** Attempts that failed so far, at this sink. */
  failures: number
}

/**
 * What became of a record, for good. One of:
 * - `delivered` at the first attempt;
 * - `retried`: delivered after one or more attempts had failed;
 * - `dropped`: the queue was full, or neither sink nor spool took it at the end;
 * - `dead`: the sink will never take it; it lies in the dead-letter file when one is configured;
 * - `spooled`: kept on disk at the end, to be queued again (and counted again) by the next start.
 */
export type Outcome = 'delivered' | 'retried' | 'dropped' | 'dead' | 'spooled'

/** enqueued = delivered + retried + dropped + dead + spooled + queued, always. */
export interface SinkLevels {
  readonly sink: string
  /** Records offered to the sink, those taken from the last run's spool included. */
  readonly enqueued: number
  readonly delivered: number
  readonly retried: number
  readonly dropped: number
  readonly dead: number
  readonly spooled: number
  /** Waiting, in flight or waiting for another attempt. */
  readonly queued: number
  /** Failed attempts that were followed, or will be, by another: not part of the sum. */
  readonly retries: number
}

/** The bounded queue of one sink and the account of what became of each record. */
export class Outbox {
  readonly sink: string
  readonly capacity: number
  readonly #waiting: BoundedQueue<Entry>
  readonly #counts: Record<Outcome, number> = { delivered: 0, retried: 0, dropped: 0, dead: 0, spooled: 0 }
  readonly #onSettled: (entry: Entry, outcome: Outcome) => void
  #held = 0
  #enqueued = 0
  #retries = 0
  #whenEmpty: (() => void)[] = []

  /** @param capacity most records waiting, in flight and to be tried again, together */
  constructor(
    sink: string,
    capacity: number,
    onSettled: (entry: Entry, outcome: Outcome) => void = () => undefined,
  ) {
    this.sink = sink
    this.capacity = capacity
    this.#waiting = new BoundedQueue(Number.MAX_SAFE_INTEGER)
    this.#onSettled = onSettled
  }

  get queued(): number {
    return this.#waiting.size + this.#held
  }

  /** Records that no attempt holds. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** False when there is no room: dropped and counted. `keep` takes it beyond the bound (the spool of the last run). */
  offer(entry: Entry, keep = false): boolean {
    this.#enqueued++
    if (!keep && this.queued >= this.capacity) {
      this.#counts.dropped++
      return false
    }
    return this.#waiting.push(entry)
  }

  /** The oldest waiting record. The taker holds it until `settle`. */
  take(): Entry | undefined {
    const entry = this.#waiting.shift()
    if (entry) this.#held++
    return entry
  }

  peek(): Entry | undefined {
    return this.#waiting.peek()
  }

  /** The sink took it. */
  delivered(entry: Entry): void {
    this.settle(entry, entry.failures > 0 ? 'retried' : 'delivered')
  }

  /** An attempt failed and there will be another: the entry stays held. */
  failed(entry: Entry): void {
    entry.failures++
    this.#retries++
  }

  /** Ends a held record's stay. */
  settle(entry: Entry, outcome: Outcome): void {
    this.#held--
    this.#counts[outcome]++
    this.#onSettled(entry, outcome)
    if (this.queued > 0) return
    for (const tell of this.#whenEmpty) tell()
    this.#whenEmpty = []
  }

  /** Resolves when nothing is queued. */
  whenEmpty(): Promise<void> {
    if (this.queued === 0) return Promise.resolve()
    return new Promise((resolve) => void this.#whenEmpty.push(resolve))
  }

  levels(): SinkLevels {
    return {
      sink: this.sink,
      enqueued: this.#enqueued,
      ...this.#counts,
      queued: this.queued,
      retries: this.#retries,
    }
  }
}

/** One place records go to. It works on its own outbox at its own pace, and never delays another. */
export interface Sink {
  readonly outbox: Outbox
  start(): void
  /** A record was queued. */
  wake(): void
  /** Try now what waits for a linger or a backoff: the end is near. */
  hurry(): void
  /** Stops for good. Returns the records it still held, oldest first; those waiting stay in the outbox. */
  close(): Promise<Entry[]>
  /** Opens its file anew (after logrotate); only the file sink has one. */
  reopen?(): void
}
