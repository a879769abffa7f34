import type { Bridge } from './bridge.ts'
import type { Found, Side } from './bridge-user.ts'
import { type Content, NOTHING, type Outcome, type RefusedBy } from './events.ts'
import type { DialPlan } from './plan.ts'
import { reasonPhrase } from '../message/status.ts'
import type { Session } from './session.ts'
import type { Ask } from './session-user.ts'
import type { LegProgress, UacLeg, UacUser } from './uac-leg.ts'

/** What became of putting somebody through. */
type Joined = (outcome: Outcome, newcomer: Session | null) => void

/**
 * Calls somebody for `place`, without a session description, and puts them through to `session`: the newcomer's offer goes to the
 * session as a re-INVITE, its answer back with the ACK (RFC 3725 §4.1, with a party that is there already).
 */
export function join(bridge: Bridge, session: Session, place: Side, plan: DialPlan, done: Joined): void {
  const target = plan.targets[0]
  if (target === undefined) return done({ status: 404, reason: null, ...NOTHING }, null)
  const user: UacUser = {
    onProgress: (_leg: UacLeg, _session: Session | null, _progress: LegProgress) => undefined,
    onRefused: (leg: UacLeg, by: RefusedBy, outcome: Outcome) => {
      bridge.user.onLegDecided(leg, by, outcome.status)
      done(outcome, null)
    },
    onAnswered: (leg, newcomer, outcome) => {
      leg.user = bridge
      bridge.user.onLegDecided(leg, null, outcome.status)
      if (bridge.state !== 'answered' || !session.alive) {
        newcomer.hangup([])
        return done({ status: 487, reason: null, ...NOTHING }, null)
      }
      put(bridge, session, { newcomer, place }, outcome, (result) => {
        if (result.status >= 300) {
          newcomer.hangup([])
          return done(result, null)
        }
        return done(outcome, newcomer)
      })
    },
    onGivenUp: (leg) => bridge.onGivenUp(leg),
    onOffer: (_, ask) => bridge.onOffer(_, ask),
    onAcked: (_, content) => bridge.onAcked(_, content),
    onPrack: (_, ask) => bridge.onPrack(_, ask),
    onRequest: (_, ask) => bridge.onRequest(_, ask),
    onRefer: (_, ask) => bridge.onRefer(_, ask),
    onHangup: (_, by, headers) => bridge.onHangup(_, by, headers),
    onOver: (_) => bridge.onOver(_),
    onLegOver: (leg) => bridge.onLegOver(leg),
  }
  bridge.legs.launch({ ...plan, content: null, strategy: 'parallel' }, target, user)
}

/** Who is to talk to somebody who is in the call already, and in whose place. */
interface Newcomer {
  readonly newcomer: Session
  readonly place: Side
}

/** `offer` is the newcomer's 2xx, which waits for its answer: asks `session` for one and acknowledges with it. */
function put(
  bridge: Bridge,
  session: Session,
  { newcomer, place }: Newcomer,
  offer: Outcome,
  done: (outcome: Outcome) => void,
): void {
  const refused: Outcome = { status: 488, reason: null, ...NOTHING }
  if (offer.content === null) {
    newcomer.ack(null)
    return done(refused)
  }
  const pair = bridge.talk.newPair()
  const end = (outcome: Outcome): void => {
    if (outcome.status >= 300) newcomer.ack(null)
    bridge.talk.paired(pair, outcome.status < 300)
    done(outcome)
  }
  const before = session.descriptions.last
  return bridge.talk.relay('offer', newcomer, session, offer.content, offered, {
    pair,
    from: place,
    early: false,
  })

  function offered(content: Content | null, ok: boolean): void {
    if (!ok) return end(refused)
    return session.modify('INVITE', content, [], answered, true)
  }

  function answered(answer: Outcome): void {
    if (answer.status >= 300) return end(answer)
    const from = place === 'caller' ? 'callee' : 'caller'
    return bridge.talk.relay('answer', session, newcomer, answer.content, taken, { pair, from, early: false })

    function taken(content: Content | null, ok: boolean): void {
      if (ok) {
        newcomer.ack(content)
        return end(answer)
      }
      // It has been told of somebody who will not come.
      session.modify('INVITE', before, [], () => undefined, true)
      return end(refused)
    }
  }
}

/**
 * A REFER that was accepted (RFC 3515, RFC 5589): the other party is put through to the target, and the transferor hears
 * how it went in NOTIFYs (message/sipfrag, RFC 3420).
 */
export class Referral {
  readonly #bridge: Bridge
  readonly #transferor: Session
  readonly #remaining: Session
  readonly #ask: Ask
  /** The transferor's, which the newcomer will have. */
  readonly #place: Side
  #state: 'trying' | 'done' = 'trying'
  #gone = false

  constructor(bridge: Bridge, transferor: Session, remaining: Session, ask: Ask) {
    this.#bridge = bridge
    this.#transferor = transferor
    this.#remaining = remaining
    this.#ask = ask
    this.#place = bridge.parties.sideOf(transferor)
  }

  begin(plan: DialPlan, found: Found | null): void {
    this.#transferor.answer(this.#ask, { status: 202, reason: null, ...NOTHING })
    this.#notify(100, 'Trying', () => undefined)
    if (found === null) {
      join(this.#bridge, this.#remaining, this.#place, plan, (outcome, newcomer) =>
        this.#joined(outcome, newcomer),
      )
    } else this.#meet(found)
  }

  /** The transferor may hang up before it knows how it went: the others go on. */
  left(session: Session): boolean {
    if (session !== this.#transferor) return false
    this.#gone = true
    return true
  }

  /** The other party of the call that Replaces names is there already: the two are put together. */
  #meet(found: Found): void {
    const newcomer = found.bridge.parties.peerOf(found.session)
    if (newcomer === null || newcomer === this.#remaining) {
      return this.#joined({ status: 481, reason: null, ...NOTHING }, null)
    }
    return newcomer.modify(
      'INVITE',
      null,
      [],
      (offer) => {
        if (offer.status >= 300) return this.#joined(offer, null)
        const taker = { newcomer, place: this.#place }
        return put(this.#bridge, this.#remaining, taker, offer, (answer) => {
          if (answer.status < 300) this.#bridge.adopt(found, newcomer)
          else found.bridge.hangup([])
          this.#joined(answer, answer.status < 300 ? newcomer : null)
        })
      },
      true,
    )
  }

  #joined({ status, reason }: Outcome, newcomer: Session | null): void {
    if (newcomer !== null) this.#bridge.parties.replace(this.#transferor, newcomer, this.#remaining)
    if (newcomer === null && this.#gone) {
      this.#over()
      this.#bridge.hangup([])
      return
    }
    this.#notify(newcomer === null ? status : 200, reason, () => {
      if (newcomer !== null) this.#transferor.hangup([])
      this.#over()
    })
  }

  #over(): void {
    if (this.#state === 'done') return
    this.#state = 'done'
    this.#bridge.transfers.over(this)
  }

  #notify(status: number, reason: string | null, then: () => void): void {
    if (this.#gone) return then()
    const state = status < 200 ? 'active;expires=180' : 'terminated;reason=noresource'
    const body = `SIP/2.0 ${status} ${reason ?? reasonPhrase(status)}\r\n`
    return this.#transferor.send(
      'NOTIFY',
      { body, fields: [['Content-Type', 'message/sipfrag;version=2.0']] },
      [
        ['Event', `refer;id=${this.#ask.request.cseq.number}`],
        ['Subscription-State', state],
      ],
      then,
    )
  }
}
