import type { Clock, Timer } from '../../base/clock.ts'
import type { LogLine } from '../../spine/facts.ts'

export interface RepetitionLimits {
  /** Lines of one text that pass in a window. */
  readonly lines: number
  readonly windowMs: number
  /** Different texts remembered in a window; lines of further ones are counted together. */
  readonly texts: number
}

const standard: RepetitionLimits = { lines: 10, windowMs: 10_000, texts: 1000 }

interface Seen {
  readonly line: LogLine
  count: number
}

/**
 * Lets the first lines of one text pass, counts the rest, and says how many they were when the window ends: under a flood
 * the log stays readable and costs little. Debug lines pass always; who asks for them wants all.
 */
export class RepetitionFilter {
  readonly #clock: Clock
  readonly #write: (line: LogLine) => void
  readonly #limits: RepetitionLimits
  readonly #seen = new Map<string, Seen>()
  #others = 0
  #timer: Timer | null = null

  /** @param write takes what passes, summaries included */
  constructor(clock: Clock, write: (line: LogLine) => void, limits: Partial<RepetitionLimits> = {}) {
    this.#clock = clock
    this.#write = write
    this.#limits = { ...standard, ...limits }
  }

  offer(line: LogLine): void {
    if (line.level === 'debug') {
      this.#write(line)
      return
    }
    this.#timer ??= this.#clock.startTimer(this.#limits.windowMs, () => this.endWindow())
    const key = `${line.level} ${line.module} ${line.text}`
    const seen = this.#seen.get(key)
    if (seen === undefined) {
      if (this.#seen.size >= this.#limits.texts) {
        this.#others++
        return
      }
      this.#seen.set(key, { line, count: 1 })
      this.#write(line)
    } else if (seen.count++ < this.#limits.lines) this.#write(line)
  }

  /** Writes the summaries and starts anew. Called by the timer, and before the log is closed. */
  endWindow(): void {
    this.#timer?.cancel()
    this.#timer = null
    const seconds = this.#limits.windowMs / 1000
    const at = this.#clock.wallTime()
    for (const { line, count } of this.#seen.values()) {
      const repeated = count - this.#limits.lines
      if (repeated <= 0) continue
      const text = `${line.text} (${repeated} more times in ${seconds} s)`
      this.#write({ level: line.level, module: line.module, text, fields: { repeated }, at })
    }
    if (this.#others > 0) {
      const text = `${this.#others} further lines of other texts in ${seconds} s were not written`
      this.#write({ level: 'warn', module: 'log', text, fields: { repeated: this.#others }, at })
    }
    this.#seen.clear()
    this.#others = 0
  }
}
