/** The intervals of RFC 3261 Table 4, all in milliseconds. */
export interface TimerBase {
  /** Estimate of the round trip. */
  readonly t1: number
  /** Longest interval between repetitions of non-INVITE requests and INVITE responses. */
  readonly t2: number
  /** How long a message may stay in the network. */
  readonly t4: number
}

export interface Timers extends TimerBase {
  /** 64 × T1: timers B, F, H, J, L and M, and the life of a cancelled INVITE (§9.1). */
  readonly life: number
  /** Timer D: at least 32 s over unreliable transports (§17.1.1.2), and never less than H at the other end. */
  readonly d: number
  /** An INVITE that nobody has answered yet gets a 100 after this (§17.2.1). */
  readonly inviteTrying: number
  /** A non-INVITE gets its 100 when the client's timer E has grown to T2, and not earlier (RFC 4320 §4.1). */
  readonly nonInviteTrying: number
}

const DEFAULTS: TimerBase = { t1: 500, t2: 4000, t4: 5000 }

/** @param base what to change of T1 = 500, T2 = 4,000 and T4 = 5,000 ms; each more than 0 */
export function createTimers(base: Partial<TimerBase> = {}): Timers {
  const { t1, t2, t4 } = { ...DEFAULTS, ...base }
  let nonInviteTrying = 0
  for (let e = t1; e < t2; e *= 2) nonInviteTrying += e
  return {
    t1,
    t2,
    t4,
    life: 64 * t1,
    d: Math.max(32_000, 64 * t1),
    inviteTrying: 200,
    // When T1 is not below T2, timer E is at T2 from its first firing on.
    nonInviteTrying: nonInviteTrying || t2,
  }
}
