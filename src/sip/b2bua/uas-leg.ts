import { Dialog } from '../dialog/dialog.ts'
import { minSe, type SessionTimerPolicy, supports, tooSmall } from '../dialog/session-timer.ts'
import { buildResponse } from '../message/build.ts'
import type { Request } from '../message/message.ts'
import type { Timers } from '../transaction/timers.ts'
import { addAbilities, unsupported } from './abilities.ts'
import type { Content, EndedBy, Header, Out, Outcome, Progress } from './events.ts'
import { contentOf, put } from './headers.ts'
import { Session } from './session.ts'
import { Ask, type SessionUser } from './session-user.ts'

/** Who hears of an incoming call, besides of what its sessions say. */
export interface UasUser extends SessionUser {
  /** The caller gave up: 487 has been sent. */
  onCancelled(leg: UasLeg, headers: readonly Header[]): void
  /** Nothing is left of the leg. */
  onLegOver(leg: UasLeg): void
}

export interface UasLegOptions {
  readonly invite: Request
  /** The shell's name for the INVITE's server transaction. */
  readonly transaction: number
  readonly nextId: () => number
  readonly newTag: () => string
  readonly out: Out
  readonly user: UasUser
  readonly timers: Timers
  readonly policy: SessionTimerPolicy
}

/**
 * The leg towards a caller: answers one INVITE. To the caller each branch of the callee's side is a dialog of its own, with
 * a To tag of its own, as a forking proxy would show them, so that early media and PRACK of one do not mix with another's.
 */
export class UasLeg implements SessionUser {
  readonly callId: string
  readonly invite: Request
  readonly #o: UasLegOptions
  /** Moves with the leg when it becomes part of another call. */
  user: UasUser
  readonly #transaction: number
  /** Early dialogs and, in the end, the one that was answered; by branch. */
  readonly #sessions = new Map<string, Session>()
  #state: 'open' | 'answered' | 'refused' = 'open'
  #answered: Session | null = null
  #ended = false

  constructor(options: UasLegOptions) {
    this.#o = options
    this.user = options.user
    this.invite = options.invite
    this.callId = options.invite.callId
    this.#transaction = options.transaction
  }

  /** Why we cannot take this INVITE at all: 400, 420, 422 (§8.2.2, RFC 4028 §9). Null: we can. */
  static refusal(
    invite: Request,
    policy: SessionTimerPolicy,
    takesOver = false,
  ): { readonly status: number; readonly headers: readonly Header[] } | null {
    if (!invite.headers.has('contact')) return { status: 400, headers: [] }
    const unknown = unsupported(invite, takesOver)
    if (unknown !== null) return { status: 420, headers: [unknown] }
    const least = tooSmall(invite, policy)
    return least === null ? null : { status: 422, headers: [['Min-SE', String(least)]] }
  }

  get open(): boolean {
    return this.#state === 'open'
  }

  get over(): boolean {
    return this.#state !== 'open' && (this.#answered === null || this.#answered.over)
  }

  get session(): Session | null {
    return this.#answered
  }

  /** Sessions that live, early ones included. */
  get sessions(): Iterable<Session> {
    return this.#sessions.values()
  }

  get content(): Content | null {
    return contentOf(this.invite)
  }

  /** Reliable provisional responses are understood, and whether they are insisted on (RFC 3262 §3). */
  get takesReliable(): boolean {
    return supports(this.invite, '100rel')
  }

  get minSe(): number {
    return minSe(this.invite)
  }

  /** The dialog whose To tag is ours. */
  find(localTag: string): Session | undefined {
    for (const session of this.#sessions.values()) if (session.dialog.localTag === localTag) return session
    return undefined
  }

  /** The dialog that stands for this branch, begun now if there is none. */
  branch(key: string): Session {
    let session = this.#sessions.get(key)
    if (session === undefined) {
      const { out, timers, policy, nextId, newTag } = this.#o
      const dialog = Dialog.uas(this.invite, newTag())
      session = new Session({
        id: nextId(),
        dialog,
        caller: false,
        out,
        user: this,
        timers,
        policy,
        signer: null,
      })
      session.hear(this.invite)
      this.#sessions.set(key, session)
    }
    return session
  }

  /** A provisional response on a branch; reliable when the caller insists, or it can and the callee's was. */
  progress(key: string, { status, reason, content, headers, reliable }: Progress): 'reliably' | 'plainly' {
    if (this.#state !== 'open') return 'plainly'
    const session = this.branch(key)
    const response = buildResponse(this.invite, status, {
      toTag: session.dialog.localTag,
      ...(reason === null ? {} : { reason }),
    })
    addAbilities(response.headers)
    const said = session.descriptions.describe(content)
    put(response, said, headers)
    session.descriptions.told(said)
    if ((reliable && this.takesReliable) || requiresReliable(this.invite)) {
      session.reliable.send(this.#transaction, response)
      return 'reliably'
    }
    this.#o.out({ do: 'respond', transaction: this.#transaction, response })
    return 'plainly'
  }

  /** The 2xx, when the branch's last reliable response has its PRACK. The other branches' dialogs are gone. */
  accept(key: string, outcome: Outcome): void {
    if (this.#state !== 'open') return
    const session = this.branch(key)
    session.reliable.after(() => {
      if (this.#state !== 'open') return
      this.#state = 'answered'
      this.#answered = session
      for (const other of this.#sessions.values()) if (other !== session) other.abandon()
      this.#sessions.clear()
      this.#sessions.set(key, session)
      session.acceptFirst(new Ask(this.invite, this.#transaction), outcome)
    })
  }

  /** A final response other than 2xx. */
  refuse({ status, reason, content, headers }: Outcome): void {
    if (this.#state !== 'open') return
    this.#state = 'refused'
    const response = buildResponse(this.invite, status, {
      toTag: this.#o.newTag(),
      ...(reason === null ? {} : { reason }),
    })
    put(response, content, headers)
    this.#o.out({ do: 'respond', transaction: this.#transaction, response })
    this.#abandonAll()
    this.#settle()
  }

  /** The caller's CANCEL; nothing once there is a final response (§9.2). */
  cancelled(headers: readonly Header[]): void {
    if (this.#state !== 'open') return
    this.refuse({ status: 487, reason: null, content: null, headers: [] })
    this.user.onCancelled(this, headers)
  }

  /** Our side ends the call: BYE, or nothing when it is over. */
  hangup(headers: readonly Header[]): void {
    this.#answered?.hangup(headers)
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

  /** A BYE on an early dialog gives the call up as a CANCEL does (§15); a reliable response nobody takes ends it, too. */
  onHangup(session: Session, by: EndedBy, headers: readonly Header[]): void {
    if (this.#state !== 'open') this.user.onHangup(session, by, headers)
    else if (by === 'peer') this.cancelled(headers)
    else {
      this.refuse({ status: 504, reason: 'No PRACK', content: null, headers: [] })
      this.user.onHangup(session, by, headers)
    }
  }

  onOver(session: Session): void {
    this.user.onOver(session)
    this.#settle()
  }

  #abandonAll(): void {
    for (const session of this.#sessions.values()) session.abandon()
    this.#sessions.clear()
  }

  #settle(): void {
    if (!this.over || this.#ended) return
    this.#ended = true
    this.user.onLegOver(this)
  }
}

function requiresReliable(invite: Request): boolean {
  return invite.headers.all('require').some((value) => /(^|[\s,])100rel($|[\s,])/i.test(value))
}
