import type { Departures } from './departures.ts'
import type { Instance } from './instance.ts'
import { type Exchange, newSession, type Session, type Signal } from './session.ts'

/**
 * Which media belongs to which call. A call has one session; while parties are being put together beside those who still talk,
 * it has a second, its successor, until it is settled which of the two stays.
 */
export class Sessions {
  readonly #current = new Map<string, Session>()
  readonly #successors = new Map<string, Session>()
  readonly #departures: Departures
  /** Null: none is up. */
  readonly #choose: () => Instance | null

  constructor(departures: Departures, choose: () => Instance | null) {
    this.#departures = departures
    this.#choose = choose
  }

  /** Those that are leaving included: their instances hold them yet. */
  get size(): number {
    return this.#current.size + this.#successors.size + this.#departures.size
  }

  find(callId: string): Session | undefined {
    return this.#current.get(callId)
  }

  begin(parties: Signal, instance: Instance): Session {
    const session = newSession(parties, instance)
    this.#current.set(parties.callId, session)
    return session
  }

  /** The session of the two parties of an exchange; null when they have none and cannot get one. */
  of(callId: string, { what, pair }: Exchange): Session | null {
    const session = this.#current.get(callId)
    const successor = this.#successors.get(callId)
    if (session === undefined) return null
    if (session.pair === pair) return session
    if (successor?.pair === pair) return successor
    // One that was never settled, and a pair of the past, are nobody's any more.
    if (what !== 'offer' || pair < session.pair) return null
    this.abandon(callId)
    const instance = session.instance.state === 'up' ? session.instance : this.#choose()
    if (instance === null) return null
    const { profile } = session
    const tags = { fromTag: 'caller', toTag: 'callee', viaBranch: null }
    const fresh = newSession({ callId, ...tags, sdp: '', profile, extras: {} }, instance, pair)
    this.#successors.set(callId, fresh)
    return fresh
  }

  /** The parties of this pair talk in the place of those before (`stays`), or do not: whose media is not needed leaves. */
  settle(callId: string, pair: number, stays: boolean): void {
    const session = this.#successors.get(callId)
    if (session?.pair !== pair) return
    this.#successors.delete(callId)
    const leaving = stays ? this.#current.get(callId) : session
    if (stays) this.#current.set(callId, session)
    if (leaving !== undefined) this.#departures.add(leaving, () => undefined)
  }

  /** Parties that were being put together when their call ended. */
  abandon(callId: string): void {
    const successor = this.#successors.get(callId)
    if (successor !== undefined) this.settle(callId, successor.pair, false)
  }

  /** Nothing is left of it at an instance, or it is another's affair. */
  remove(session: Session): void {
    for (const table of [this.#current, this.#successors]) {
      if (table.get(session.callId) === session) table.delete(session.callId)
    }
  }

  /** All leave. */
  clear(): void {
    for (const callId of this.#successors.keys()) this.abandon(callId)
    for (const session of this.#current.values()) {
      this.#current.delete(session.callId)
      this.#departures.add(session, () => undefined)
    }
  }
}
