import type { Request, Response } from '../message/message.ts'

/**
 * What the transaction machines (RFC 3261 §17) say, and what they want done.
 *
 * A machine takes one input at a time and returns effects; whoever runs it performs them in order and feeds back
 * what happens. Machines know no sockets and no clocks: a timer firing is an input like a message.
 */

/**
 * Table 4 of RFC 3261 and RFC 6026's L and M. Two have no letter: `trying` is when a server says 100 by itself
 * (§17.2.1; RFC 4320 §4.1), `cancelled` is how long a cancelled INVITE may stay without a final response (§9.1).
 */
export type TimerName =
  | 'A'
  | 'B'
  | 'D'
  | 'E'
  | 'F'
  | 'G'
  | 'H'
  | 'I'
  | 'J'
  | 'K'
  | 'L'
  | 'M'
  | 'trying'
  | 'cancelled'

/** For a client transaction 'timeout' acts as a 408 and 'transport' as a 503 (§8.1.3.1). */
export type EndReason = 'normal' | 'timeout' | 'transport'

export interface StartTimer {
  readonly do: 'startTimer'
  readonly timer: TimerName
  /** Milliseconds, more than 0. */
  readonly ms: number
}

export interface StopTimer {
  readonly do: 'stopTimer'
  readonly timer: TimerName
}

/** A repetition was received and goes no further. Only to be counted. */
export interface Absorb {
  readonly do: 'absorb'
  readonly method: string
}

/** The last effect of a machine's life: forget it and stop every timer it has. */
export interface End {
  readonly do: 'end'
  readonly reason: EndReason
}

export type CommonEffect = StartTimer | StopTimer | Absorb | End

export type ClientEffect =
  | CommonEffect
  /** `resend` is a `send` of what has been sent before; it is counted as a retransmission. */
  | { readonly do: 'send' | 'resend'; readonly message: Request }
  | { readonly do: 'deliver'; readonly response: Response }
  /** To whoever takes responses that belong to no transaction. */
  | { readonly do: 'deliverStray'; readonly response: Response }
  /** Start a CANCEL for this INVITE, as a transaction of its own (§9.1). */
  | { readonly do: 'sendCancel' }

export type ServerEffect =
  | CommonEffect
  | { readonly do: 'send' | 'resend'; readonly message: Response }
  /** An ACK for a 2xx: the transaction user's (RFC 6026 §7.1). */
  | { readonly do: 'deliverAck'; readonly ack: Request }

/** Nothing to do: the input was of no consequence in this state. One array for all, never written to. */
export const NOTHING: readonly never[] = Object.freeze([])

export const END_NORMAL: End = { do: 'end', reason: 'normal' }
export const END_TIMEOUT: End = { do: 'end', reason: 'timeout' }
export const END_TRANSPORT: End = { do: 'end', reason: 'transport' }

export const send = <M extends Request | Response>(
  message: M,
): { readonly do: 'send'; readonly message: M } => ({
  do: 'send',
  message,
})

export const resend = <M extends Request | Response>(
  message: M,
): { readonly do: 'resend'; readonly message: M } => ({ do: 'resend', message })

export const deliver = (response: Response): { readonly do: 'deliver'; readonly response: Response } => ({
  do: 'deliver',
  response,
})

/** The last one made of each name: nearly every transaction asks for the same, and some keep it for 32 s. */
const started = new Map<TimerName, StartTimer>()

export function startTimer(timer: TimerName, ms: number): StartTimer {
  const known = started.get(timer)
  if (known?.ms === ms) return known
  const effect: StartTimer = { do: 'startTimer', timer, ms }
  started.set(timer, effect)
  return effect
}

export const stopTimer = (timer: TimerName): StopTimer => ({ do: 'stopTimer', timer })

export const absorb = (method: string): Absorb => ({ do: 'absorb', method })
