import type { Bridge } from './bridge.ts'
import type { Reply, Side } from './bridge-user.ts'
import { NOTHING, type Outcome } from './events.ts'
import type { DialPlan } from './plan.ts'
import { join, Referral } from './referral.ts'
import type { Session } from './session.ts'
import type { Ask } from './session-user.ts'

/** Somebody else comes into a call that is answered: REFERs of the parties' and of ours (RFC 3515), and those we put through. */
export class Transfers {
  readonly #bridge: Bridge
  readonly #referrals = new Set<Referral>()
  /** Sessions whose peers we have sent a REFER: their NOTIFYs about it are ours. */
  readonly #asked = new Set<Session>()

  constructor(bridge: Bridge) {
    this.#bridge = bridge
  }

  /** Whether a party is being transferred. */
  get pending(): boolean {
    return this.#referrals.size > 0
  }

  /** Asks a party to call somebody else (RFC 3515): its own client does it. */
  refer(side: Side, target: string, done: (outcome: Outcome) => void): void {
    const session = this.#bridge.parties.standing(side)
    if (session === null) return done({ status: 481, reason: null, ...NOTHING })
    this.#asked.add(session)
    session.send('REFER', null, [['Refer-To', `<${target}>`]], done)
  }

  /** After an answer: somebody new is called, and put through to this session. */
  connect(session: Session, plan: DialPlan, done: (outcome: Outcome) => void): void {
    const { parties } = this.#bridge
    const place = parties.sideOf(session) === 'caller' ? 'callee' : 'caller'
    join(this.#bridge, session, place, plan, (outcome, newcomer) => {
      if (newcomer !== null) {
        parties.place(newcomer, place)
        parties.link(session, newcomer)
      }
      done(outcome)
    })
  }

  /** A party's REFER: the script says what comes of it. */
  asked(session: Session, ask: Ask): void {
    const { parties, state, user } = this.#bridge
    const alone = state !== 'answered' || parties.peerOf(session) === null
    if (alone || !user.wants('refer')) {
      session.answer(ask, { status: 603, reason: null, ...NOTHING })
      return
    }
    user.ask({ about: 'refer', side: parties.sideOf(session), ask }, (reply) =>
      this.#decided(session, ask, reply),
    )
  }

  #decided(session: Session, ask: Ask, reply: Reply): void {
    if (reply.do === 'refuse') session.answer(ask, reply.outcome)
    if (reply.do !== 'transfer') return
    const peer = this.#bridge.parties.peerOf(session)
    if (peer === null || !session.alive) {
      session.answer(ask, { status: 481, reason: null, ...NOTHING })
      return
    }
    const referral = new Referral(this.#bridge, session, peer, ask)
    this.#referrals.add(referral)
    referral.begin(reply.plan, reply.found)
  }

  /** A NOTIFY that tells how a REFER of ours goes. */
  concerns(session: Session, ask: Ask): boolean {
    return ask.method === 'NOTIFY' && this.#asked.has(session) && aboutRefer(ask)
  }

  /** Its BYE ends its own leg only, once it has been replaced. */
  leaves(session: Session): boolean {
    const { parties, state } = this.#bridge
    if (state !== 'answered') return false
    for (const referral of this.#referrals) if (referral.left(session)) return true
    return parties.peerOf(session) === null && parties.talking
  }

  over(referral: Referral): void {
    this.#referrals.delete(referral)
  }

  /** The session is no longer in the call. */
  forget(session: Session): void {
    this.#asked.delete(session)
  }

  /** The call ends: nobody is put through any more. */
  stop(): void {
    this.#referrals.clear()
  }
}

function aboutRefer(ask: Ask): boolean {
  return ask.headers.some(([name, value]) => /^(event|o)$/i.test(name) && /^refer\b/i.test(value))
}
