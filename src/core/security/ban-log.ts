import type { Clock, Timer } from '../../base/clock.ts'
import type { LogLine } from '../../spine/facts.ts'
import type { Ban } from './bans.ts'

/** Lines of each ten seconds; further bans are told by number. A flood of bans must not be a flood of lines. */
const MOST_LINES = 20
const PERIOD_MS = 10_000

/** A line for each ban that begins or ends: what is dropped before it is parsed is in no trace, so the log says who and why. */
export class BanLog {
  readonly #clock: Clock
  readonly #say: (line: LogLine) => void
  #lines = 0
  #unsaid = 0
  #period: Timer | null = null

  constructor(clock: Clock, say: (line: LogLine) => void) {
    this.#clock = clock
    this.#say = say
  }

  began(ban: Ban, ms: number): void {
    const { source, reason, score } = ban
    this.#line('warn', `${source} is banned for ${Math.ceil(ms / 1000)} s: ${reason}`, {
      source,
      reason,
      score,
    })
  }

  ended(ban: Ban, why: 'expired' | 'lifted' | 'replaced'): void {
    const { source, reason, drops } = ban
    const how =
      why === 'replaced' ? 'ends, because there are too many' : why === 'lifted' ? 'is lifted' : 'is over'
    this.#line('info', `the ban of ${source} ${how}; ${drops} refused`, { source, reason, drops })
  }

  close(): void {
    this.#period?.cancel()
    this.#tellUnsaid()
  }

  #line(level: LogLine['level'], text: string, fields: Record<string, unknown>): void {
    this.#period ??= this.#clock.startTimer(PERIOD_MS, () => {
      this.#period = null
      this.#lines = 0
      this.#tellUnsaid()
    })
    if (this.#lines >= MOST_LINES) {
      this.#unsaid++
      return
    }
    this.#lines++
    this.#say({ level, module: 'security', text, fields, at: this.#clock.wallTime() })
  }

  #tellUnsaid(): void {
    if (this.#unsaid === 0) return
    const text = `${this.#unsaid} more bans began or ended in the last ${PERIOD_MS / 1000} s`
    this.#unsaid = 0
    this.#say({ level: 'warn', module: 'security', text, fields: null, at: this.#clock.wallTime() })
  }
}
