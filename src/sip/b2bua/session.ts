import { agreed, type SessionTimerPolicy } from '../dialog/session-timer.ts'
import type { Dialog } from '../dialog/dialog.ts'
import type { Request, Response } from '../message/message.ts'
import type { Timers } from '../transaction/timers.ts'
import { unsupported } from './abilities.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { Answers, type AnswersOwner } from './answers.ts'
import { Descriptions } from './descriptions.ts'
import {
  NOTHING,
  type Content,
  type EndedBy,
  type Header,
  type Out,
  type Outcome,
  type TimerName,
} from './events.ts'
import { contentOf, payloadOf } from './headers.ts'
import { ReliableSender } from './reliable.ts'
import { Requests, type RequestsOwner } from './requests.ts'
import { credentialsOf, type Signer } from './signer.ts'
import { SessionClock } from './session-clock.ts'
import { Ask, type SessionUser } from './session-user.ts'

export interface SessionOptions {
  readonly id: number
  readonly dialog: Dialog
  /** Whether we sent the INVITE: whose the Call-ID is (§14.1). */
  readonly caller: boolean
  readonly out: Out
  readonly user: SessionUser
  readonly timers: Timers
  readonly policy: SessionTimerPolicy
  /** Answers the peer's challenges; null: nobody does. */
  readonly signer: Signer | null
}

/**
 * What happens within one dialog of a leg once it exists: offers and answers both ways, PRACK, requests that cross, session
 * timers, and its end. The first INVITE's responses are the leg's.
 *
 * Pure: inputs are calls, what is to be done goes to `out`, what the peer wants to `user`.
 */
export class Session implements RequestsOwner, AnswersOwner {
  readonly id: number
  readonly dialog: Dialog
  readonly reliable: ReliableSender
  readonly descriptions = new Descriptions()
  readonly #user: SessionUser
  readonly #requests: Requests
  readonly #answers: Answers
  readonly #acks: Acknowledgements
  readonly #clock: SessionClock
  #state: 'early' | 'confirmed' | 'ending' | 'over' = 'early'
  /** Asked to hang up while a 2xx of ours waits for its ACK: no BYE before that (§15). */
  #farewell: readonly Header[] | null = null
  #allows: ReadonlySet<string> | null = null
  /** The peer's offer in a reliable provisional response has had its answer in our PRACK (RFC 3262 §5). */
  #answeredEarly = false
  #told = false

  constructor(options: SessionOptions) {
    const { id, dialog, out, timers, caller, policy, signer } = options
    const { descriptions } = this
    this.id = id
    this.dialog = dialog
    this.#user = options.user
    this.reliable = new ReliableSender(this, out, timers, 1 + (dialog.callId.length % 1000))
    const acks = new Acknowledgements(dialog, out, descriptions)
    const clock = new SessionClock(this, out)
    this.#acks = acks
    this.#clock = clock
    const shared = { by: this, dialog, out, descriptions, clock, policy, caller }
    this.#requests = new Requests({ ...shared, signer, acks })
    this.#answers = new Answers({ ...shared, timers })
  }

  get early(): boolean {
    return this.#state === 'early'
  }

  get confirmed(): boolean {
    return this.#state === 'confirmed'
  }

  /** Neither over nor on its way there. */
  get alive(): boolean {
    return this.#state === 'early' || this.#state === 'confirmed'
  }

  /** Nothing of it is left. */
  get over(): boolean {
    return this.#state === 'over' && this.#requests.live === 0
  }

  /** What a peer has told it can do; a peer that does not say may be able to. */
  allows(method: string): boolean {
    return this.#allows?.has(method) ?? true
  }

  /** What the peer says of itself, in any message of the dialog. */
  hear(message: Request | Response): void {
    const allow = message.headers.all('allow')
    if (allow.length > 0) {
      this.#allows = new Set(allow.flatMap((value) => value.split(',')).map((m) => m.trim().toUpperCase()))
    }
  }

  // ── The first INVITE ────────────────────────────────────────────────────────────────────────────────────────────

  /** We answer the INVITE that began it with a 2xx. */
  acceptFirst(ask: Ask, outcome: Outcome): void {
    this.#state = 'confirmed'
    this.reliable.abandon()
    this.answer(ask, outcome)
  }

  /**
   * The peer's 2xx to our INVITE. Without an offer in the INVITE the ACK waits for `ack`.
   * @param invite the one that it answers
   */
  confirm(response: Response, offered: boolean, invite: Request): void {
    this.#state = 'confirmed'
    this.dialog.confirm(response)
    this.hear(response)
    const offer = offered || this.#answeredEarly ? null : contentOf(response)
    this.#acks.received(response.cseq.number, credentialsOf(invite), offer)
    this.#clock.start(agreed(response))
    // With the offer in the INVITE, or answered in a PRACK, nothing is left to be said.
    if (offer === null) this.ack(null)
  }

  /** The peer's 2xx has brought an offer, which the ACK is to answer. */
  get unanswered(): boolean {
    return this.#acks.waiting
  }

  /** A 2xx came again (§13.2.2.4). */
  acceptedAgain(response: Response): void {
    this.#acks.received(response.cseq.number)
  }

  /** An early dialog that came to nothing. */
  abandon(): void {
    if (this.#state !== 'early') return
    this.reliable.abandon()
    this.#finish()
  }

  // ── What the peer sends ─────────────────────────────────────────────────────────────────────────────────────────

  /** A request with this dialog's identifiers, never ACK or CANCEL. */
  receive(request: Request, transaction: number): void {
    if (!this.alive) {
      this.#answers.reply(request, transaction, request.method === 'BYE' ? 200 : 481)
      if (request.method === 'BYE' && this.#state === 'ending') this.#finish()
      return
    }
    if (!this.dialog.admits(request)) return this.#answers.reply(request, transaction, 500)
    const unknown = unsupported(request)
    if (unknown !== null) return this.#answers.reply(request, transaction, 420, [unknown])
    this.hear(request)
    switch (request.method) {
      case 'INVITE':
      case 'UPDATE':
        return this.#offered(this.#answers.offered(request, transaction))
      case 'PRACK':
        if (!this.reliable.pracked(request)) return this.#answers.reply(request, transaction, 481)
        return this.#user.onPrack(this, this.#ask(request, transaction))
      case 'BYE':
        return this.#bye(request, transaction)
      case 'OPTIONS':
        return this.#answers.reply(request, transaction, 200)
      case 'REFER':
        return this.#user.onRefer(this, this.#ask(request, transaction))
      default:
        return this.#user.onRequest(this, this.#ask(request, transaction))
    }
  }

  /** The ACK of a 2xx of ours. */
  acked(ack: Request): void {
    if (!this.#answers.acked(ack)) return
    if (this.#farewell !== null) this.#sendBye(this.#farewell)
    else this.#user.onAcked(this, contentOf(ack))
  }

  #offered(ask: Ask | null): void {
    if (ask !== null) this.#user.onOffer(this, ask)
  }

  #bye(request: Request, transaction: number): void {
    const { headers } = payloadOf(request)
    this.#answers.reply(request, transaction, 200)
    if (this.#state === 'early') return this.#user.onHangup(this, 'peer', headers)
    this.#state = 'ending'
    this.#tell('peer', headers)
    this.#finish()
  }

  // ── What we say ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Answers a request of the peer's. */
  answer(ask: Ask, outcome: Outcome): void {
    if (ask.settled) return
    this.#answers.answer(ask, outcome)
    if (ask.method === 'PRACK') this.reliable.release()
  }

  /**
   * Sends a re-INVITE or an UPDATE. When the INVITE has no session description and its 2xx brings an offer, answer that
   * with `ack`. At once 491 when the peer, or we, are about to change the session already.
   * @param own nobody's but ours: glare is waited out
   */
  modify(
    method: 'INVITE' | 'UPDATE',
    content: Content | null,
    headers: readonly Header[],
    done: (outcome: Outcome) => void,
    own = false,
  ): void {
    if (!this.alive) return done({ status: 481, reason: null, ...NOTHING })
    const how = method === 'UPDATE' && this.confirmed && !this.allows('UPDATE') ? 'INVITE' : method
    this.#requests.modify(how, content, headers, done, own)
  }

  /** The ACK of the peer's 2xx, with the answer when its 2xx was the offer. */
  ack(content: Content | null): void {
    this.#acks.send(content)
  }

  /** PRACK for the provisional response with this RSeq (RFC 3262 §4). */
  prack(
    rseq: number,
    inviteSeq: number,
    content: Content | null,
    headers: readonly Header[],
    done: (outcome: Outcome) => void,
  ): void {
    const said = this.descriptions.describe(content)
    this.descriptions.told(said)
    if (content !== null) this.#answeredEarly = true
    this.send('PRACK', said, [['RAck', `${rseq} ${inviteSeq} INVITE`], ...headers], done)
  }

  /** Any other request of ours. */
  send(
    method: string,
    content: Content | null,
    headers: readonly Header[],
    done: (outcome: Outcome) => void,
  ): void {
    if (!this.alive) return done({ status: 481, reason: null, ...NOTHING })
    this.#requests.send(method, content, headers, done)
  }

  /** Ends the session from our side. Nothing when it is over or on its way there. */
  hangup(headers: readonly Header[]): void {
    if (this.#state === 'early') return this.abandon()
    if (this.#state !== 'confirmed') return
    this.#told = true
    this.#leave(headers)
  }

  // ── Transactions and timers ─────────────────────────────────────────────────────────────────────────────────────

  onResponse(ref: number, response: Response): void {
    this.#requests.onResponse(ref, response)
    this.#settle()
  }

  onFailed(ref: number, reason: 'timeout' | 'transport' | 'unroutable', status: number): void {
    this.#requests.onFailed(ref, reason, status)
    this.#settle()
  }

  onTransactionOver(ref: number): void {
    this.#requests.over(ref)
    this.#settle()
  }

  get engaged(): boolean {
    return this.#answers.engaged
  }

  get modifying(): boolean {
    return this.#requests.modifying
  }

  byeOver(): void {
    this.#finish()
  }

  peerGone(status: number): void {
    this.#die('error', [], status !== 481)
  }

  timerFired(timer: TimerName): void {
    switch (timer) {
      case 'repeat':
        return this.#answers.repeat()
      case 'unacked':
        return this.#neverAcked()
      case 'reliable':
        return this.reliable.repeat()
      case 'refresh':
        return this.#refresh()
      case 'expire':
        return this.#die('timeout', [['Reason', 'SIP;cause=408;text="Session expired"']])
      case 'glare':
        return this.#requests.again()
      case 'unpracked':
        this.reliable.abandon()
        return this.#user.onHangup(this, 'timeout', [])
      case 'answer':
    }
  }

  /** RFC 4028 §10. What becomes of it is told by the `expire` timer, which its 2xx starts anew. */
  #refresh(): void {
    if (!this.confirmed) return
    const update = this.allows('UPDATE') && this.#allows !== null
    const content = update ? null : this.descriptions.last
    this.modify(
      update ? 'UPDATE' : 'INVITE',
      content,
      [],
      (outcome) => this.#refreshed(outcome, content),
      true,
    )
  }

  #refreshed(outcome: Outcome, content: Content | null): void {
    // It was asked without a description, and has offered one: nothing has changed, but the ACK must say something.
    if (outcome.status < 300 && content === null && outcome.content !== null) this.ack(this.descriptions.last)
  }

  #neverAcked(): void {
    this.#answers.giveUp()
    if (this.#farewell !== null) this.#sendBye(this.#farewell)
    else this.#die('timeout', [['Reason', 'SIP;cause=408;text="No ACK"']])
  }

  /** Ends without anybody's asking for it. */
  #die(by: EndedBy, headers: readonly Header[], bye = true): void {
    if (this.#state !== 'confirmed') return
    if (bye) this.#leave(headers)
    else this.#state = 'ending'
    this.#tell(by, headers)
    if (!bye) this.#finish()
  }

  #leave(headers: readonly Header[]): void {
    this.#state = 'ending'
    this.#close()
    if (this.#answers.unacked) this.#farewell = headers
    else this.#sendBye(headers)
  }

  #sendBye(headers: readonly Header[]): void {
    this.#farewell = null
    this.#acks.flush()
    this.#requests.send('BYE', null, headers, null)
  }

  /** The dialog is gone. */
  #finish(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#answers.giveUp()
    this.#acks.flush()
    this.#close()
    this.#settle()
  }

  /** What is under way will not come to anything. */
  #close(): void {
    this.#clock.stop()
    this.reliable.abandon()
    this.#answers.close()
    this.#requests.close()
  }

  #tell(by: EndedBy, headers: readonly Header[]): void {
    if (this.#told) return
    this.#told = true
    this.#user.onHangup(this, by, headers)
  }

  #settle(): void {
    if (this.over) this.#user.onOver(this)
  }

  #ask(request: Request, transaction: number): Ask {
    return new Ask(request, transaction, payloadOf(request))
  }
}
