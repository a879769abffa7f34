import type { Clock } from '../base/clock.ts'
import { secondsLeft } from '../sip/registrar/bindings.ts'
import { aorFromText } from './aor-text.ts'
import { inOrder } from './location.ts'
import type { LocationStore, StoredBinding } from './location-store.ts'

/** A binding as operators see it. */
export interface ContactRow {
  readonly aor: string
  readonly uri: string
  readonly q: number
  /** Seconds. */
  readonly expiresRemaining: number
  readonly received: string
  readonly userAgent: string | null
  readonly callId: string
  /** `urn:uuid:…` (RFC 5626 §4.1). */
  readonly instance: string | null
  readonly regId: number | null
  readonly path: readonly string[]
}

/** The location store as operators read it. */
export class ContactListing {
  readonly #clock: Clock
  readonly #store: LocationStore

  constructor(clock: Clock, store: LocationStore) {
    this.#clock = clock
    this.#store = store
  }

  /** The contacts of one address-of-record in the order of `lookup`; null when it has none. */
  contactsOf(aorText: string): { readonly aor: string; readonly contacts: readonly ContactRow[] } | null {
    const aor = aorFromText(aorText)
    const bindings = aor === null ? [] : this.#store.get(aor)
    if (aor === null || bindings.length === 0) return null
    return { aor, contacts: inOrder(bindings).map((binding) => this.#row(binding)) }
  }

  /** A page of all contacts; `limit` 1 or more. Pass `next` as the cursor of the next one; null after the last. */
  page(
    cursor: string | null,
    limit: number,
  ): { readonly rows: readonly ContactRow[]; readonly next: string | null } {
    const { bindings, next } = this.#store.page(cursor, limit)
    return { rows: bindings.map((binding) => this.#row(binding)), next }
  }

  #row(binding: StoredBinding): ContactRow {
    const { uri, q, callId, source, expiresAt, instance, regId } = binding
    const { aor, received, userAgent, path } = source
    const expiresRemaining = secondsLeft(expiresAt, this.#clock.now())
    return { aor, uri, q, expiresRemaining, received, userAgent, callId, instance, regId, path }
  }
}
