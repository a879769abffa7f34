import type { Bridge } from './bridge.ts'
import type { Crossing, Side } from './bridge-user.ts'
import { NOTHING, type Content, type Header, type Outcome } from './events.ts'
import type { Session } from './session.ts'
import type { Ask } from './session-user.ts'

const UNANSWERED: readonly Header[] = [['Reason', 'SIP;cause=488;text="Offer not answered"']]

/** What the two who talk say to each other: offers, answers and requests, from one to the other. */
export class Talk {
  readonly #bridge: Bridge
  /** The caller's session whose ACK must bring the answer to the call's first offer, which came in the 2xx (§13.2.1). */
  #unanswered: Session | null = null
  /** Of the two who talk; and the last that was tried. */
  #pair = 0
  #pairs = 0

  constructor(bridge: Bridge) {
    this.#bridge = bridge
  }

  /** A party wants to change the session. */
  offered(session: Session, ask: Ask): void {
    const { parties, transfers } = this.#bridge
    const peer = parties.peerOf(session)
    if (peer === null) {
      session.answer(ask, { status: transfers.pending ? 491 : 488, reason: null, ...NOTHING })
      return
    }
    const method = ask.method === 'UPDATE' ? 'UPDATE' : 'INVITE'
    this.relay('offer', session, peer, ask.content, (offer, ok) => {
      if (!ok) session.answer(ask, { status: 488, reason: null, ...NOTHING })
      // The one who asked may have hung up meanwhile: then nobody is asked.
      else if (!ask.settled)
        peer.modify(method, offer, this.#bridge.crossing(ask.headers), (o) =>
          this.#modified(session, peer, ask, o),
        )
    })
  }

  /** The other party has taken the offer, made one where it was asked to, or refused. */
  #modified(session: Session, peer: Session, ask: Ask, outcome: Outcome): void {
    const content = outcome.status < 300 ? outcome.content : null
    this.relay(ask.content === null ? 'offer' : 'answer', peer, session, content, (said, ok) => {
      if (ok)
        session.answer(ask, this.#bridge.crossed(content === null ? outcome : { ...outcome, content: said }))
      else {
        if (ask.content === null) peer.ack(null)
        session.answer(ask, { status: 488, reason: null, ...NOTHING })
      }
    })
  }

  /** The ACK of this session is to answer the call's first offer. */
  awaitAnswer(session: Session): void {
    this.#unanswered = session
  }

  /** The ACK of a 2xx, with the answer where that was the offer. */
  acked(session: Session, content: Content | null): void {
    const bridge = this.#bridge
    const peer = bridge.parties.peerOf(session)
    if (peer === null) return
    const first = this.#unanswered === session
    if (first) this.#unanswered = null
    // Media that is held needs two ends. Where nothing is, what is missing is between the two, who may have ways of their own.
    const needed = first && bridge.user.held(peer.dialog.localTag)
    if (needed && content === null) return bridge.hangup(UNANSWERED)
    this.relay('answer', session, peer, content, (said, ok) => {
      if (needed && !ok) bridge.hangup(UNANSWERED)
      else peer.ack(said)
    })
  }

  /** A request that changes nothing of the session. */
  requested(session: Session, ask: Ask): void {
    const bridge = this.#bridge
    const peer = bridge.parties.peerOf(session)
    if (peer === null) {
      session.answer(ask, { status: 480, reason: null, ...NOTHING })
      return
    }
    peer.send(ask.method, ask.content, [...bridge.crossing(ask.headers), ...eventOf(ask)], (o) =>
      session.answer(ask, bridge.crossed(o)),
    )
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
      early: this.#bridge.state === 'calling',
    },
  ): void {
    if (content === null) return done(null, true)
    const branch = (from === 'caller' ? peer : session).dialog.localTag
    this.#bridge.user.relay({ what, from, content, pair, branch, early }, (said) => done(said, said !== null))
  }

  /** Before the answer, too. */
  #placeOf(session: Session): Side {
    const { caller, parties } = this.#bridge
    const known = parties.placeOf(session)
    return known ?? (caller?.find(session.dialog.localTag) === session ? 'caller' : 'callee')
  }

  /** Two parties are about to be put together: a number for them. */
  newPair(): number {
    return ++this.#pairs
  }

  /** They are, or are not. */
  paired(pair: number, kept: boolean): void {
    if (kept) this.#pair = pair
    this.#bridge.user.onPaired(pair, kept)
  }
}

/** Fields that say what an in-dialog request is about, which every policy lets through. */
function eventOf(ask: Ask): Header[] {
  return ask.headers.filter(([name]) => /^(event|o|subscription-state|info-package)$/i.test(name))
}
