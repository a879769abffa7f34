import { Dialog } from '../dialog/dialog.ts'
import { askFor, minSe, type SessionTimerPolicy } from '../dialog/session-timer.ts'
import { HeaderFields } from '../message/header-fields.ts'
import { Request, type Response } from '../message/message.ts'
import { parseNameAddr } from '../message/name-addr.ts'
import type { Timers } from '../transaction/timers.ts'
import { addAbilities } from './abilities.ts'
import {
  NOTHING,
  type Actor,
  type Content,
  type EndedBy,
  type Header,
  type Out,
  type Outcome,
  type Progress,
  type RefusedBy,
  type TimerName,
} from './events.ts'
import { payloadOf, put } from './headers.ts'
import { Session } from './session.ts'
import type { DialTarget } from './plan.ts'
import type { Ask, SessionUser } from './session-user.ts'
import { credentialsOf, isChallenge, type Signer } from './signer.ts'

/** A provisional response, and the PRACK it waits for. */
export interface LegProgress extends Progress {
  /** Of a reliable one: to be acknowledged with `session.prack`. */
  readonly rseq: number
  readonly inviteSeq: number
}

/** Who hears of an outgoing call, besides of what its sessions say. */
export interface UacUser extends SessionUser {
  /** @param session null when the response has no To tag: it makes no dialog */
  onProgress(leg: UacLeg, session: Session | null, progress: LegProgress): void
  /** The first 2xx; acknowledged already, unless it is the offer. */
  onAnswered(leg: UacLeg, session: Session, outcome: Outcome): void
  onRefused(leg: UacLeg, by: RefusedBy, outcome: Outcome): void
  /** We have given it up: it is cancelled. */
  onGivenUp(leg: UacLeg): void
  onLegOver(leg: UacLeg): void
}

export interface UacLegOptions {
  readonly id: number
  readonly callId: string
  /** Of the From; the tag is `localTag`. */
  readonly from: string
  readonly localTag: string
  readonly to: string
  readonly target: DialTarget
  /** The offer; null leaves it to the callee. */
  readonly content: Content | null
  readonly headers: readonly Header[]
  readonly maxForwards: number
  /** Reliable provisional responses are asked for. */
  readonly reliable: boolean
  /** How long it may ring, ms; null: until the peer has enough. */
  readonly timeoutMs: number | null
  readonly nextId: () => number
  readonly out: Out
  readonly user: UacUser
  readonly timers: Timers
  readonly policy: SessionTimerPolicy
  /** Null: challenges are refusals. */
  readonly signer: Signer | null
}

const MOST_TRIES = 3

/**
 * The leg towards a callee: one INVITE of ours, and a session for each dialog that comes of it. The first 2xx is the
 * answer; those of other branches further on are acknowledged and hung up (§13.2.2.4), as is one that races our CANCEL.
 */
export class UacLeg implements Actor, SessionUser {
  readonly id: number
  readonly callId: string
  readonly localTag: string
  readonly target: DialTarget
  readonly #o: UacLegOptions
  /** Moves with the leg when it becomes part of another call. */
  user: UacUser
  readonly #sessions = new Map<string, Session>()
  readonly #rseqs = new Map<string, number>()
  #state: 'calling' | 'answered' | 'given-up' | 'refused' = 'calling'
  #invite: Request
  #ref = 0
  #seq = 0
  #tries = 0
  #least = 0
  #challenges = 0
  /** Client transactions of INVITEs that live: a 2xx may come as long as they do. */
  readonly #open = new Set<number>()
  readonly #acceptedTags = new Set<string>()
  #answered: Session | null = null
  #ended = false
  #rang = false

  constructor(options: UacLegOptions) {
    this.#o = options
    this.user = options.user
    this.id = options.id
    this.callId = options.callId
    this.localTag = options.localTag
    this.target = options.target
    this.#invite = this.#build()
  }

  get session(): Session | null {
    return this.#answered
  }

  get sessions(): Iterable<Session> {
    return this.#sessions.values()
  }

  /** Of its latest INVITE. */
  get ref(): number {
    return this.#ref
  }

  get calling(): boolean {
    return this.#state === 'calling'
  }

  /** Somebody was told that it rings. */
  get rang(): boolean {
    return this.#rang
  }

  get offered(): boolean {
    return this.#o.content !== null
  }

  start(): void {
    const { out, timeoutMs } = this.#o
    this.#launch()
    if (timeoutMs !== null) out({ do: 'startTimer', by: this, timer: 'answer', ms: timeoutMs, spreadMs: 0 })
  }

  find(remoteTag: string): Session | undefined {
    return this.#sessions.get(remoteTag)
  }

  /** The call is wanted no more: CANCEL before the answer, BYE after it. */
  hangup(headers: readonly Header[]): void {
    if (this.#state === 'answered') this.#answered?.hangup(headers)
    else if (this.#state === 'calling') this.#giveUp(headers)
  }

  onResponse(ref: number, response: Response): void {
    const { status } = response
    if (status <= 100) return
    if (status < 200) {
      if (this.#state === 'calling' && ref === this.#ref) this.#progress(response)
    } else if (status < 300) this.#accepted(response)
    else if (ref === this.#ref && this.#state === 'calling') this.#failed(response)
  }

  onFailed(ref: number, reason: 'timeout' | 'transport' | 'unroutable', status: number): void {
    if (ref === this.#ref && this.#state === 'calling') {
      const code = reason === 'timeout' ? 408 : reason === 'transport' ? 503 : status
      this.#refused(reason, { status: code, reason: null, ...NOTHING })
    }
    this.onTransactionOver(ref)
  }

  onTransactionOver(ref: number): void {
    this.#open.delete(ref)
    this.#settle()
  }

  timerFired(timer: TimerName): void {
    if (timer !== 'answer' || this.#state !== 'calling') return
    this.#o.out({ do: 'cancel', by: this, ref: this.#ref, headers: [] })
    this.#refused('no-answer', { status: 408, reason: null, ...NOTHING })
  }

  #build(): Request {
    const o = this.#o
    const headers = new HeaderFields()
    for (const route of o.target.routes ?? []) headers.append('Route', route)
    headers.append('Max-Forwards', String(o.maxForwards))
    headers.append('From', `${o.from};tag=${o.localTag}`)
    headers.append('To', o.to)
    headers.append('Call-ID', o.callId)
    headers.append('CSeq', `${++this.#seq} INVITE`)
    addAbilities(headers, o.reliable ? undefined : 'timer, replaces')
    const least = Math.max(this.#least, o.policy.minSe)
    const expires =
      o.policy.expires === null && this.#least === 0 ? null : Math.max(o.policy.expires ?? 0, least)
    askFor(headers, expires, least, expires === null ? null : o.policy.refresher)
    const request = new Request('INVITE', o.target.uri, headers)
    put(request, o.content, o.headers)
    return request
  }

  #launch(): void {
    const ref = ++this.#ref
    this.#open.add(ref)
    const request = this.#invite
    this.#o.out({ do: 'request', by: this, ref, request, nextHop: hopOf(this.target) })
  }

  #progress(response: Response): void {
    const { status, reason } = response
    const tag = response.toTag
    const session = tag === undefined ? null : this.#sessionOf(tag, response)
    const rseq = Number(response.headers.first('rseq') ?? 0)
    const reliable = session !== null && rseq > 0 && /100rel/i.test(response.headers.first('require') ?? '')
    if (reliable) {
      // RFC 3262 §4: repetitions and those out of order are not acknowledged.
      const last = this.#rseqs.get(tag ?? '')
      if (last !== undefined && rseq !== last + 1) return
      this.#rseqs.set(tag ?? '', rseq)
    }
    this.#rang = true
    session?.hear(response)
    const inviteSeq = response.cseq.number
    this.user.onProgress(this, session, {
      status,
      reason,
      ...payloadOf(response),
      reliable,
      rseq,
      inviteSeq,
    })
  }

  #accepted(response: Response): void {
    const tag = response.toTag ?? ''
    const session = this.#sessionOf(tag, response)
    if (this.#acceptedTags.has(tag)) {
      session.acceptedAgain(response)
      return
    }
    this.#acceptedTags.add(tag)
    session.confirm(response, this.offered, this.#invite)
    if (this.#state !== 'calling') {
      // It raced our CANCEL, or another branch was faster.
      session.hangup([])
      return
    }
    this.#state = 'answered'
    this.#answered = session
    this.#stopRinging()
    for (const other of this.#sessions.values()) if (other !== session) other.abandon()
    const { status, reason } = response
    this.user.onAnswered(this, session, { status, reason, ...payloadOf(response) })
  }

  #failed(response: Response): void {
    const { status, reason } = response
    if (status === 422 && this.#tries < MOST_TRIES) {
      this.#tries++
      this.#least = minSe(response)
      this.#invite = this.#build()
      this.#launch()
      return
    }
    if (isChallenge(response) && this.#answerChallenge(response)) return
    this.#refused('peer', { status, reason, ...payloadOf(response) })
  }

  /** §22.2: once more, with credentials and the next CSeq. False: we have none that would help. */
  #answerChallenge(response: Response): boolean {
    const signed = this.#o.signer?.retry(response, this.#invite, this.#challenges++)
    if (signed === undefined || signed === null) return false
    this.#invite = this.#build()
    // The caller's own, where they cross, are in it already.
    const crossed = new Set(credentialsOf(this.#invite).map(([, value]) => value))
    for (const [name, value] of credentialsOf(signed)) {
      if (!crossed.has(value)) this.#invite.headers.append(name, value)
    }
    this.#launch()
    return true
  }

  #refused(by: RefusedBy, outcome: Outcome): void {
    this.#state = 'refused'
    this.#stopRinging()
    for (const session of this.#sessions.values()) session.abandon()
    this.user.onRefused(this, by, outcome)
    this.#settle()
  }

  #giveUp(headers: readonly Header[]): void {
    this.#state = 'given-up'
    this.#stopRinging()
    for (const session of this.#sessions.values()) session.abandon()
    this.#o.out({ do: 'cancel', by: this, ref: this.#ref, headers })
    this.user.onGivenUp(this)
  }

  #stopRinging(): void {
    if (this.#o.timeoutMs !== null) this.#o.out({ do: 'stopTimer', by: this, timer: 'answer' })
  }

  /** The dialog of this To tag. One that was given up early comes to life anew when its 2xx arrives after all. */
  #sessionOf(tag: string, response: Response): Session {
    const known = this.#sessions.get(tag)
    const first = response.status >= 200 && !this.#acceptedTags.has(tag)
    if (known !== undefined && (known.alive || !first)) return known
    const { out, timers, policy, nextId } = this.#o
    const dialog = Dialog.uac(this.#invite, response)
    const { signer } = this.#o
    const session = new Session({
      id: nextId(),
      dialog,
      caller: true,
      out,
      user: this,
      timers,
      policy,
      signer,
    })
    session.descriptions.told(session.descriptions.describe(this.#o.content))
    this.#sessions.set(tag, session)
    return session
  }

  #settle(): void {
    if (this.#ended || this.#state === 'calling' || this.#open.size > 0) return
    for (const session of this.#sessions.values()) if (!session.over) return
    this.#ended = true
    this.user.onLegOver(this)
  }

  onOffer(session: Session, ask: Ask): void {
    this.user.onOffer(session, ask)
  }

  onAcked(session: Session, content: Content | null): void {
    this.user.onAcked(session, content)
  }

  onPrack(session: Session, ask: Ask): void {
    this.user.onPrack(session, ask)
  }

  onRequest(session: Session, ask: Ask): void {
    this.user.onRequest(session, ask)
  }

  onRefer(session: Session, ask: Ask): void {
    this.user.onRefer(session, ask)
  }

  onHangup(session: Session, by: EndedBy, headers: readonly Header[]): void {
    // A callee may not end an early dialog (§15); its INVITE's final response does.
    if (session === this.#answered) this.user.onHangup(session, by, headers)
  }

  onOver(session: Session): void {
    this.user.onOver(session)
    this.#settle()
  }
}

/** Where the INVITE is sent: as told, else to the first of its Routes, else where the Request-URI leads. */
function hopOf({ uri, nextHop, routes }: DialTarget): string {
  if (nextHop !== null) return nextHop
  const first = routes?.[0]
  const route = first === undefined ? null : parseNameAddr(first)
  return route?.ok ? route.value.uri : uri
}
