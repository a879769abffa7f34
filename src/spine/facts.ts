import type { Path, Protocol } from '../base/address.ts'
import type { Message } from '../sip/message/message.ts'

/**
 * What the call path says has happened. Facts are past tense, plain, and pushed; levels (table sizes, memory) are
 * pulled from the tables when somebody asks. Times `at` are wall-clock milliseconds with a fraction.
 */

/** A SIP message crossed a socket, whole and parsable. Published in the one place where bytes are read or written. */
export interface MessageCrossed {
  readonly path: Path
  /** The very bytes. Valid during `publish` only: copy what you keep. */
  readonly bytes: Uint8Array
  readonly message: Message
  readonly at: number
}

/** Bytes came in that are not a SIP message we can process (§16.3, RFC 4475 §3). */
export interface MessageFaulted {
  readonly path: Path
  readonly bytes: Uint8Array
  /** What is wrong, in one line without bytes of the peer's. */
  readonly what: string
  readonly at: number
}

/** A message was a repetition: received and absorbed by a transaction, or sent again by a timer. */
export interface Retransmitted {
  readonly method: string
  readonly direction: 'in' | 'out'
}

export interface FlowMoved {
  readonly path: Path
  /** Why a flow closed; null on opening and on an orderly end. */
  readonly error: string | null
}

export type CallResult =
  | 'answered'
  | 'cancelled'
  | 'busy'
  | 'no_answer'
  | 'rejected'
  | 'unavailable'
  | 'timeout'
  | 'error'
  | 'challenged'
  | 'shed'

export type DisconnectInitiator = 'caller' | 'callee' | 'timeout' | 'error' | 'server'

/** A call attempt was decided: its INVITE got a final response (or none ever). Once for each attempt. */
export interface CallDecided {
  readonly callId: string
  readonly result: CallResult
  readonly code: number
  /** Milliseconds from INVITE to the final response. */
  readonly setupMs: number
}

/** Everything a Call Detail Record is made of; see contract §5 for the meaning of each field. */
export interface CallRecord {
  readonly id: string
  readonly kind: 'proxy' | 'b2bua' | 'register'
  readonly callId: string
  readonly fromUri: string
  readonly toUri: string
  readonly ruri: string
  readonly method: string
  readonly startedAt: number
  readonly answeredAt: number | null
  readonly endedAt: number | null
  /** INVITE to final response, ms; null when there was none. On the monotonic clock. */
  readonly setupMs: number | null
  /** Answer to end, ms, on the monotonic clock; 0 when never answered. */
  readonly durationMs: number
  readonly responseCode: number
  readonly sourceIp: string
  readonly sourcePort: number
  readonly destinationIp: string | null
  readonly destinationPort: number | null
  readonly transport: Protocol | null
  readonly userAgent: string | null
  readonly authUser: string | null
  readonly disconnectInitiator: DisconnectInitiator | null
  readonly sipReason: string | null
  /** Call-IDs of the B legs; empty for a proxied call. */
  readonly legs: readonly string[]
  /** The script's own fields: JSON text of one object, or null. */
  readonly extra: string | null
  /** True when a script asked for this record with `cdr.write`. */
  readonly requested: boolean
  /** True when the attempt ended in a challenge (401, 407) and nothing else. */
  readonly challenged: boolean
}

export type RegistrationEvent = 'registered' | 'refreshed' | 'deregistered' | 'expired'

export interface RegistrationChanged {
  readonly aor: string
  readonly event: RegistrationEvent
  readonly contact: string
  readonly callId: string
  readonly at: number
  /** Where the REGISTER came from; null when no request caused the change (expiry, an operator). */
  readonly path: Path | null
  readonly userAgent: string | null
  readonly fromUri: string
  readonly ruri: string
}

/** A job of a script handler ended. */
export interface ScriptJobDone {
  /** `onRequest`, `onReply`, `onFailure`, `onCancel`, `timer`. */
  readonly handler: string
  /** Milliseconds in the queue before a worker took it. */
  readonly waitMs: number
  /** Milliseconds from dispatch to verdict. */
  readonly runMs: number
}

/** A job was refused because the queue was full. No state existed for its request. */
export interface ScriptJobShed {
  readonly method: string
  readonly callId: string
  readonly path: Path
}

export type ScriptFailureReason =
  | 'exception'
  | 'timeout'
  | 'no_verdict'
  | 'no_handler'
  | 'worker_lost'
  | 'bad_verdict'

export interface ScriptFailed {
  readonly handler: string
  readonly reason: ScriptFailureReason
  /** `file:line:col` of the throw, or of the handler's declaration; null when nothing is known. */
  readonly where: string | null
  readonly what: string
  readonly callId: string | null
}

/** A gateway of a group; `destination` is its name. */
export interface GatewayNamed {
  readonly group: string
  readonly destination: string
}

/** Something that was sent to a gateway came to its end: `probe`, an OPTIONS of ours; `request`, one we forwarded. */
export interface GatewayEnded extends GatewayNamed {
  readonly what: 'probe' | 'request'
  /** A `ProbeOutcome` or a `RequestResult`. */
  readonly outcome: string
}

/** A gateway answered a forwarded request: the first response above 100. */
export interface GatewayResponded extends GatewayNamed {
  /** Milliseconds from the sending of the request. */
  readonly ms: number
}

/** A request of our own (RFC 3261 §8.1) is over. */
export interface OwnRequestEnded {
  readonly purpose: 'probe' | 'script'
  readonly outcome: 'answered' | 'timeout' | 'unreachable'
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  /** The part of the server that speaks: `engine`, `script`, `registrar` … */
  readonly module: string
  readonly text: string
  readonly fields: Readonly<Record<string, unknown>> | null
  readonly at: number
}

export interface ServerMoved {
  readonly to: 'starting' | 'ready' | 'draining' | 'stopped'
}
