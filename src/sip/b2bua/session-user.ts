import type { Request } from '../message/message.ts'
import type { Content, EndedBy, Header, Payload } from './events.ts'
import { payloadOf } from './headers.ts'
import type { Session } from './session.ts'

/** A request of the peer's that waits for our answer: `session.answer(ask, …)`, once; later ones do nothing. */
export class Ask implements Payload {
  readonly method: string
  readonly content: Content | null
  readonly headers: readonly Header[]
  /** @internal The session's own. */
  readonly request: Request
  /** @internal */
  readonly transaction: number
  /** @internal */
  settled = false

  constructor(request: Request, transaction: number) {
    const { content, headers } = payloadOf(request)
    this.method = request.method
    this.request = request
    this.transaction = transaction
    this.content = content
    this.headers = headers
  }
}

/** Who hears what the peer of a session wants. Called last in whatever the session does. */
export interface SessionUser {
  /** A re-INVITE, or an UPDATE with a session description. Without one the re-INVITE asks for an offer. */
  onOffer(session: Session, ask: Ask): void
  /** The ACK of a 2xx; with the answer when the 2xx had the offer. */
  onAcked(session: Session, content: Content | null): void
  /** A PRACK for a provisional response of ours. */
  onPrack(session: Session, ask: Ask): void
  /** INFO, MESSAGE, NOTIFY … */
  onRequest(session: Session, ask: Ask): void
  onRefer(session: Session, ask: Ask): void
  /** The session has ended, or is ending without our asking for it. Once. */
  onHangup(session: Session, by: EndedBy, headers: readonly Header[]): void
  /** Nothing of it is left: no transaction, no timer. Once, after `onHangup` or `hangup`. */
  onOver(session: Session): void
}
