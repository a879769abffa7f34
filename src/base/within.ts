import type { Clock } from './clock.ts'

/** Waits for what may never come, for at most `ms`. Whether it came; what it came with, or failed with, is nobody's concern. */
export function within(clock: Clock, ms: number, awaited: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.startTimer(ms, () => resolve(false))
    const came = (): void => {
      timer.cancel()
      resolve(true)
    }
    awaited.then(came, came)
  })
}
