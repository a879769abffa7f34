import type { Address, Path, Protocol } from '../base/address.ts'
import type { Message, Request } from '../sip/message/message.ts'

/** One way to reach one peer: a UDP source and destination pair, or a stream connection. */
export interface Flow {
  /** Unique in the process, never used twice. */
  readonly id: number
  readonly path: Path
  /** True for stream transports: no retransmission timers (RFC 3261 §17). */
  readonly reliable: boolean
  /** No request can go out on it any more: it is gone, or what its peer says is not read any more. */
  readonly closed: boolean
  /** Responses still can. Absent: when it is not closed. */
  readonly answers?: boolean
  /** False when the transport failed now: the flow is gone or its send buffer is full. */
  send(message: Message): boolean
  /** Puts a keep-alive on the wire that is no message (RFC 5626 §4.4). False as of `send`. */
  ping?(text: string): boolean
}

export function takesAnswers(flow: Flow): boolean {
  return flow.answers ?? !flow.closed
}

/** Where a request goes next. */
export interface Target {
  readonly protocol: Protocol
  /** An IP address, IPv6 without brackets. */
  readonly host: string
  readonly port: number
  /** TLS: whom the peer's certificate must name, the host of the URI (RFC 5922 §4). Absent: the address itself. */
  readonly name?: string
  /** Use this connection while it is open, whatever host and port say (connection reuse, RFC 5626 flows). */
  readonly flow?: Flow
  /**
   * Leave by this listener of ours, where it fits, rather than by another one of the same protocol and family: the one the
   * request came in on, or the one a hole in a NAT is for.
   */
  readonly local?: Address
}

/** Host and port as they stand in a Via or a URI; an IPv6 address without brackets. */
export interface SentBy {
  readonly host: string
  readonly port: number
}

/** What tells several listeners of one protocol apart. */
export interface Toward {
  /** The peer's IP address: our own is of the same family. */
  readonly host?: string
  /** Our end of a path: that listener is taken where it fits. */
  readonly local?: Address
}

/** What the transaction layer and the transaction users need of the transport layer (§18). */
export interface TransportPort {
  /** Opens or reuses a way to the target; calls back once, possibly at once, with null when there is none. */
  reach(target: Target, then: (flow: Flow | null) => void): void
  /** The way back for responses to `request`: §18.2.2 and RFC 3581. */
  responseFlow(request: Request, arrivedOn: Flow, then: (flow: Flow | null) => void): void
  /** The sent-by of our Via on this transport (§18.1.1). The same object for the same listener. */
  sentBy(protocol: Protocol, toward?: Toward): SentBy
}
