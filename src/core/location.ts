import type { Clock } from '../base/clock.ts'
import { addressOfRecord, isSipUri, parseUri } from '../sip/message/uri.ts'
import { secondsLeft } from '../sip/registrar/bindings.ts'
import { gruuOf, gruuOfText } from '../sip/registrar/gruu.ts'
import type { Flow } from '../stack/transport.ts'
import { aorFromText } from './aor-text.ts'
import { bindingOf, flowFor, referenceTo, type Way, type Ways, wayTo } from './binding-ways.ts'
import type { Gruus } from './gruus.ts'
import type { LocationStore, StoredBinding } from './location-store.ts'
import type { ContactView, LocationView } from './verdict.ts'

export interface LocationOptions {
  readonly clock: Clock
  readonly store: LocationStore
  readonly gruus: Gruus
  /** Whether the registrar is responsible for this host (lower case, IPv6 without brackets). */
  readonly isLocal: (host: string) => boolean
}

/** What the location store says to those who forward: whose contacts a URI means, and how they are reached. */
export class Location implements LocationView, Ways {
  readonly #clock: Clock
  readonly #store: LocationStore
  readonly #gruus: Gruus
  readonly #isLocal: (host: string) => boolean

  constructor({ clock, store, gruus, isLocal }: LocationOptions) {
    this.#clock = clock
    this.#store = store
    this.#gruus = gruus
    this.#isLocal = isLocal
  }

  lookup(uri: string): readonly ContactView[] {
    const now = this.#clock.now()
    return inOrder(this.#bindingsFor(uri)).map((binding) => this.#view(binding, now))
  }

  /** The contact with exactly this URI; of several users' the one registered last. Null when there is none. */
  lookupContact(contactUri: string): ContactView | null {
    const newest = this.#store.withContact(contactUri).toSorted((a, b) => b.updatedAt - a.updatedAt)[0]
    return newest === undefined ? null : this.#view(newest, this.#clock.now())
  }

  /** 200 when `lookup` finds somebody; 480 for a GRUU whose device has gone; else 404 (RFC 5627 §5.4). */
  statusOf(uri: string): 200 | 404 | 480 {
    const gruu = gruuOfText(uri)
    if (gruu !== null) {
      const owner = this.#gruus.owner(gruu, (aor, instance) => this.#store.has(aor, instance))
      return owner.known ? 200 : owner.status
    }
    return this.#bindingsFor(uri).length > 0 ? 200 : 404
  }

  behindGruu(uri: string): readonly ContactView[] | 404 | 480 | null {
    if (!uri.includes(';gr')) return null
    const parsed = parseUri(uri)
    if (!parsed.ok || !isSipUri(parsed.value) || gruuOf(parsed.value) === null) return null
    if (!this.#isLocal(parsed.value.host)) return null
    const status = this.statusOf(uri)
    return status === 200 ? this.lookup(uri) : status
  }

  wayTo(reference: string): Way | null {
    const binding = bindingOf(this.#store, reference)
    return binding === undefined ? null : wayTo(binding)
  }

  referenceOf(contactUri: string, called: string): string | null {
    const key = this.#keyOf(called)
    const found = this.#store.withContact(contactUri).find(({ source }) => source.aor === key)
    return found === undefined ? null : referenceTo(found)
  }

  deviceOf(reference: string): string | null {
    const binding = bindingOf(this.#store, reference)
    const instance = binding?.instance ?? null
    return binding === undefined || instance === null ? null : `${binding.source.aor} ${instance}`
  }

  /**
   * The open connection over which a contact was registered; see `flowFor` of the ways.
   *
   * @param contactUri as `lookup` gave it
   * @param aor the URI that was called, when its contacts are what is being tried
   */
  flowFor(contactUri: string, aor?: string): Flow | null {
    return flowFor(this.#store, contactUri, aor === undefined ? null : this.#keyOf(aor))
  }

  #bindingsFor(uri: string): readonly StoredBinding[] {
    const gruu = gruuOfText(uri)
    if (gruu !== null) {
      const owner = this.#gruus.owner(gruu, (aor, instance) => this.#store.has(aor, instance))
      if (!owner.known) return []
      return this.#store.get(owner.aor).filter(({ instance }) => instance === owner.instance)
    }
    const aor = this.#keyOf(uri)
    return aor === null ? [] : this.#store.get(aor)
  }

  #view(binding: StoredBinding, now: number): ContactView {
    const { uri, q, expiresAt, updatedAt, source, instance, regId } = binding
    return {
      uri,
      q,
      expires: secondsLeft(expiresAt, now),
      received: source.received,
      userAgent: source.userAgent,
      ageSecs: Math.max(0, Math.floor((now - updatedAt) / 1000)),
      path: source.path,
      instance,
      regId,
      reference: referenceTo(binding),
    }
  }

  /** A URI on the call path is well-formed text; what people write goes the longer way. */
  #keyOf(uri: string): string | null {
    const parsed = parseUri(uri)
    if (parsed.ok && isSipUri(parsed.value)) return addressOfRecord(parsed.value)
    return aorFromText(uri)
  }
}

/** Highest q first, among equals the one registered last first. */
export function inOrder(bindings: readonly StoredBinding[]): readonly StoredBinding[] {
  return bindings.length < 2
    ? bindings
    : bindings.toSorted((a, b) => b.q - a.q || b.updatedAt - a.updatedAt || b.id - a.id)
}
