import { TimerLists } from './timer-lists.ts'

/** A timer that has been started. `cancel` after it fired, or twice, does nothing. */
export interface Timer {
  cancel(): void
}

/**
 * The only reader of time. Injected everywhere, so that a test moves time by hand and the
 * 32 seconds of timer B pass in two milliseconds.
 */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary origin, with a fraction. For durations and deadlines. */
  now(): number
  /** Milliseconds since the Unix epoch, with a fraction. For what people and collectors read. */
  wallTime(): number
  /** Calls `fire` once, `ms` milliseconds from now (at least; never synchronously). */
  startTimer(ms: number, fire: () => void): Timer
}

/** Wall and monotonic time may part by this much before the offset is taken anew: NTP slews, an operator sets the clock. */
const TOLERANCE_MS = 2
/** How often that is looked at: a message crosses the socket more often than the system clock is set. */
const CHECK_MS = 10
let offset = Date.now() - performance.now()
let checkedAt = 0

/** Sub-millisecond wall time that follows the system clock when it is set. */
function wallTime(): number {
  const now = performance.now()
  if (now - checkedAt < CHECK_MS) return offset + now
  checkedAt = now
  const wall = Date.now()
  if (Math.abs(wall - (offset + now)) > TOLERANCE_MS) offset = wall - now
  return offset + now
}

/** Milliseconds that only go forward, from one origin in all threads of the process. */
export function processTime(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

const timers = new TimerLists()

/** The machine's clocks. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime,
  startTimer: (ms, fire) => timers.start(ms, fire),
}
