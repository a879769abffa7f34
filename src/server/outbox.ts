import type { Clock, Timer } from '../base/clock.ts'
import type { BindingMoved } from '../spine/bindings.ts'
import type { CallRecord, LogLine } from '../spine/facts.ts'

/** What the engine hands to the control thread in one message. */
export interface Batch {
  readonly records: readonly CallRecord[]
  readonly lines: readonly LogLine[]
  /** Changes of registrations to be kept, in their order. */
  readonly bindings: readonly BindingMoved[]
}

/** What comes in so many milliseconds goes in one message: to wake the other thread costs more than what is in it. */
const FLUSH_MS = 40
const MAX_LINES = 1_000

/**
 * Facts on their way from the engine to the control thread. The engine never waits for it: log lines past the
 * ceiling are dropped and counted. Records are never dropped here: the bounded queues are the sinks' own,
 * where each drop has a name and a counter.
 */
export class Outbox {
  readonly #clock: Clock
  readonly #post: (batch: Batch) => void
  #records: CallRecord[] = []
  #lines: LogLine[] = []
  #bindings: BindingMoved[] = []
  #droppedLines = 0
  #timer: Timer | null = null

  constructor(clock: Clock, post: (batch: Batch) => void) {
    this.#clock = clock
    this.#post = post
  }

  record(record: CallRecord): void {
    this.#records.push(record)
    this.#schedule()
  }

  binding(moved: BindingMoved): void {
    this.#bindings.push(moved)
    this.#schedule()
  }

  line(line: LogLine): void {
    if (this.#lines.length >= MAX_LINES) {
      this.#droppedLines++
      return
    }
    this.#lines.push(line)
    this.#schedule()
  }

  /** Sends what is waiting, now. */
  flush(): void {
    this.#timer?.cancel()
    this.#timer = null
    if (this.#droppedLines > 0) {
      const text = `${this.#droppedLines} log lines dropped: too many at once`
      this.#lines.push({ level: 'warn', module: 'log', text, fields: null, at: this.#clock.wallTime() })
      this.#droppedLines = 0
    }
    if (this.#records.length + this.#lines.length + this.#bindings.length === 0) return
    const batch = { records: this.#records, lines: this.#lines, bindings: this.#bindings }
    this.#records = []
    this.#lines = []
    this.#bindings = []
    this.#post(batch)
  }

  #schedule(): void {
    this.#timer ??= this.#clock.startTimer(FLUSH_MS, () => this.flush())
  }
}
