import type { SessionTimerPolicy } from '../dialog/session-timer.ts'
import type { Request } from '../message/message.ts'
import type { Timers } from '../transaction/timers.ts'
import type { BridgeUser, Crossing, Found, Reply, Side } from './bridge-user.ts'
import { Calling } from './calling.ts'
import {
  NOTHING,
  type Content,
  type EndedBy,
  type Header,
  type Out,
  type Outcome,
  type RefusedBy,
} from './events.ts'
import { crossing, type HeaderPolicy } from './headers.ts'
import { type Credentials, type DialPlan, relayed } from './plan.ts'
import { join, Referral } from './referral.ts'
import type { Session } from './session.ts'
import type { Ask } from './session-user.ts'
import type { Signer } from './signer.ts'
import { takeOver } from './takeover.ts'
import { UacLeg, type LegProgress, type UacUser } from './uac-leg.ts'
import { UasLeg, type UasUser } from './uas-leg.ts'

/** What all bridges of a server share. */
export interface BridgeWorld {
  readonly out: Out
  readonly timers: Timers
  readonly nextId: () => number
  readonly newTag: () => string
  /** Answers the challenges of one peer. */
  readonly signer: (credentials: Credentials) => Signer
}

const UNANSWERED: readonly Header[] = [['Reason', 'SIP;cause=488;text="Offer not answered"']]
const ELSEWHERE: readonly Header[] = [['Reason', 'SIP;cause=200;text="Call completed elsewhere"']]

/**
 * One call: a caller's leg, callees' legs, and which session talks to which. It carries call-control events from one to the
 * other and knows what a call is; what SIP is, the legs know.
 */
export class Bridge implements UasUser, UacUser {
  readonly world: BridgeWorld
  readonly user: BridgeUser
  readonly #peers = new Map<Session, Session>()
  readonly #sides = new Map<Session, Side>()
  readonly #legs = new Set<UasLeg | UacLeg>()
  readonly #referrals = new Set<Referral>()
  /** Sessions whose peers we have sent a REFER: their NOTIFYs about it are ours. */
  readonly #asked = new Set<Session>()
  #caller: UasLeg | null = null
  #calling: Calling | null = null
  #state: 'calling' | 'answered' | 'over' = 'calling'
  #policy: HeaderPolicy = 'transparent'
  #finished = false
  /** The caller's session whose ACK must bring the answer to the call's first offer, which came in the 2xx (§13.2.1). */
  #unanswered: Session | null = null
  /** Of the two who talk; and the last that was tried. */
  #pair = 0
  #pairs = 0

  constructor(world: BridgeWorld, user: BridgeUser) {
    this.world = world
    this.user = user
  }

  get caller(): UasLeg | null {
    return this.#caller
  }

  get state(): 'calling' | 'answered' | 'over' {
    return this.#state
  }

  get policy(): HeaderPolicy {
    return this.#policy
  }

  /** Legs of which something is left. */
  get legs(): ReadonlySet<UasLeg | UacLeg> {
    return this.#legs
  }

  /** Who talks with whom; null while nobody is there. */
  peerOf(session: Session): Session | null {
    return this.#peers.get(session) ?? null
  }

  sideOf(session: Session): Side {
    return this.#sides.get(session) ?? 'callee'
  }

  // ── What the shell says ─────────────────────────────────────────────────────────────────────────────────────────

  /** A caller's INVITE. */
  incoming(invite: Request, transaction: number, policy: SessionTimerPolicy): void {
    const { out, timers, nextId, newTag } = this.world
    this.#caller = new UasLeg({ invite, transaction, nextId, newTag, out, user: this, timers, policy })
    this.#legs.add(this.#caller)
    this.user.onLeg(this.#caller)
  }

  /** Calls somebody for the caller, or on our own account. */
  dial(plan: DialPlan): void {
    if (this.#state !== 'calling') return
    this.#policy = plan.policy
    this.#calling = new Calling(this, plan)
    this.#calling.start()
  }

  /** A provisional response of our own. */
  progress(status: number, reason: string | null, content: Content | null, headers: readonly Header[]): void {
    this.#caller?.progress('own', { status, reason, content, headers, reliable: false })
  }

  /** Answers the caller ourselves: a call with one leg. */
  answer(outcome: Outcome): void {
    const caller = this.#caller
    if (this.#state !== 'calling' || caller === null) return
    this.#state = 'answered'
    caller.accept('own', outcome)
    this.#sides.set(caller.branch('own'), 'caller')
    this.user.onAnswered(null, outcome)
  }

  /**
   * Refuses the caller, or gives the call up before an answer.
   * @param by null: our own decision
   * @param meant the status the attempt counts by, where the caller is told another one
   */
  refuse(outcome: Outcome, by: RefusedBy | null = null, meant = outcome.status): void {
    if (this.#state !== 'calling') return
    this.#state = 'over'
    this.#calling?.stop([])
    this.#caller?.refuse(outcome)
    this.user.onRefused(by, outcome, meant)
    this.#settle()
  }

  /** The caller's CANCEL. */
  cancelled(headers: readonly Header[]): void {
    this.#caller?.cancelled(headers)
  }

  /** Ends the call, whatever its state. */
  hangup(headers: readonly Header[]): void {
    if (this.#state === 'calling') {
      this.refuse({ status: 503, reason: null, content: null, headers })
      return
    }
    if (this.#state === 'over') return
    this.#end(headers)
    this.user.onEnded({ by: 'us', side: 'caller', headers })
    this.#settle()
  }

  // ── What `Calling` says ─────────────────────────────────────────────────────────────────────────────────────────

  launch(plan: DialPlan, target: DialPlan['targets'][number], user: UacUser = this): UacLeg {
    const { out, timers, nextId, newTag } = this.world
    // An offer in a reliable response wants its answer in our PRACK: only the caller's own can have it.
    const reliable = plan.content !== null || (user === this && (this.#caller?.takesReliable ?? false))
    const leg = new UacLeg({
      id: nextId(),
      callId: this.user.newCallId(),
      localTag: newTag(),
      from: plan.from,
      to: plan.to,
      target,
      content: plan.content,
      headers: plan.headers,
      maxForwards: plan.maxForwards,
      timeoutMs: plan.timeoutMs,
      policy: plan.timer,
      signer: plan.credentials && this.world.signer(plan.credentials),
      reliable,
      nextId,
      out,
      user,
      timers,
    })
    this.#legs.add(leg)
    this.user.onLeg(leg)
    leg.start()
    return leg
  }

  /** A callee has answered and nobody minds: the caller hears of it, and the two talk. */
  answeredBy(leg: UacLeg, session: Session, key: string, outcome: Outcome): void {
    if (this.#state !== 'calling') return
    this.#state = 'answered'
    this.#sides.set(session, this.#caller === null ? 'caller' : 'callee')
    if (this.#caller !== null) {
      const own = this.#caller.branch(key)
      this.#sides.set(own, 'caller')
      this.link(own, session)
      if (session.unanswered) this.#unanswered = own
      this.#caller.accept(key, outcome)
    }
    this.#calling?.stop(ELSEWHERE, leg)
    this.#calling = null
    this.user.onAnswered(leg, outcome)
  }

  link(one: Session, other: Session): void {
    this.#peers.set(one, other)
    this.#peers.set(other, one)
  }

  // ── Sessions ────────────────────────────────────────────────────────────────────────────────────────────────────

  onOffer(session: Session, ask: Ask): void {
    const peer = this.peerOf(session)
    if (peer === null) {
      session.answer(ask, { status: this.#referrals.size > 0 ? 491 : 488, reason: null, ...NOTHING })
      return
    }
    const method = ask.method === 'UPDATE' ? 'UPDATE' : 'INVITE'
    this.relay('offer', session, peer, ask.content, (offer, ok) => {
      if (!ok) session.answer(ask, { status: 488, reason: null, ...NOTHING })
      // The one who asked may have hung up meanwhile: then nobody is asked.
      else if (!ask.settled)
        peer.modify(method, offer, this.crossing(ask.headers), (o) => this.#modified(session, peer, ask, o))
    })
  }

  /** The other party has taken the offer, made one where it was asked to, or refused. */
  #modified(session: Session, peer: Session, ask: Ask, outcome: Outcome): void {
    const content = outcome.status < 300 ? outcome.content : null
    this.relay(ask.content === null ? 'offer' : 'answer', peer, session, content, (said, ok) => {
      if (ok) session.answer(ask, this.crossed(content === null ? outcome : { ...outcome, content: said }))
      else {
        if (ask.content === null) peer.ack(null)
        session.answer(ask, { status: 488, reason: null, ...NOTHING })
      }
    })
  }

  onAcked(session: Session, content: Content | null): void {
    const peer = this.peerOf(session)
    if (peer === null) return
    const first = this.#unanswered === session
    if (first) this.#unanswered = null
    // Media that is held needs two ends. Where nothing is, what is missing is between the two, who may have ways of their own.
    const needed = first && this.user.held(peer.dialog.localTag)
    if (needed && content === null) return this.hangup(UNANSWERED)
    this.relay('answer', session, peer, content, (said, ok) => {
      if (needed && !ok) this.hangup(UNANSWERED)
      else peer.ack(said)
    })
  }

  /**
   * What `session` says of its media, as `peer` shall see it: by the script and what it has put between them.
   * @param how of two who are being put together
   */
  relay(
    what: Crossing['what'],
    session: Session,
    peer: Session,
    content: Content | null,
    done: (content: Content | null, ok: boolean) => void,
    { pair, from, early }: Pick<Crossing, 'pair' | 'from' | 'early'> = {
      pair: this.#pair,
      from: this.#placeOf(session),
      early: this.#state === 'calling',
    },
  ): void {
    if (content === null) return done(null, true)
    const branch = (from === 'caller' ? peer : session).dialog.localTag
    this.user.relay({ what, from, content, pair, branch, early }, (said) => done(said, said !== null))
  }

  /** Before the answer, too. */
  #placeOf(session: Session): Side {
    const known = this.#sides.get(session)
    return known ?? (this.#caller?.find(session.dialog.localTag) === session ? 'caller' : 'callee')
  }

  /** Two parties are about to be put together: a number for them. */
  newPair(): number {
    return ++this.#pairs
  }

  /** They are, or are not. */
  paired(pair: number, kept: boolean): void {
    if (kept) this.#pair = pair
    this.user.onPaired(pair, kept)
  }

  onPrack(session: Session, ask: Ask): void {
    const handled = this.#calling?.pracks.pracked(session, ask) ?? false
    if (!handled) session.answer(ask, { status: ask.content === null ? 200 : 488, reason: null, ...NOTHING })
  }

  onRequest(session: Session, ask: Ask): void {
    if (ask.method === 'NOTIFY' && this.#asked.has(session) && aboutRefer(ask)) {
      session.answer(ask, { status: 200, reason: null, ...NOTHING })
      return
    }
    const peer = this.peerOf(session)
    if (peer === null) {
      session.answer(ask, { status: 480, reason: null, ...NOTHING })
      return
    }
    peer.send(ask.method, ask.content, [...this.crossing(ask.headers), ...eventOf(ask)], (o) =>
      session.answer(ask, this.crossed(o)),
    )
  }

  onRefer(session: Session, ask: Ask): void {
    const alone = this.#state !== 'answered' || this.peerOf(session) === null
    if (alone || !this.user.wants('refer')) {
      session.answer(ask, { status: 603, reason: null, ...NOTHING })
      return
    }
    this.user.ask({ about: 'refer', side: this.sideOf(session), ask }, (reply) =>
      this.#referred(session, ask, reply),
    )
  }

  onHangup(session: Session, by: EndedBy, headers: readonly Header[]): void {
    if (this.#state === 'calling') {
      // A reliable response that the caller never acknowledged: its INVITE has been refused.
      this.#state = 'over'
      this.#calling?.stop([])
      this.user.onRefused('timeout', { status: 504, reason: null, ...NOTHING }, 504)
      this.#settle()
      return
    }
    if (this.#leavesTransferred(session)) return
    const side = this.sideOf(session)
    if (this.#state === 'over') return
    this.#end(this.crossing(headers))
    this.user.onEnded({ by, side, headers })
    this.#settle()
  }

  onOver(session: Session): void {
    const peer = this.#peers.get(session)
    this.#peers.delete(session)
    if (peer !== undefined && this.#peers.get(peer) === session) this.#peers.delete(peer)
    this.#sides.delete(session)
    this.#asked.delete(session)
  }

  // ── Legs ────────────────────────────────────────────────────────────────────────────────────────────────────────

  onCancelled(_leg: UasLeg, headers: readonly Header[]): void {
    if (this.#state === 'over') return
    if (this.#state === 'answered') {
      // The answer was waiting for a PRACK.
      this.#end(this.crossing(headers))
      this.user.onEnded({ by: 'peer', side: 'caller', headers })
      this.#settle()
      return
    }
    this.#state = 'over'
    this.#calling?.stop(this.crossing(headers).filter(([name]) => name.toLowerCase() === 'reason'))
    this.user.onCancelled(headers)
    this.#settle()
  }

  onProgress(leg: UacLeg, session: Session | null, progress: LegProgress): void {
    this.#calling?.progress(leg, session, progress)
  }

  onAnswered(leg: UacLeg, session: Session, outcome: Outcome): void {
    this.user.onLegDecided(leg, null, outcome.status)
    if (this.#calling === null) leg.hangup([])
    else this.#calling.answered(leg, session, outcome)
  }

  onRefused(leg: UacLeg, by: RefusedBy, outcome: Outcome): void {
    this.user.onLegDecided(leg, by, outcome.status)
    this.#calling?.refused(leg, by, outcome)
  }

  onGivenUp(leg: UacLeg): void {
    this.user.onLegDecided(leg, 'cancelled', 487)
  }

  onLegOver(leg: UasLeg | UacLeg): void {
    this.#legs.delete(leg)
    this.user.onLegOver(leg)
    this.#settle()
  }

  // ── Transfers ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Asks a party to call somebody else (RFC 3515): its own client does it. */
  refer(side: Side, target: string, done: (outcome: Outcome) => void): void {
    for (const [session, own] of this.#sides) {
      if (own === side && session.confirmed) {
        this.#asked.add(session)
        session.send('REFER', null, [['Refer-To', `<${target}>`]], done)
        return
      }
    }
    done({ status: 481, reason: null, ...NOTHING })
  }

  /** After an answer: somebody new is called, and put through to this session. */
  connect(session: Session, plan: DialPlan, done: (outcome: Outcome) => void): void {
    const place = this.sideOf(session) === 'caller' ? 'callee' : 'caller'
    join(this, session, place, plan, (outcome, newcomer) => {
      if (newcomer !== null) {
        this.#sides.set(newcomer, place)
        this.link(session, newcomer)
      }
      done(outcome)
    })
  }

  #referred(session: Session, ask: Ask, reply: Reply): void {
    if (reply.do === 'refuse') session.answer(ask, reply.outcome)
    if (reply.do !== 'transfer') return
    const peer = this.peerOf(session)
    if (peer === null || !session.alive) {
      session.answer(ask, { status: 481, reason: null, ...NOTHING })
      return
    }
    const referral = new Referral(this, session, peer, ask)
    this.#referrals.add(referral)
    referral.begin(reply.plan, reply.found)
  }

  referralOver(referral: Referral): void {
    this.#referrals.delete(referral)
  }

  /** The transferor leaves, the newcomer takes its place. */
  replace(transferor: Session, newcomer: Session, remaining: Session): void {
    this.#sides.set(newcomer, this.sideOf(transferor))
    this.#peers.delete(transferor)
    this.link(newcomer, remaining)
  }

  /** Somebody's leg of another call of ours becomes part of this one, and the other call ends. */
  adopt({ bridge, session }: Found, newcomer: Session, by: EndedBy = 'peer'): UasLeg | UacLeg | null {
    const side = bridge.sideOf(session)
    const leg = bridge.#release(newcomer)
    if (leg === null) return null
    leg.user = this
    this.#legs.add(leg)
    this.user.onLeg(leg)
    bridge.#end([])
    bridge.user.onEnded({ by, side, headers: [] })
    bridge.#settle()
    return leg
  }

  // ── Replaces (RFC 3891) ─────────────────────────────────────────────────────────────────────────────────────────

  /** The caller comes in the place of somebody in another call. */
  takeOver(found: Found, content: Content | null): void {
    takeOver(this, found, content)
  }

  /** What the callees have been offered. */
  get offered(): Content | null {
    return this.#calling?.offer ?? null
  }

  /** Whether it is the dialog of a callee that rings. */
  rings(session: Session): boolean {
    return this.#state === 'calling' && this.#caller?.open === true && this.#calling?.has(session) === true
  }

  /** The caller has taken a place in another call: whom it found there is with it from now on. */
  meet(remaining: Session, found: Found, outcome: Outcome): void {
    const caller = this.#caller
    if (caller === null) return
    this.#state = 'answered'
    const leg = this.adopt(found, remaining, 'us')
    const own = caller.branch('own')
    this.#sides.set(own, 'caller')
    this.#sides.set(remaining, 'callee')
    this.link(own, remaining)
    if (remaining.unanswered) this.#unanswered = own
    caller.accept('own', outcome)
    this.user.onAnswered(leg instanceof UacLeg ? leg : null, outcome)
  }

  /** The caller of another call has picked this one up. */
  pickedUp(from: Bridge, newcomer: Session, outcome: Outcome): void {
    const caller = this.#caller
    if (caller === null) return
    this.#state = 'answered'
    this.adopt({ bridge: from, session: newcomer }, newcomer, 'us')
    const own = caller.branch('picked up')
    this.#sides.set(own, 'caller')
    this.#sides.set(newcomer, 'callee')
    this.link(own, newcomer)
    caller.accept('picked up', outcome)
    this.#calling?.stop(ELSEWHERE)
    this.#calling = null
    this.user.onAnswered(null, outcome)
  }

  #release(session: Session): UasLeg | UacLeg | null {
    for (const leg of this.#legs) {
      if (leg.session !== session) continue
      this.#legs.delete(leg)
      this.onOver(session)
      this.user.onLegMoved(leg)
      return leg
    }
    return null
  }

  /** Its BYE ends its own leg only, once it has been replaced. */
  #leavesTransferred(session: Session): boolean {
    if (this.#state !== 'answered') return false
    for (const referral of this.#referrals) if (referral.left(session)) return true
    return this.peerOf(session) === null && this.#peers.size > 0
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Header fields for the other side. */
  crossing(headers: readonly Header[]): readonly Header[] {
    return crossing(headers, this.#policy)
  }

  crossed(outcome: Outcome): Outcome {
    return relayed({ ...outcome, headers: this.crossing(outcome.headers) })
  }

  #end(headers: readonly Header[]): void {
    this.#state = 'over'
    this.#referrals.clear()
    for (const leg of this.#legs) leg.hangup(headers)
  }

  #settle(): void {
    if (this.#state !== 'over' || this.#legs.size > 0 || this.#finished) return
    this.#finished = true
    this.user.onOver()
  }
}

function aboutRefer(ask: Ask): boolean {
  return ask.headers.some(([name, value]) => /^(event|o)$/i.test(name) && /^refer\b/i.test(value))
}

/** Fields that say what an in-dialog request is about, which every policy lets through. */
function eventOf(ask: Ask): Header[] {
  return ask.headers.filter(([name]) => /^(event|o|subscription-state|info-package)$/i.test(name))
}
