import type { Request, Response } from '../message/message.ts'

/**
 * What legs say to the bridge and to the shell.
 *
 * Legs exchange call-control events and never each other's SIP: an event carries a session description, a status, and
 * header fields that may cross, and nothing of Via, Contact, tags, Call-ID or CSeq.
 */
export type Header = readonly [name: string, value: string]

/** A body with the fields that describe it. */
export interface Content {
  readonly body: string
  readonly fields: readonly Header[]
}

/** What a request or response brings that is not the leg's own affair. */
export interface Payload {
  readonly content: Content | null
  /** End-to-end fields; the bridge's header policy decides which of them cross. */
  readonly headers: readonly Header[]
}

export const NOTHING: Payload = { content: null, headers: [] }

/** The final outcome of something asked of the other side. */
export interface Outcome extends Payload {
  /** 200 … 699. */
  readonly status: number
  /** As the peer worded it; null: the standard phrase. */
  readonly reason: string | null
}

/** A provisional response (above 100) of a callee. */
export interface Progress extends Payload {
  /** 101 … 199. */
  readonly status: number
  readonly reason: string | null
  /** The peer waits for a PRACK (RFC 3262). */
  readonly reliable: boolean
}

/** Why an outgoing INVITE came to nothing. */
export type RefusedBy =
  /** A response from downstream. */
  | 'peer'
  /** Not one response (timer B), or none after a CANCEL. */
  | 'timeout'
  /** It could not be sent. */
  | 'transport'
  /** It leads nowhere: no URI we can reach. */
  | 'unroutable'
  /** It rang too long: we have cancelled it. */
  | 'no-answer'
  /** We gave it up. */
  | 'cancelled'

/** Who ended an established session. */
export type EndedBy =
  /** Its BYE. */
  | 'peer'
  /** The session timer, or an ACK that never came. */
  | 'timeout'
  /** It no longer knows the dialog or does not answer (408, 481). */
  | 'error'
  /** We did. */
  | 'us'

export type TimerName =
  /** The next repetition of a 2xx (§13.3.1.4), and the end of it. */
  | 'repeat'
  | 'unacked'
  /** The next repetition of a reliable provisional response (RFC 3262 §3), and the end of it. */
  | 'reliable'
  | 'unpracked'
  /** RFC 4028 §10. */
  | 'refresh'
  | 'expire'
  /** §14.1: after a 491. */
  | 'glare'
  /** How long a callee may ring. */
  | 'answer'

/** What has timers and client transactions. `id` is unique in its bridge. */
export interface Actor {
  readonly id: number
  timerFired(timer: TimerName): void
  onResponse(ref: number, response: Response): void
  /** The transaction ended without a final response. */
  onFailed(ref: number, reason: 'timeout' | 'transport' | 'unroutable', status: number): void
  /** The client transaction is over: no further 2xx can come. */
  onTransactionOver(ref: number): void
}

/** What the shell is to do, in order. */
export type Effect =
  /** Start a client transaction; Via and Contact are the shell's to add. */
  | {
      readonly do: 'request'
      readonly by: Actor
      readonly ref: number
      readonly request: Request
      readonly nextHop: string
    }
  /** Ask the peer to give up this INVITE (§9.1). */
  | { readonly do: 'cancel'; readonly by: Actor; readonly ref: number; readonly headers: readonly Header[] }
  /** An ACK for a 2xx, which is no transaction. The same message again when it is repeated. */
  | { readonly do: 'ack'; readonly request: Request; readonly nextHop: string }
  /** Answer a server transaction; Contact is the shell's to add. */
  | { readonly do: 'respond'; readonly transaction: number; readonly response: Response }
  /** `spreadMs`: up to so much more, at random. */
  | {
      readonly do: 'startTimer'
      readonly by: Actor
      readonly timer: TimerName
      readonly ms: number
      readonly spreadMs: number
    }
  | { readonly do: 'stopTimer'; readonly by: Actor; readonly timer: TimerName }

export type Out = (effect: Effect) => void
