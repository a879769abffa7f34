import type { Clock } from '../base/clock.ts'

/** What a drain does to the rest of the server. */
export interface Drainable {
  /** New calls get 503 with Retry-After from now on; everything else goes on. */
  refuseCalls(retryAfterSecs: number): Promise<void>
  /** Calls and followed dialogs that live, and transactions that still await something. */
  busy(): Promise<number>
  /** Whether there are transactions that have been answered and only absorb repetitions. */
  lingers(): Promise<boolean>
  /** The time is up: hangs up the calls we are a party of. How many there were. */
  endCalls(): Promise<number>
}

export interface DrainOptions {
  readonly clock: Clock
  /** From the signal until new calls are refused, ms: a load balancer's time to notice. */
  readonly lameDuckMs: number
  /** Longest wait for what still lives after that, ms. */
  readonly drainMs: number
}

const POLL_MS = 100
/**
 * How long peers may ask again for an answer that was lost on its way, ms: the second repetition of a request over UDP comes
 * 1.5 s after it (RFC 3261 §17.1.2.2). Transactions linger for 32 s; nobody would wait for that.
 */
const REPETITIONS_MS = 2_000
/** How long the BYEs of calls that are hung up at the deadline may take to be answered. */
const FAREWELL_MS = 1_000
/** What a refused caller is told: this node does not come back, but the next in line will do. */
const RETRY_AFTER_SECS = 5

/**
 * Waits until the server has nothing left to do, or no more time to do it. Readiness is the caller's to turn off before.
 * Resolves with how many transactions and dialogs were left.
 */
export async function drain(server: Drainable, options: DrainOptions): Promise<number> {
  const { clock, lameDuckMs, drainMs } = options
  const pause = (ms: number): Promise<void> => new Promise((done) => void clock.startTimer(ms, done))
  if (lameDuckMs > 0) await pause(lameDuckMs)
  await server.refuseCalls(RETRY_AFTER_SECS)
  const deadline = clock.now() + drainMs
  for (let lingered = false; ;) {
    const left = await server.busy()
    if (left === 0) {
      if (lingered || !(await server.lingers())) return 0
      lingered = true
      await pause(Math.max(0, Math.min(REPETITIONS_MS, deadline - clock.now())))
      continue
    }
    if (clock.now() >= deadline) break
    await pause(Math.min(POLL_MS, deadline - clock.now()))
  }
  const end = (await server.endCalls()) > 0 ? clock.now() + FAREWELL_MS : 0
  for (;;) {
    const left = await server.busy()
    if (left === 0 || clock.now() >= end) return left
    await pause(POLL_MS)
  }
}
