import type { Acknowledgements } from './acknowledgements.ts'
import type { Answers } from './answers.ts'
import type { EndedBy, Header } from './events.ts'
import type { ReliableSender } from './reliable.ts'
import type { Requests } from './requests.ts'
import type { Session } from './session.ts'
import type { SessionClock } from './session-clock.ts'
import type { SessionUser } from './session-user.ts'

/** What a session is made of, and what ends with it. */
export interface SessionParts {
  readonly reliable: ReliableSender
  readonly clock: SessionClock
  readonly acks: Acknowledgements
  readonly requests: Requests
  readonly answers: Answers
}

/** The life of a session: early until there is a 2xx, and its end, whoever wants it. */
export class SessionLife {
  readonly #parts: SessionParts
  readonly #session: Session
  readonly #user: SessionUser
  #state: 'early' | 'confirmed' | 'ending' | 'over' = 'early'
  /** Asked to hang up while a 2xx of ours waits for its ACK: no BYE before that (§15). */
  #farewell: readonly Header[] | null = null
  #told = false

  constructor(session: Session, user: SessionUser, parts: SessionParts) {
    this.#session = session
    this.#parts = parts
    this.#user = user
  }

  get state(): 'early' | 'confirmed' | 'ending' | 'over' {
    return this.#state
  }

  /** Neither over nor on its way there. */
  get alive(): boolean {
    return this.#state === 'early' || this.#state === 'confirmed'
  }

  /** Nothing of it is left. */
  get over(): boolean {
    return this.#state === 'over' && this.#parts.requests.live === 0
  }

  /** The first INVITE has its 2xx. */
  confirm(): void {
    this.#state = 'confirmed'
  }

  /** An early dialog that came to nothing. */
  abandon(): void {
    if (this.#state !== 'early') return
    this.#parts.reliable.abandon()
    this.finish()
  }

  /** Ends the session from our side. Nothing when it is over or on its way there. */
  hangup(headers: readonly Header[]): void {
    if (this.#state === 'early') return this.abandon()
    if (this.#state !== 'confirmed') return
    this.#told = true
    this.#leave(headers)
  }

  /** The peer's BYE, which has its answer. */
  left(headers: readonly Header[]): void {
    if (this.#state === 'early') return this.#user.onHangup(this.#session, 'peer', headers)
    this.#state = 'ending'
    this.#tell('peer', headers)
    this.finish()
  }

  /** Ends without anybody's asking for it. */
  die(by: EndedBy, headers: readonly Header[], bye = true): void {
    if (this.#state !== 'confirmed') return
    if (bye) this.#leave(headers)
    else this.#state = 'ending'
    this.#tell(by, headers)
    if (!bye) this.finish()
  }

  /** No 2xx of ours waits for its ACK any more. True: a BYE waited for that, and is sent. */
  part(): boolean {
    const headers = this.#farewell
    if (headers === null) return false
    this.#sendBye(headers)
    return true
  }

  /** The dialog is gone. */
  finish(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#parts.answers.giveUp()
    this.#parts.acks.flush()
    this.#close()
    this.settle()
  }

  /** Whether it is over is to be seen. */
  settle(): void {
    if (this.over) this.#user.onOver(this.#session)
  }

  #leave(headers: readonly Header[]): void {
    this.#state = 'ending'
    this.#close()
    if (this.#parts.answers.unacked) this.#farewell = headers
    else this.#sendBye(headers)
  }

  #sendBye(headers: readonly Header[]): void {
    this.#farewell = null
    this.#parts.acks.flush()
    this.#parts.requests.send('BYE', null, headers, null)
  }

  /** What is under way will not come to anything. */
  #close(): void {
    const { clock, reliable, answers, requests } = this.#parts
    clock.stop()
    reliable.abandon()
    answers.close()
    requests.close()
  }

  #tell(by: EndedBy, headers: readonly Header[]): void {
    if (this.#told) return
    this.#told = true
    this.#user.onHangup(this.#session, by, headers)
  }
}
