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
  /** As far as they are there; null: it was too long to be read at all. */
  readonly bytes: Uint8Array | null
  /** What is wrong, in one line without bytes of the peer's. */
  readonly what: string
  readonly at: number
}

/** A message was a repetition: received and absorbed by a transaction, or sent again by a timer. */
export interface Retransmitted {
  readonly method: string
  readonly direction: 'in' | 'out'
}

/** Why a request went to the next target of its hop (RFC 3263 §4.3). */
export type FailoverReason = 'timeout' | 'transport' | '503'

export interface HopFailedOver {
  readonly reason: FailoverReason
}

/** A question to the name servers was answered, or given up. What is remembered is not asked. */
export interface DnsAsked {
  readonly type: 'A' | 'AAAA' | 'SRV' | 'NAPTR'
  /** `none`: no such record or name. `error`: no server knew. `timeout`: none answered. */
  readonly outcome: 'found' | 'none' | 'error' | 'timeout'
  readonly ms: number
}

export interface FlowMoved {
  readonly path: Path
  /** Why a flow closed; null on opening and on an orderly end. */
  readonly error: string | null
}

/** A TLS or WebSocket handshake came to nothing, the peer's or one that we had begun. */
export interface HandshakeFailed {
  readonly protocol: Protocol
  /** Who came to us; null: whom we went to, or one whose address a load balancer has not told yet. */
  readonly source: string | null
  readonly why: string
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

/** A call attempt began: its `CallRecord` follows at its end, whatever that is. Once for each attempt. */
export interface CallStarted {
  readonly id: string
  readonly callId: string
}

/** A call attempt was decided: its INVITE got a final response (or none ever). Once for each attempt. */
export interface CallDecided {
  readonly callId: string
  readonly result: CallResult
  readonly code: number
  /** Milliseconds from INVITE to the final response. */
  readonly setupMs: number
}

/** A leg that the back-to-back user agent made is over. */
export interface LegEnded {
  readonly result: 'answered' | 'refused' | 'cancelled'
  /** Milliseconds from its INVITE to its answer; null when there was none. */
  readonly setupMs: number | null
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
  /** What the media engine says of the call when it ends; null or absent when it carried none, or did not say. */
  readonly media?: MediaFigures | null
}

/** One side of a call: what it sent, and how well it heard the other. */
export interface MediaLegFigures {
  /** RTP packets, bytes and errors received from this side. */
  readonly packets: number
  readonly bytes: number
  readonly errors: number
  /** Averages of what this side has reported by RTCP of the audio it received; null without reports. */
  readonly lossPercent: number | null
  readonly jitterMs: number | null
  /** 1.0 … 5.0 */
  readonly mos: number | null
}

export interface MediaFigures {
  /** `ip:port` of the media engine. */
  readonly instance: string
  /** Of the first audio stream, as in rtpmap: `PCMU/8000`; null when none is known. */
  readonly codec: string | null
  readonly caller: MediaLegFigures
  readonly callee: MediaLegFigures
}

/** A media engine counts as up or down from now on. */
export interface MediaEngineMoved {
  /** `ip:port` */
  readonly address: string
  readonly up: boolean
  readonly why: string
}

/** A command to a media engine ended. */
export interface MediaCommandDone {
  readonly command: string
  readonly outcome: 'ok' | 'error' | 'timeout' | 'malformed'
  /** Milliseconds from its first sending. */
  readonly ms: number
}

export type RegistrationEvent = 'registered' | 'refreshed' | 'deregistered' | 'expired'

/** What made a registration change: a REGISTER, the clock, somebody here, or a flow that carries nothing any more. */
export type RegistrationReason = 'request' | 'expired' | 'operator' | 'script' | 'flow_closed' | 'no_answer'

export interface RegistrationChanged {
  readonly aor: string
  readonly event: RegistrationEvent
  readonly reason: RegistrationReason
  readonly contact: string
  readonly callId: string
  readonly at: number
  /** Where the REGISTER came from; null when no request caused the change (expiry, an operator). */
  readonly path: Path | null
  readonly userAgent: string | null
  readonly fromUri: string
  readonly ruri: string
}

/** A keep-alive (RFC 5626 §4.4): a ping of a peer's that was answered, or one of ours. */
export interface KeptAlive {
  readonly method: 'crlf' | 'stun' | 'null' | 'options'
  /** `answered`: by us (crlf, stun), or by the phone (options). `failed`: not sent, or no answer came. */
  readonly outcome: 'sent' | 'answered' | 'failed'
}

/** A NOTIFY of ours has had its end (RFC 6665). */
export interface Notified {
  readonly event: 'reg'
  readonly outcome: 'delivered' | 'failed'
}

/** A job of a script handler ended. */
export interface ScriptJobDone {
  /** `onRequest`, `onReply`, `onFailure`, `onCancel`, `timer`. */
  readonly handler: string
  /** Milliseconds in the queue before a worker took it. */
  readonly waitMs: number
  /** Milliseconds from its start in a worker to the verdict. */
  readonly runMs: number
}

/** A job was refused because the queue was full. No state existed for its request. */
export interface ScriptJobShed {
  readonly method: string
  readonly callId: string
  readonly path: Path
}

/** What was wrong with the credentials of a request that a script asked for some. */
export type CredentialFailure =
  /** There were none for the realm: every honest phone's first request. */
  | 'none'
  | 'wrong'
  /** The nonce is not one of ours. */
  | 'forged_nonce'
  /** Nonce and count have been used before. */
  | 'replayed'
  /** Right in form, but the nonce is too old: the phone tries again by itself. */
  | 'stale'
  | 'unknown_user'
  /** Not what RFC 7616 §3.4 lets a client send. */
  | 'malformed'

/** A script asked who sent a request, and it was decided. Not published when the users' backend did not answer. */
export interface Authenticated {
  readonly ok: boolean
  /** Null when `ok`. */
  readonly reason: CredentialFailure | null
  /** Where the request came from. */
  readonly path: Path
}

/** The users' backend was asked, or need not be. */
export interface AuthBackendAsked {
  readonly outcome: 'found' | 'unknown' | 'timeout' | 'error' | 'cached'
}

export type ScriptFailureReason =
  | 'exception'
  | 'timeout'
  | 'no_verdict'
  | 'no_handler'
  | 'worker_lost'
  | 'bad_verdict'
  /** It asked for credentials and did not end with what came of it. */
  | 'auth_ignored'

/** A script was put into service: the first, or another in its place. */
export interface ScriptServes {
  /** Names of its handlers as failures give them: `onRequest(INVITE)`, `timer(health)`. */
  readonly handlers: readonly string[]
}

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

/** Nobody acknowledged our refusal of an INVITE (RFC 3261 §17.2.1, timer H). */
export interface InviteUnacknowledged {
  readonly path: Path
}

export type DropReason =
  /** `security.acl` shuts the source out. */
  | 'acl'
  | 'banned'
  /** More requests than `security.rate_limit` lets one source send. */
  | 'rate_limit'
  | 'scanner'
  /** As many connections as there may be, in all or from one source. */
  | 'connections'
  | 'connections_per_source'
  /** As many handshakes (TLS, WebSocket) in progress as there may be. */
  | 'handshakes'
  /** Not from a load balancer of ours, or without the PROXY header that it must begin with. */
  | 'proxy_protocol'
  /** A connection was cut: a message took too long, or nothing came at all for too long … */
  | 'slow_message'
  | 'idle'
  /** … or the peer did not read what we sent. */
  | 'slow_reader'

/** Something from a peer was not taken: a datagram or a message before it was parsed, or a connection. */
export interface Dropped {
  readonly reason: DropReason
  readonly protocol: Protocol
}

/** A source was banned. */
export interface Banned {
  readonly kind: 'rate_limit' | 'failed_auth' | 'script'
}

export interface ServerMoved {
  readonly to: 'starting' | 'ready' | 'draining' | 'stopped'
}
