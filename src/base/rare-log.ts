import type { Clock } from './clock.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type Log = (level: LogLevel, text: string) => void

interface Cause {
  saidAt: number
  silenced: number
}

/** One line for each cause in ten seconds, with the number of those not said: a dead collector must not fill the log. */
export class RareLog {
  readonly #clock: Clock
  readonly #log: Log
  readonly #intervalMs: number
  readonly #causes = new Map<string, Cause>()

  constructor(clock: Clock, log: Log, intervalMs = 10_000) {
    this.#clock = clock
    this.#log = log
    this.#intervalMs = intervalMs
  }

  /** @param cause what repeats: a fixed word, never a part of a peer's message */
  say(cause: string, level: LogLevel, text: string): void {
    const now = this.#clock.now()
    const known = this.#causes.get(cause)
    if (known && now - known.saidAt < this.#intervalMs) {
      known.silenced++
      return
    }
    const more = known && known.silenced > 0 ? ` (and ${known.silenced} more since the last line)` : ''
    this.#causes.set(cause, { saidAt: now, silenced: 0 })
    this.#log(level, text + more)
  }
}
