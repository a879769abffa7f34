import { agreed, type SessionTimerPolicy } from '../dialog/session-timer.ts'
import type { Dialog } from '../dialog/dialog.ts'
import type { Request, Response } from '../message/message.ts'
import type { Timers } from '../transaction/timers.ts'
import { unsupported } from './abilities.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { Answers, type AnswersOwner } from './answers.ts'
import { Descriptions } from './descriptions.ts'
import { NOTHING, type Content, type Header, type Out, type Outcome, type TimerName } from './events.ts'
import { contentOf, payloadOf } from './headers.ts'
import { ReliableSender } from './reliable.ts'
import { Requests, type RequestsOwner } from './requests.ts'
import { credentialsOf, type Signer } from './signer.ts'
import { refresh, SessionClock } from './session-clock.ts'
import { SessionLife } from './session-life.ts'
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
  readonly #life: SessionLife
  #allows: ReadonlySet<string> | null = null
  /** The peer's offer in a reliable provisional response has had its answer in our PRACK (RFC 3262 §5). */
  #answeredEarly = false

  constructor(options: SessionOptions) {
    const { id, dialog, out, timers, caller, policy, signer, user } = options
    const { descriptions } = this
    this.id = id
    this.dialog = dialog
    this.#user = user
    const reliable = new ReliableSender(this, out, timers, 1 + (dialog.callId.length % 1000))
    const acks = new Acknowledgements(dialog, out, descriptions)
    const clock = new SessionClock(this, out)
    const shared = { by: this, dialog, out, descriptions, clock, policy, caller }
    const requests = new Requests({ ...shared, signer, acks })
    const answers = new Answers({ ...shared, timers, requests })
    this.reliable = reliable
    this.#acks = acks
    this.#clock = clock
    this.#requests = requests
    this.#answers = answers
    this.#life = new SessionLife(this, user, { reliable, clock, acks, requests, answers })
  }

  /** The first INVITE has no 2xx yet. */
  get early(): boolean {
    return this.#life.state === 'early'
  }

  get confirmed(): boolean {
    return this.#life.state === 'confirmed'
  }

  /** Neither over nor on its way there. */
  get alive(): boolean {
    return this.#life.alive
  }

  /** Nothing of it is left. */
  get over(): boolean {
    return this.#life.over
  }

  /**
   * What a peer has told it can do.
   * @param unsaid of a peer that does not say: it may be able to
   */
  allows(method: string, unsaid = true): boolean {
    return this.#allows?.has(method) ?? unsaid
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
    this.#life.confirm()
    this.reliable.abandon()
    this.answer(ask, outcome)
  }

  /**
   * The peer's 2xx to our INVITE. Without an offer in the INVITE the ACK waits for `ack`.
   * @param invite the one that it answers
   */
  confirm(response: Response, offered: boolean, invite: Request): void {
    this.#life.confirm()
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
    this.#life.abandon()
  }

  // ── What the peer sends ─────────────────────────────────────────────────────────────────────────────────────────

  /** A request with this dialog's identifiers, never ACK or CANCEL. */
  receive(request: Request, transaction: number): void {
    if (!this.alive) {
      this.#answers.reply(request, transaction, request.method === 'BYE' ? 200 : 481)
      if (request.method === 'BYE' && this.#life.state === 'ending') this.#life.finish()
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
        return this.#user.onPrack(this, new Ask(request, transaction))
      case 'BYE':
        this.#answers.reply(request, transaction, 200)
        return this.#life.left(payloadOf(request).headers)
      case 'OPTIONS':
        return this.#answers.reply(request, transaction, 200)
      case 'REFER':
        return this.#user.onRefer(this, new Ask(request, transaction))
      default:
        return this.#user.onRequest(this, new Ask(request, transaction))
    }
  }

  /** The ACK of a 2xx of ours. */
  acked(ack: Request): void {
    if (this.#answers.acked(ack) && !this.#life.part()) this.#user.onAcked(this, contentOf(ack))
  }

  #offered(ask: Ask | null): void {
    if (ask !== null) this.#user.onOffer(this, ask)
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
    this.#life.hangup(headers)
  }

  // ── Transactions and timers ─────────────────────────────────────────────────────────────────────────────────────

  onResponse(ref: number, response: Response): void {
    this.#requests.onResponse(ref, response)
    this.#life.settle()
  }

  onFailed(ref: number, reason: 'timeout' | 'transport' | 'unroutable', status: number): void {
    this.#requests.onFailed(ref, reason, status)
    this.#life.settle()
  }

  onTransactionOver(ref: number): void {
    this.#requests.over(ref)
    this.#life.settle()
  }

  get engaged(): boolean {
    return this.#answers.engaged
  }

  byeOver(): void {
    this.#life.finish()
  }

  peerGone(status: number): void {
    this.#life.die('error', [], status !== 481)
  }

  timerFired(timer: TimerName): void {
    switch (timer) {
      case 'repeat':
        return this.#answers.repeat()
      case 'unacked':
        this.#answers.giveUp()
        if (!this.#life.part()) this.#life.die('timeout', [['Reason', 'SIP;cause=408;text="No ACK"']])
        return
      case 'reliable':
        return this.reliable.repeat()
      case 'refresh':
        return refresh(this)
      case 'expire':
        return this.#life.die('timeout', [['Reason', 'SIP;cause=408;text="Session expired"']])
      case 'glare':
        return this.#requests.again()
      case 'unpracked':
        this.reliable.abandon()
        return this.#user.onHangup(this, 'timeout', [])
      case 'answer':
    }
  }
}
