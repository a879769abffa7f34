import type { Bridge } from './bridge.ts'
import { declining } from './declining.ts'
import { NOTHING, type Content, type Outcome } from './events.ts'
import type { Session } from './session.ts'
import type { Ask } from './session-user.ts'
import type { LegProgress } from './uac-leg.ts'

/** A reliable provisional response of a callee's that the caller's PRACK will acknowledge. */
interface Unpracked {
  readonly session: Session
  readonly rseq: number
  readonly inviteSeq: number
  /** The call's first offer, which the PRACK must answer (RFC 3262 §5). */
  readonly offer: Content | null
}

type Reliable = Pick<LegProgress, 'reliable' | 'rseq' | 'inviteSeq' | 'content'>

const NOT_ACCEPTABLE: Outcome = { status: 488, reason: null, ...NOTHING }

/** The caller's PRACKs, and those that callees get for them (RFC 3262 §4). */
export class Pracks {
  readonly #bridge: Bridge
  /** For each dialog towards the caller, what its reliable responses stand for; null: an unreliable one. */
  readonly #expected = new Map<Session, (Unpracked | null)[]>()
  /** Callees whose first offer the caller has answered. */
  readonly #settled = new Set<Session>()

  constructor(bridge: Bridge) {
    this.#bridge = bridge
  }

  /** The caller was sent a reliable response in this dialog. */
  expect(own: Session, of: Unpracked | null): void {
    const queue = this.#expected.get(own)
    if (queue === undefined) this.#expected.set(own, [of])
    else queue.push(of)
  }

  /** Whether this callee's first offer, whose media is at a relay, has had its answer before the 2xx. */
  settled(callee: Session): boolean {
    return this.#settled.has(callee)
  }

  /** A PRACK of the caller's: passed on when the response it is for was a callee's reliable one. */
  pracked(session: Session, ask: Ask): boolean {
    const of = this.#expected.get(session)?.shift()
    if (of === undefined || of === null) return false
    const { session: callee, offer } = of
    const first = offer !== null && !this.#settled.has(callee)
    if (first && this.#bridge.user.held(callee.dialog.localTag)) this.#firstAnswer(session, ask, of)
    else if (ask.content === null) {
      session.answer(ask, { status: 200, reason: null, ...NOTHING })
      callee.prack(of.rseq, of.inviteSeq, null, [], () => undefined)
    } else this.#passOn(session, ask, ask.content, of)
    return true
  }

  /** The caller will not: we acknowledge it ourselves. */
  acknowledge(callee: Session | null, { reliable, rseq, inviteSeq }: Reliable): void {
    if (reliable) callee?.prack(rseq, inviteSeq, null, [], () => undefined)
  }

  /** An offer in a reliable response that nobody will answer: its PRACK must. */
  decline(callee: Session | null, { reliable, rseq, inviteSeq, content }: Reliable): void {
    const answer = content === null ? null : declining(content)
    if (reliable) callee?.prack(rseq, inviteSeq, answer, [], () => undefined)
  }

  #passOn(session: Session, ask: Ask, said: Content, { session: callee, rseq, inviteSeq }: Unpracked): void {
    const refuse = (): void => session.answer(ask, NOT_ACCEPTABLE)
    this.#bridge.talk.relay('offer', session, callee, said, (offer, ok) => {
      if (!ok) {
        // What it acknowledges has come all the same.
        callee.prack(rseq, inviteSeq, null, [], () => undefined)
        return refuse()
      }
      if (ask.settled) return undefined
      return callee.prack(rseq, inviteSeq, offer, [], (outcome) => {
        const content = outcome.status < 300 ? outcome.content : null
        this.#bridge.talk.relay('answer', callee, session, content, (answer, taken) => {
          if (taken) session.answer(ask, this.#bridge.crossed({ ...outcome, content: answer }))
          else refuse()
        })
      })
    })
  }

  /** It answers the callee's first offer, whose media is at a relay; without an answer there will be no session. */
  #firstAnswer(session: Session, ask: Ask, { session: callee, rseq, inviteSeq, offer }: Unpracked): void {
    const bridge = this.#bridge
    bridge.talk.relay('answer', session, callee, ask.content, (answer, ok) => {
      if (bridge.state !== 'calling') return session.answer(ask, { status: 481, reason: null, ...NOTHING })
      if (!ok || answer === null) {
        session.answer(ask, NOT_ACCEPTABLE)
        this.decline(callee, { reliable: true, rseq, inviteSeq, content: offer })
        return bridge.refuse(NOT_ACCEPTABLE)
      }
      this.#settled.add(callee)
      return callee.prack(rseq, inviteSeq, answer, [], (outcome) =>
        session.answer(ask, bridge.crossed({ ...outcome, content: null })),
      )
    })
  }
}
