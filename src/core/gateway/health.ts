import type { CircuitSettings, ProbeSettings } from './settings.ts'

/** What came of a probe. `unavailable`: 503 or 408; any other final answer is a sign of life. */
export type ProbeOutcome = 'answered' | 'unavailable' | 'timeout' | 'unreachable'

/**
 * What came of a request that was forwarded to a gateway. `refused`: any final answer from 300 on but 503.
 * `no_answer`: it rang until timer C. `unreachable`: no address, no connection, or one that broke.
 */
export type RequestResult =
  | 'answered'
  | 'refused'
  | 'unavailable'
  | 'no_answer'
  | 'timeout'
  | 'unreachable'
  | 'cancelled'

export const PROBE_OUTCOMES: readonly ProbeOutcome[] = ['answered', 'unavailable', 'timeout', 'unreachable']
export const REQUEST_RESULTS: readonly RequestResult[] = [
  'answered',
  'refused',
  'unavailable',
  'no_answer',
  'timeout',
  'unreachable',
  'cancelled',
]

/** Why a destination gets nothing, the strongest reason first. */
export type HealthState = 'up' | 'manual_down' | 'held' | 'probes_failed' | 'circuit_open'

/** A Retry-After longer than this is taken as this. */
const MAX_HOLD_DOWN_MS = 3_600_000
/** A trial of which nothing is heard in so long (timer B and a little) makes room for another. */
const TRIAL_MS = 35_000

/**
 * Whether a destination may be used: pure, told the time. Four things can take it out, each on its own:
 *
 *   an operator's `down`      until an operator's `up`; nothing else lifts it
 *   503 with Retry-After      to a probe: for so long
 *   failed probes in a row    until good ones in a row
 *   failed calls in a row     the circuit is open for a hold; after it one request is let through (half open): its success
 *                             closes the circuit, its failure opens it for twice as long
 */
export class Health {
  readonly #probe: Pick<ProbeSettings, 'failureThreshold' | 'successThreshold'>
  readonly #circuit: CircuitSettings
  #manualDown = false
  #heldUntil = -Infinity
  #probedDown = false
  #missed = 0
  #good = 0
  #failed = 0
  /** Of the circuit; -Infinity: closed. */
  #openUntil = -Infinity
  #hold = 0
  #trialUntil = -Infinity

  constructor(probe: Pick<ProbeSettings, 'failureThreshold' | 'successThreshold'>, circuit: CircuitSettings) {
    this.#probe = probe
    this.#circuit = circuit
  }

  /** Probes missed in a row. */
  get checksMissed(): number {
    return this.#missed
  }

  /** Calls failed in a row. */
  get callsFailed(): number {
    return this.#failed
  }

  get manuallyDown(): boolean {
    return this.#manualDown
  }

  state(now: number): HealthState {
    if (this.#manualDown) return 'manual_down'
    if (now < this.#heldUntil) return 'held'
    if (this.#probedDown) return 'probes_failed'
    if (now < this.#openUntil || now < this.#trialUntil) return 'circuit_open'
    return 'up'
  }

  usable(now: number): boolean {
    return this.state(now) === 'up'
  }

  /** It has been chosen for a request. While the circuit is half open, that one is the trial, and others are kept away. */
  chosen(now: number): void {
    if (this.#hold > 0) this.#trialUntil = now + TRIAL_MS
  }

  markDown(): void {
    this.#manualDown = true
  }

  /** An operator knows better: everything held against it is forgotten. */
  markUp(): void {
    this.#manualDown = false
    this.#heldUntil = -Infinity
    this.#probedDown = false
    this.#missed = 0
    this.#good = 0
    this.#close()
  }

  /** @param retryAfterMs of a 503; null when there was none */
  probed(outcome: ProbeOutcome, retryAfterMs: number | null, now: number): void {
    if (outcome === 'answered') {
      this.#missed = 0
      this.#good++
      if (this.#good >= this.#probe.successThreshold) this.#probedDown = false
      return
    }
    this.#good = 0
    this.#missed++
    if (retryAfterMs !== null) this.#heldUntil = now + Math.min(retryAfterMs, MAX_HOLD_DOWN_MS)
    if (this.#missed >= this.#probe.failureThreshold) this.#probedDown = true
  }

  /** A request got an answer that shows that it is served: ringing, or any final answer but 503. */
  served(): void {
    this.#close()
  }

  /** A request got 503, nothing, or nowhere. */
  failed(now: number): void {
    this.#failed++
    const { failures, holdMs, maxHoldMs } = this.#circuit
    if (failures === 0) return
    const trial = this.#hold > 0
    // Requests that were on their way when the circuit opened say nothing new.
    if (trial && now < this.#openUntil) return
    if (!trial && this.#failed < failures) return
    this.#hold = trial ? Math.min(this.#hold * 2, maxHoldMs) : holdMs
    this.#openUntil = now + this.#hold
    this.#trialUntil = -Infinity
  }

  /** A trial that was given up says nothing either way: the next request is the trial. */
  undecided(): void {
    this.#trialUntil = -Infinity
  }

  #close(): void {
    this.#failed = 0
    this.#hold = 0
    this.#openUntil = -Infinity
    this.#trialUntil = -Infinity
  }
}
