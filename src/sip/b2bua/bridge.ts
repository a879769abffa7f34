import type { SessionTimerPolicy } from '../dialog/session-timer.ts'
import type { Request } from '../message/message.ts'
import { COMPLETED_ELSEWHERE } from '../message/reason.ts'
import type { BridgeUser, Found } from './bridge-user.ts'
import { Calling } from './calling.ts'
import { NOTHING, type Content, type EndedBy, type Header, type Outcome, type RefusedBy } from './events.ts'
import { crossing, type HeaderPolicy } from './headers.ts'
import { type BridgeWorld, Legs } from './legs.ts'
import { Parties } from './parties.ts'
import { type DialPlan, relayed } from './plan.ts'
import type { Session } from './session.ts'
import type { Ask } from './session-user.ts'
import { takeOver } from './takeover.ts'
import { Talk } from './talk.ts'
import { Transfers } from './transfers.ts'
import type { LegProgress, UacLeg, UacUser } from './uac-leg.ts'
import type { UasLeg, UasUser } from './uas-leg.ts'

/**
 * One call: a caller's leg, callees' legs, and which session talks to which. It carries call-control events from one to the
 * other and knows what a call is; what SIP is, the legs know.
 */
export class Bridge implements UasUser, UacUser {
  readonly user: BridgeUser
  readonly legs: Legs
  readonly parties = new Parties()
  readonly talk = new Talk(this)
  readonly transfers = new Transfers(this)
  #caller: UasLeg | null = null
  #calling: Calling | null = null
  #state: 'calling' | 'answered' | 'over' = 'calling'
  #policy: HeaderPolicy = 'transparent'
  #finished = false

  constructor(world: BridgeWorld, user: BridgeUser) {
    this.user = user
    this.legs = new Legs(this, world)
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

  // ── What the shell says ─────────────────────────────────────────────────────────────────────────────────────────

  /** A caller's INVITE. */
  incoming(invite: Request, transaction: number, policy: SessionTimerPolicy): void {
    this.#caller = this.legs.receive(invite, transaction, policy)
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
    this.parties.place(caller.branch('own'), 'caller')
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

  // ── An answer ───────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Somebody has answered and nobody minds: the caller hears of it, and the two talk.
   * @param key of the branch of the caller's leg
   * @param leg the callee's; null: it was not called by this call
   */
  answeredBy(leg: UacLeg | null, session: Session, key: string, outcome: Outcome): void {
    if (this.#state !== 'calling') return
    this.#state = 'answered'
    this.parties.place(session, this.#caller === null ? 'caller' : 'callee')
    if (this.#caller !== null) {
      const own = this.#caller.branch(key)
      this.parties.place(own, 'caller')
      this.parties.link(own, session)
      if (session.unanswered) this.talk.awaitAnswer(own)
      this.#caller.accept(key, outcome)
    }
    this.#calling?.stop(COMPLETED_ELSEWHERE, leg)
    this.#calling = null
    this.user.onAnswered(leg, outcome)
  }

  // ── Sessions ────────────────────────────────────────────────────────────────────────────────────────────────────

  onOffer(session: Session, ask: Ask): void {
    this.talk.offered(session, ask)
  }

  onAcked(session: Session, content: Content | null): void {
    this.talk.acked(session, content)
  }

  onPrack(session: Session, ask: Ask): void {
    const handled = this.#calling?.pracks.pracked(session, ask) ?? false
    if (!handled) session.answer(ask, { status: ask.content === null ? 200 : 488, reason: null, ...NOTHING })
  }

  onRequest(session: Session, ask: Ask): void {
    if (this.transfers.concerns(session, ask)) session.answer(ask, { status: 200, reason: null, ...NOTHING })
    else this.talk.requested(session, ask)
  }

  onRefer(session: Session, ask: Ask): void {
    this.transfers.asked(session, ask)
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
    if (this.transfers.leaves(session)) return
    const side = this.parties.sideOf(session)
    if (this.#state === 'over') return
    this.#end(this.crossing(headers))
    this.user.onEnded({ by, side, headers })
    this.#settle()
  }

  onOver(session: Session): void {
    this.parties.forget(session)
    this.transfers.forget(session)
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
    this.legs.over(leg)
    this.#settle()
  }

  // ── Other calls ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Somebody's leg of another call of ours becomes part of this one, and the other call ends. */
  adopt({ bridge, session }: Found, newcomer: Session, by: EndedBy = 'peer'): UasLeg | UacLeg | null {
    const side = bridge.parties.sideOf(session)
    const leg = bridge.legs.release(newcomer)
    if (leg === null) return null
    this.legs.adopt(leg)
    bridge.#end([])
    bridge.user.onEnded({ by, side, headers: [] })
    bridge.#settle()
    return leg
  }

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
    this.transfers.stop()
    this.legs.hangup(headers)
  }

  #settle(): void {
    if (this.#state !== 'over' || this.legs.size > 0 || this.#finished) return
    this.#finished = true
    this.user.onOver()
  }
}
