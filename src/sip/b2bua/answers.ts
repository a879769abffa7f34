import { accept, type SessionTimerPolicy, tooSmall } from '../dialog/session-timer.ts'
import { TARGET_REFRESH, type Dialog } from '../dialog/dialog.ts'
import { buildResponse } from '../message/build.ts'
import type { Request, Response } from '../message/message.ts'
import type { Timers } from '../transaction/timers.ts'
import { addAbilities, retryAfter } from './abilities.ts'
import { Acceptance } from './acceptance.ts'
import type { Descriptions } from './descriptions.ts'
import { NOTHING, type Actor, type Header, type Out, type Outcome } from './events.ts'
import { put } from './headers.ts'
import type { Requests } from './requests.ts'
import type { SessionClock } from './session-clock.ts'
import { Ask } from './session-user.ts'

/** Whose answers these are: the session, as far as they have to know it. */
export interface AnswersOwner extends Actor {
  /** The first INVITE has no 2xx yet. */
  readonly early: boolean
}

export interface AnswersOptions {
  readonly by: AnswersOwner
  readonly dialog: Dialog
  readonly out: Out
  readonly timers: Timers
  readonly descriptions: Descriptions
  readonly clock: SessionClock
  readonly requests: Requests
  readonly policy: SessionTimerPolicy
  /** Whether we sent the first INVITE. */
  readonly caller: boolean
}

/** Our answers to the peer's requests within one dialog: one change of the session at a time, and what waits for its ACK. */
export class Answers {
  readonly #o: AnswersOptions
  /** The peer's change of the session that waits for its answer. */
  #asked: Ask | null = null
  #unacked: Acceptance | null = null

  constructor(options: AnswersOptions) {
    this.#o = options
  }

  /** The peer is changing the session, or has yet to answer an offer in our 2xx. */
  get engaged(): boolean {
    return this.#asked !== null || this.#offering
  }

  /** A 2xx of ours waits for its ACK. */
  get unacked(): boolean {
    return this.#unacked !== null
  }

  /** A 2xx of ours has brought an offer, which its ACK is to answer. */
  get #offering(): boolean {
    return this.#unacked?.offered === true
  }

  /** A re-INVITE or an UPDATE, to be answered; null when it was at once. */
  offered(request: Request, transaction: number): Ask | null {
    const { by, caller, policy, requests } = this.#o
    const least = tooSmall(request, policy)
    if (least !== null) return this.#refuse(request, transaction, 422, [['Min-SE', String(least)]])
    const ask = new Ask(request, transaction)
    const invites = request.method === 'INVITE'
    if (!invites && ask.content === null) {
      this.answer(ask, { status: 200, reason: null, ...NOTHING })
      return null
    }
    if (this.#asked !== null || (invites && by.early && !caller)) {
      return this.#refuse(request, transaction, 500, [retryAfter(request)])
    }
    if (requests.modifying || this.#offering || (invites && by.early)) {
      return this.#refuse(request, transaction, 491)
    }
    // Who sends another INVITE has the 2xx of the one before; its ACK was lost or is late.
    if (invites) this.giveUp()
    this.#asked = ask
    return ask
  }

  /** The ACK of a 2xx. False: of none that waits for it. */
  acked(ack: Request): boolean {
    if (ack.cseq.number !== this.#unacked?.seq) return false
    this.giveUp()
    return true
  }

  /** The 2xx that waits for its ACK is sent again. */
  repeat(): void {
    this.#unacked?.repeat()
  }

  /** No ACK is waited for any more. */
  giveUp(): void {
    this.#unacked?.stop()
    this.#unacked = null
  }

  /** The session ends: what the peer has asked for will not come to anything. */
  close(): void {
    if (this.#asked !== null) this.answer(this.#asked, { status: 487, reason: null, ...NOTHING })
  }

  /** Once; later ones do nothing. */
  answer(ask: Ask, outcome: Outcome): void {
    if (ask.settled) return
    ask.settled = true
    if (this.#asked === ask) this.#asked = null
    const { by, dialog, out, timers, descriptions, clock, policy } = this.#o
    const { request, transaction, method } = ask
    const { status } = outcome
    const describes = status < 300 && (method === 'INVITE' || method === 'UPDATE' || method === 'PRACK')
    const content = describes ? descriptions.describe(outcome.content) : outcome.content
    const response = this.#build(request, { ...outcome, content })
    if (describes) descriptions.told(content)
    if (describes && method !== 'PRACK') {
      dialog.refresh(request)
      const timer = accept(request, policy)
      if (timer !== null) {
        response.headers.append('Session-Expires', timer.header)
        if (timer.require) response.headers.append('Require', 'timer')
      }
      clock.start(timer?.negotiated ?? null)
    }
    if (method === 'INVITE' && status < 300) {
      const offered = ask.content === null && content !== null
      this.#unacked = new Acceptance(by, out, timers, { transaction, response, offered })
    } else out({ do: 'respond', transaction, response })
  }

  /** Answers a request that nobody is asked about. */
  reply(request: Request, transaction: number, status: number, headers: readonly Header[] = []): void {
    const response = this.#build(request, { status, reason: null, content: null, headers })
    this.#o.out({ do: 'respond', transaction, response })
  }

  #refuse(request: Request, transaction: number, status: number, headers?: readonly Header[]): null {
    this.reply(request, transaction, status, headers)
    return null
  }

  #build(request: Request, { status, reason, content, headers }: Outcome): Response {
    const response = buildResponse(request, status, {
      toTag: this.#o.dialog.localTag,
      ...(reason === null ? {} : { reason }),
    })
    if (status < 300 && (TARGET_REFRESH.has(request.method) || request.method === 'OPTIONS')) {
      addAbilities(response.headers)
    }
    put(response, content, headers)
    return response
  }
}
