import type { Address } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import type { Message, Request } from '../sip/message/message.ts'
import type { ClientTransaction, ClientUser } from '../stack/transaction-layer.ts'

/** What a request of a phone says; the rest is the same in all of them. */
export interface RequestParts {
  readonly uri: string
  /** The values of From and To, tags included. */
  readonly from: string
  readonly to: string
  readonly callId: string
  readonly cseq: number
  /** The route set, the first one first (§12.2.1.1). */
  readonly routes: readonly string[]
}

/** What a call needs of its phone. */
export interface PhoneLine {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly address: Address
  readonly aor: string
  /** The phone's Contact URI. */
  readonly contact: string
  request(method: string, parts: RequestParts): Request
  /** Sends a request in a transaction of its own. Without a user nobody hears of the answer. */
  send(request: Request, user?: ClientUser): ClientTransaction
  /** Sends an ACK for a 2xx: it has no transaction (§13.2.2.4). */
  sendAck(ack: Request): void
  /** The URI in the Contact of a message, undefined when there is none. */
  contactOf(message: Message): string | undefined
  /** The call has ended; requests for it get 481 from now on. */
  forget(call: object): void
}
