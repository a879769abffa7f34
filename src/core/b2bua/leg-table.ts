import type { Bridge } from '../../sip/b2bua/bridge.ts'
import type { Session } from '../../sip/b2bua/session.ts'
import { TextMap } from '../../base/text-map.ts'
import { UacLeg } from '../../sip/b2bua/uac-leg.ts'
import type { UasLeg } from '../../sip/b2bua/uas-leg.ts'

type Leg = UasLeg | UacLeg

/** What an in-dialog message belongs to. `session` null: to a leg of ours, and to no dialog of it. */
export interface Belongs {
  readonly bridge: Bridge
  readonly session: Session | null
}

/** Every leg, by Call-ID and our tag; and of every Call-ID the one under which its call is traced. */
export class LegTable {
  readonly #legs = new TextMap<Leg[]>()
  readonly #correlations = new TextMap<string>()
  readonly #called = new TextMap<string>()

  get size(): number {
    let count = 0
    for (const legs of this.#legs.values()) count += legs.length
    return count
  }

  /** Dialogs that live, early ones included: `siphon_dialogs_active`'s share. */
  get dialogs(): number {
    let count = 0
    for (const legs of this.#legs.values()) {
      for (const leg of legs) for (const session of leg.sessions) if (session.alive) count++
    }
    return count
  }

  /**
   * @param correlation the Call-ID of the call's first leg
   * @param called the URI that the caller called
   */
  add(leg: Leg, correlation: string, called: string): void {
    this.#called.set(leg.callId, called)
    const legs = this.#legs.get(leg.callId)
    if (legs === undefined) this.#legs.set(leg.callId, [leg])
    else if (!legs.includes(leg)) legs.push(leg)
    if (leg.callId !== correlation) this.#correlations.set(leg.callId, correlation)
  }

  remove(leg: Leg): void {
    const legs = this.#legs.get(leg.callId)
    const rest = legs?.filter((other) => other !== leg) ?? []
    if (rest.length > 0) this.#legs.set(leg.callId, rest)
    else {
      this.#legs.delete(leg.callId)
      this.#correlations.delete(leg.callId)
      this.#called.delete(leg.callId)
    }
  }

  /** Whose dialog this is; null: none of ours. */
  find(callId: string, localTag: string, remoteTag: string): Belongs | null {
    if (this.#legs.size === 0) return null
    for (const leg of this.#legs.get(callId) ?? []) {
      if (leg instanceof UacLeg) {
        if (leg.localTag === localTag)
          return { bridge: leg.user as Bridge, session: leg.find(remoteTag) ?? null }
      } else {
        const session = leg.find(localTag)
        if (session !== undefined) return { bridge: leg.user as Bridge, session }
      }
    }
    return null
  }

  /** The Call-ID of the call's first leg, for a leg's. */
  correlation(callId: string): string {
    // Asked of every message that is traced, on servers without such calls too.
    return this.#correlations.size === 0 ? callId : (this.#correlations.get(callId) ?? callId)
  }

  /** What was called, of the call that this leg is of. */
  called(callId: string): string | undefined {
    return this.#called.get(callId)
  }

  clear(): void {
    this.#legs.clear()
    this.#called.clear()
    this.#correlations.clear()
  }
}
