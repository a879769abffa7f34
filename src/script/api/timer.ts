import { registry } from './registry.ts'
import { show } from './checks.ts'
import { ScriptError } from './script-error.ts'

export interface TimerOptions {
  /** In logs and metrics; `every 30s` unless told. */
  readonly name?: string
  /** Up to so many seconds are added to each interval, at random, so that many servers do not tick together. */
  readonly jitter?: number
}

export const timer = {
  /**
   * Runs `handler` every `seconds` (1 ms … 24 days), the first time after one interval. Each tick runs once, in one worker of
   * all, has the time limit of a handler, and never overlaps the one before. Only while the script loads.
   */
  every(seconds: number, handler: () => void | Promise<void>, options: TimerOptions = {}): void {
    const jitter = options.jitter ?? 0
    if (typeof seconds !== 'number' || !(seconds >= 0.001 && seconds <= 2_073_600)) {
      throw new ScriptError(`timer.every: ${show(seconds)} is not an interval: 0.001 to 2073600 seconds`)
    }
    if (typeof jitter !== 'number' || !(jitter >= 0 && jitter <= seconds * 10)) {
      throw new ScriptError(`timer.every: ${show(jitter)} is not a jitter: 0 to ten intervals`)
    }
    // setTimeout holds 24.8 days, jitter included.
    if ((seconds + jitter) * 1000 > 2 ** 31 - 1) throw new ScriptError('timer.every: longer than 24.8 days')
    const index = registry.add('timer', null, `timer(${options.name ?? `every ${seconds}s`})`, handler)
    registry.timers.push({ handler: index, seconds, jitter })
  },
}
