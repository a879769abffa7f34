import type { Dialog } from '../dialog/dialog.ts'
import { agreed, askFor, minSe, type SessionTimerPolicy } from '../dialog/session-timer.ts'
import type { Request, Response } from '../message/message.ts'
import { addAbilities } from './abilities.ts'
import type { Acknowledgements } from './acknowledgements.ts'
import type { Descriptions } from './descriptions.ts'
import { NOTHING, type Actor, type Content, type Header, type Out, type Outcome } from './events.ts'
import { contentOf, payloadOf, put } from './headers.ts'
import type { SessionClock } from './session-clock.ts'
import { credentialsOf, isChallenge, type Signer } from './signer.ts'

/** Whose requests these are: the session, as far as they have to know it. */
export interface RequestsOwner extends Actor {
  readonly alive: boolean
  /** The peer is changing the session, or has yet to answer an offer in our 2xx. */
  readonly engaged: boolean
  /** What the peer says of itself. */
  hear(message: Response): void
  /** The BYE was answered, or nobody is there to answer it. */
  byeOver(): void
  /** §12.2.1.2: the peer does not know the dialog (`status` 481), or does not answer (408). */
  peerGone(status: number): void
}

export interface RequestsOptions {
  readonly by: RequestsOwner
  readonly dialog: Dialog
  readonly out: Out
  readonly acks: Acknowledgements
  readonly descriptions: Descriptions
  readonly clock: SessionClock
  readonly policy: SessionTimerPolicy
  /** Whether the Call-ID is ours (§14.1). */
  readonly caller: boolean
  readonly signer: Signer | null
}

type Done = (outcome: Outcome) => void

/** A request of ours. */
interface Sent {
  readonly method: string
  /** As it went out; null: it has not yet. */
  readonly request: Request | null
  readonly seq: number
  readonly content: Content | null
  readonly headers: readonly Header[]
  /** Null when nobody waits any more. */
  done: Done | null
  /** Ours alone: a 491 is tried again after a while (§14.1), not told. */
  readonly own: boolean
  readonly tries: number
  /** How often it was sent again for a challenge, and with what. */
  readonly challenges: number
  readonly credentials: readonly Header[]
}

const FRESH = { request: null, seq: 0, tries: 0, challenges: 0, credentials: [] } as const

const MOST_TRIES = 4

/** The requests that we send within one dialog, and what comes of them. */
export class Requests {
  readonly #o: RequestsOptions
  readonly #sent = new Map<number, Sent>()
  #refs = 0
  /** The modification that waits for its answer. */
  #modifying: Sent | null = null
  /** One that waits to be tried again. */
  #later: Sent | null = null

  constructor(options: RequestsOptions) {
    this.#o = options
  }

  /** Transactions that live. */
  get live(): number {
    return this.#sent.size
  }

  /** We are changing the session. */
  get modifying(): boolean {
    return this.#modifying !== null || this.#o.acks.waiting
  }

  modify(
    method: string,
    content: Content | null,
    headers: readonly Header[],
    done: Done,
    own: boolean,
  ): void {
    const said = this.#o.descriptions.describe(content)
    const busy = this.#busy
    if (busy && !own) return done({ status: 491, reason: null, ...NOTHING })
    const sent: Sent = { ...FRESH, method, content: said, headers, done, own }
    if (busy) this.#putOff(sent)
    else this.#transmit(sent)
  }

  send(method: string, content: Content | null, headers: readonly Header[], done: Done | null): void {
    this.#transmit({ ...FRESH, method, content, headers, done, own: false })
  }

  onResponse(ref: number, response: Response): void {
    const sent = this.#sent.get(ref)
    if (sent === undefined || response.status < 200) return
    const { acks, by } = this.#o
    if (sent.done === null && sent.method === 'INVITE' && response.status < 300) {
      acks.received(sent.seq, sent.credentials, sent.content === null ? contentOf(response) : null)
      if (!by.alive) acks.flush()
      return
    }
    // An INVITE's transaction lives on for repetitions of its 2xx; `over` ends it.
    if (sent.method !== 'INVITE') this.#sent.delete(ref)
    by.hear(response)
    if (isChallenge(response) && this.#signed(sent, response)) return
    if (sent.method === 'BYE') by.byeOver()
    else if (response.status < 300) this.#accepted(sent, response)
    else this.#refused(sent, response)
  }

  onFailed(ref: number, reason: 'timeout' | 'transport' | 'unroutable', status: number): void {
    const sent = this.#sent.get(ref)
    this.#sent.delete(ref)
    if (sent === undefined) return
    const code = reason === 'timeout' ? 408 : reason === 'transport' ? 503 : status
    this.#failed(sent, { status: code, reason: null, ...NOTHING }, reason === 'timeout')
  }

  over(ref: number): void {
    this.#sent.delete(ref)
  }

  /** The wait after a 491 is over. */
  again(): void {
    const sent = this.#later
    this.#later = null
    if (sent === null) return
    if (!this.#busy) this.#transmit(sent)
    else if (sent.tries < MOST_TRIES) this.#putOff({ ...sent, tries: sent.tries + 1 })
    else this.#done(sent, { status: 491, reason: null, ...NOTHING })
  }

  /** The session ends: who waits for an answer is told 487. */
  close(): void {
    const open = [...this.#sent.values()].filter(({ done }) => done !== null)
    if (this.#later !== null) {
      this.#o.out({ do: 'stopTimer', by: this.#o.by, timer: 'glare' })
      open.push(this.#later)
    }
    this.#later = null
    this.#modifying = null
    for (const sent of open) this.#done(sent, { status: 487, reason: null, ...NOTHING })
  }

  get #busy(): boolean {
    return this.modifying || this.#o.by.engaged
  }

  #accepted(sent: Sent, response: Response): void {
    const { acks, by, descriptions, dialog, clock } = this.#o
    if (modifies(sent)) {
      if (this.#modifying === sent) this.#modifying = null
      dialog.refresh(response)
      descriptions.told(sent.content)
      clock.start(agreed(response))
    }
    if (sent.method === 'INVITE') {
      acks.received(sent.seq, sent.credentials, sent.content === null ? contentOf(response) : null)
      if (sent.content !== null || response.body === '') acks.send(null)
      if (!by.alive) acks.flush()
    }
    this.#done(sent, { status: response.status, reason: response.reason, ...payloadOf(response) })
  }

  /**
   * §22.2, for later requests than the INVITE: once more, with credentials, when it is the realm that has had them before. A
   * BYE as well, or the peer would think that the call goes on.
   */
  #signed(sent: Sent, response: Response): boolean {
    const { signer, by } = this.#o
    if (sent.request === null || signer?.knows(response) !== true) return false
    if (sent.done === null && sent.method !== 'BYE') return false
    if (!by.alive && sent.method !== 'BYE') return false
    const signed = signer.retry(response, sent.request, sent.challenges)
    if (signed === null) return false
    const given = new Set(sent.headers.map(([, value]) => value))
    const credentials = credentialsOf(signed).filter(([, value]) => !given.has(value))
    if (this.#modifying === sent) this.#modifying = null
    const again = { ...sent, challenges: sent.challenges + 1, credentials }
    sent.done = null
    this.#transmit(again)
    return true
  }

  #refused(sent: Sent, response: Response): void {
    const { status, reason } = response
    if (status === 422 && modifies(sent) && sent.tries < MOST_TRIES && this.#o.by.alive) {
      this.#o.clock.raise(minSe(response))
      if (this.#modifying === sent) this.#modifying = null
      this.#transmit(nextTry(sent))
    } else this.#failed(sent, { status, reason, ...payloadOf(response) }, status === 408 || status === 481)
  }

  #failed(sent: Sent, outcome: Outcome, deadly: boolean): void {
    const { by } = this.#o
    if (sent.method === 'BYE') return by.byeOver()
    if (this.#modifying === sent) this.#modifying = null
    if (outcome.status === 491 && sent.own && sent.tries < MOST_TRIES && by.alive) {
      return this.#putOff(nextTry(sent))
    }
    this.#done(sent, outcome)
    if (deadly) by.peerGone(outcome.status)
  }

  #done(sent: Sent, outcome: Outcome): void {
    const { done } = sent
    sent.done = null
    done?.(outcome)
  }

  #transmit(sent: Sent): void {
    const { by, dialog, clock, policy, out } = this.#o
    const { request, nextHop } = dialog.request(sent.method)
    const live: Sent = { ...sent, request, seq: request.cseq.number }
    if (modifies(sent)) {
      if (sent.method === 'INVITE' || sent.content !== null) this.#modifying = live
      addAbilities(request.headers)
      const { expires, least, refresher } = clock.toAsk(policy)
      askFor(request.headers, expires, least, refresher)
    }
    put(request, sent.content, [...sent.headers, ...sent.credentials])
    const ref = ++this.#refs
    this.#sent.set(ref, live)
    out({ do: 'request', by, ref, request, nextHop })
  }

  /** §14.1: the owner of the Call-ID waits 2.1 to 4 s, the other side up to 2 s. */
  #putOff(sent: Sent): void {
    this.#later = sent
    const [ms, spreadMs] = this.#o.caller ? [2100, 1900] : [10, 1990]
    this.#o.out({ do: 'startTimer', by: this.#o.by, timer: 'glare', ms, spreadMs })
  }
}

function modifies({ method }: Sent): boolean {
  return method === 'INVITE' || method === 'UPDATE'
}

/** The same once more; the one before waits for nothing. */
function nextTry(sent: Sent): Sent {
  const next = { ...sent, tries: sent.tries + 1 }
  sent.done = null
  return next
}
