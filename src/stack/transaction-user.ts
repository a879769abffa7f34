import type { InviteClientState } from '../sip/transaction/invite-client.ts'
import type { InviteServerState } from '../sip/transaction/invite-server.ts'
import type { NonInviteClientState } from '../sip/transaction/non-invite-client.ts'
import type { NonInviteServerState } from '../sip/transaction/non-invite-server.ts'
import type { Request, Response } from '../sip/message/message.ts'
import type { EndReason } from '../sip/transaction/types.ts'
import type { Flow } from './transport.ts'

/**
 * What the transaction layer and its users, the cores (RFC 3261 §5), are to each other.
 *
 * The layer runs to completion: a call made from inside a callback takes effect when the effects in progress are
 * through, so no callback is ever entered while another one of the layer's is running.
 */

export interface ServerTransaction {
  readonly request: Request
  /** What the request came in on. Responses find their own way back (§18.2.2). */
  readonly flow: Flow
  /** The key of §17.2.3; unique among the living. */
  readonly id: string
  readonly state: InviteServerState | NonInviteServerState
  /**
   * Sends a response, its top Via being that of the request. False when it cannot follow what was sent before, when
   * RFC 4320 forbids it, or when the transaction is over: nothing happens then. A 408 to a non-INVITE is taken and
   * not sent (RFC 4320 §4.2).
   */
  respond(response: Response): boolean
  /** What its user keeps with it. The layer does not look at it. */
  owner: object | null
  /** Called once. 'timeout' when a final response to an INVITE was never acknowledged (timer H). */
  onEnd?: (reason: EndReason) => void
  /** A response could not be sent; the transaction lives on (RFC 6026 §8.8). Called at most once. */
  onTransportError?: () => void
}

export interface ClientTransaction {
  readonly request: Request
  /** Of the request's top Via: the key of §17.1.3. */
  readonly branch: string
  readonly state: InviteClientState | NonInviteClientState
  /** What the request left on; null while it is being reached. */
  readonly flow: Flow | null
  /**
   * Asks the other side to give up an INVITE. The CANCEL leaves when a provisional response has come, and never after
   * a final one (§9.1). The INVITE still ends with its own final response, or with 'timeout' 64 × T1 after the CANCEL.
   * Does nothing to other requests, nor the second time.
   * @param headers for the CANCEL: a Reason (RFC 3326)
   */
  cancel(headers?: readonly (readonly [name: string, value: string])[]): void
}

/** Who asked for a client transaction. */
export interface ClientUser {
  /** Each response but repetitions, its top Via still on; of an INVITE's 2xx every one (RFC 6026 §7.2). */
  onResponse(response: Response, transaction: ClientTransaction): void
  /** Called once, after the last response. 'timeout' acts as a 408, 'transport' as a 503 (§8.1.3.1). */
  onEnd(reason: EndReason, transaction: ClientTransaction): void
}

/** Who gets what starts something new. */
export interface TransactionUser {
  /**
   * A request that belongs to no transaction, never ACK or CANCEL. No state exists unless `accept` is called; call it
   * before returning, or a repetition of the request will come as another new one.
   */
  onRequest(request: Request, flow: Flow, accept: () => ServerTransaction): void
  /** An ACK for a 2xx, or for nothing we know. */
  onAck(ack: Request, flow: Flow): void
  /** @param invite what the CANCEL is for (§9.2), null when there is nothing like it: 481 */
  onCancel(
    cancel: Request,
    flow: Flow,
    invite: ServerTransaction | null,
    accept: () => ServerTransaction,
  ): void
  /** A response without a client transaction: a late 2xx to an INVITE (RFC 6026 §8.9), or nothing of ours. */
  onStrayResponse(response: Response, flow: Flow): void
}
