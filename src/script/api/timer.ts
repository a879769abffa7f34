import { registry } from './registry.ts'
import { show } from './checks.ts'
import { ScriptError } from './script-error.ts'
import { services } from './services.ts'
import { encodeText } from './text.ts'

export interface TimerOptions {
  /** In logs and metrics; `every 30s` unless told. */
  readonly name?: string
  /** Up to so many seconds are added to each interval, at random, so that many servers do not tick together. */
  readonly jitter?: number
}

/** A one-shot timer that was set. */
export interface TimerHandle {
  readonly key: string
  /** As `timer.cancel(key)`. */
  cancel(): Promise<boolean>
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

  /**
   * Runs `handler(key)` once, `delayMs` (1 ms … 24 days) from now. A key has one timer over all workers: setting it again
   * replaces it. The handler runs in the worker that set it, outside of any call: what it throws is logged and counted under
   * `handler="outside"`. The timer is gone when that worker is: with a reload of the script, or when the worker is lost.
   */
  set(key: string, delayMs: number, handler: (key: string) => void | Promise<void>): TimerHandle {
    const text = keyOf(key, 'timer.set')
    if (typeof delayMs !== 'number' || !(delayMs >= 1 && delayMs <= 2_073_600_000)) {
      throw new ScriptError(`timer.set: ${show(delayMs)} is not a delay: 1 to 2073600000 ms`)
    }
    if (typeof handler !== 'function') throw new ScriptError('timer.set needs a function')
    const { call, generation } = services()
    void call('timer.set', text, generation, delayMs).then((reader) =>
      reader.number() === 1 ? handler(key) : undefined,
    )
    return { key, cancel: () => timer.cancel(key) }
  },

  /** Whether there was a timer of this key; it does not run then. */
  async cancel(key: string): Promise<boolean> {
    return (await services().call('timer.cancel', keyOf(key, 'timer.cancel'))).number() === 1
  },
}

function keyOf(key: unknown, verb: string): string {
  if (typeof key === 'string' && key !== '' && key.length <= 256) return encodeText(key)
  throw new ScriptError(`${verb}: ${show(key)} is not a key: a text of 1 to 256 characters`)
}
