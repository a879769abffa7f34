import type { Side } from './bridge-user.ts'
import type { Session } from './session.ts'

/** Who is in a call: in which place, and who talks to whom. */
export class Parties {
  readonly #peers = new Map<Session, Session>()
  readonly #sides = new Map<Session, Side>()

  /** Who talks with whom; null while nobody is there. */
  peerOf(session: Session): Session | null {
    return this.#peers.get(session) ?? null
  }

  /** Whether any two talk. */
  get talking(): boolean {
    return this.#peers.size > 0
  }

  sideOf(session: Session): Side {
    return this.#sides.get(session) ?? 'callee'
  }

  /** Null: it has no place, or none yet. */
  placeOf(session: Session): Side | null {
    return this.#sides.get(session) ?? null
  }

  /** Whose dialog on this side stands; null: nobody's. */
  standing(side: Side): Session | null {
    for (const [session, own] of this.#sides) if (own === side && session.confirmed) return session
    return null
  }

  place(session: Session, side: Side): void {
    this.#sides.set(session, side)
  }

  link(one: Session, other: Session): void {
    this.#peers.set(one, other)
    this.#peers.set(other, one)
  }

  /** The transferor leaves, the newcomer takes its place. */
  replace(transferor: Session, newcomer: Session, remaining: Session): void {
    this.place(newcomer, this.sideOf(transferor))
    this.#peers.delete(transferor)
    this.link(newcomer, remaining)
  }

  /** It is no longer in the call. */
  forget(session: Session): void {
    const peer = this.#peers.get(session)
    this.#peers.delete(session)
    if (peer !== undefined && this.#peers.get(peer) === session) this.#peers.delete(peer)
    this.#sides.delete(session)
  }
}
