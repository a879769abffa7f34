import { type Path, formatAddress } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import { buildResponse } from '../sip/message/build.ts'
import type { Request, Response } from '../sip/message/message.ts'
import { addressOfRecord, isSipUri, parseUri, type SipUri } from '../sip/message/uri.ts'
import {
  contactFields,
  type Refusal,
  register,
  type RegistrarRules,
  secondsLeft,
} from '../sip/registrar/bindings.ts'
import type { Spine } from '../spine/spine.ts'
import type { Flow } from '../stack/transport.ts'
import { aorFromText } from './aor-text.ts'
import { type BindingSource, LocationStore, type StoredBinding } from './location-store.ts'
import type { ContactView, LocationView } from './verdict.ts'

export interface RegistrarCoreOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly rules: RegistrarRules
  /** Whether the registrar is responsible for this host (lower case, IPv6 without brackets). */
  readonly isLocal: (host: string) => boolean
  /** 403 when an authenticated user registers another's address-of-record. Default false. */
  readonly enforceAuthAorMatch?: boolean
}

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
}

/** User agents are few; one copy of each name serves all its bindings. */
const NAMES_KEPT = 1_000

/** The registrar: RFC 3261 §10.3 over a location store, and what others ask of that store. */
export class RegistrarCore implements LocationView {
  readonly #o: RegistrarCoreOptions
  readonly #store: LocationStore
  readonly #names = new Map<string, string>()

  constructor(options: RegistrarCoreOptions) {
    this.#o = options
    this.#store = new LocationStore(options.clock, (event, binding) => {
      const { aor } = binding.source
      this.#publish(event, binding, { callId: binding.callId, path: null, fromUri: aor, ruri: aor })
    })
  }

  /** Addresses-of-record with at least one unexpired contact, counted from the table. */
  get registrations(): number {
    return this.#store.size
  }

  /** Unexpired contacts of all of them. */
  get contacts(): number {
    return this.#store.bindingCount
  }

  /**
   * Processes a REGISTER and gives the response to send: 200 with every current contact, or why not.
   *
   * NOTE: §10.3 step 1 lets a proxy forward what is for another domain; a script that wants that relays. Who calls
   * `save` for an address-of-record or a Request-URI that is not of ours gets 404 (step 5).
   *
   * @param flow what the request came in on; kept for its contacts while it is an open connection
   * @param authUser who has proven to be the sender (step 3), null when nobody asked
   */
  save(request: Request, path: Path, flow: Flow, authUser: string | null): Response {
    const required = request.headers.all('require')
    if (required.length > 0) {
      return this.#respond(request, 420, null, [['Unsupported', required.join(', ')]])
    }
    const uri = this.#ownAddress(request)
    if (uri === null) return this.#respond(request, 404, null, [])
    const aor = addressOfRecord(uri)
    if (this.#o.enforceAuthAorMatch && authUser !== null && !isNamed(uri, authUser)) {
      return this.#respond(request, 403, null, [])
    }
    const now = this.#o.clock.now()
    const current = this.#store.get(aor)
    const source = this.#source(current[0]?.source.aor ?? ownText(aor), request, path, flow)
    const result = register(request, current, {
      rules: this.#o.rules,
      now,
      source,
      nextId: this.#store.nextId,
      keep: ownText,
    })
    if (!result.ok) return this.#refuse(request, result)
    this.#store.replace(source.aor, result.bindings, result.changes)
    const fromUri = request.from.uri
    for (const { event, binding } of result.changes) {
      this.#publish(event, binding, { callId: request.callId, path, fromUri, ruri: request.uri })
    }
    const date = new Date(this.#o.clock.wallTime()).toUTCString()
    return this.#respond(request, 200, null, [...contactFields(result.bindings, now), ['Date', date]])
  }

  lookup(uri: string): readonly ContactView[] {
    const aor = this.#keyOf(uri)
    if (aor === null) return []
    const now = this.#o.clock.now()
    return inOrder(this.#store.get(aor)).map(({ uri, q, expiresAt, source }) => ({
      uri,
      q,
      expires: secondsLeft(expiresAt, now),
      received: source.received,
      userAgent: source.userAgent,
    }))
  }

  /**
   * The open connection over which a contact was registered: the way to a phone behind a NAT, or to a browser.
   *
   * Anybody may register any URI as a contact, a gateway's too. So a connection is given for a contact of `aor`; for
   * others only where it cannot lead calls astray: all who registered this contact did so over this connection, and
   * its peer has the contact's address, or the contact has a name that nothing can have (RFC 7118 §5, RFC 6761 §6.4).
   *
   * @param contactUri as `lookup` gave it
   * @param aor the URI that was called, when its contacts are what is being tried
   */
  flowFor(contactUri: string, aor?: string): Flow | null {
    const bindings = this.#store.withContact(contactUri)
    const [first] = bindings
    if (first === undefined) return null
    const key = aor === undefined ? null : this.#keyOf(aor)
    const named = key === null ? undefined : bindings.find(({ source }) => source.aor === key)
    if (named !== undefined) return openFlow(named)
    const flow = openFlow(first)
    if (flow === null || bindings.some((binding) => openFlow(binding) !== flow)) return null
    const uri = parseUri(contactUri)
    if (!uri.ok || !isSipUri(uri.value)) return null
    const { host } = uri.value
    return host === flow.path.remote.host || host.endsWith('.invalid') ? flow : null
  }

  /** The key of an address-of-record as people and scripts write it, or null; see `aorFromText`. */
  normalise(aorText: string): string | null {
    return aorFromText(aorText)
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

  /** Removes all contacts of an address-of-record; its key, or null when there was none. The phone is not told. */
  remove(aorText: string): string | null {
    const aor = aorFromText(aorText)
    return aor !== null && this.#store.remove(aor) ? aor : null
  }

  /** Forgets all bindings and leaves no timer. */
  close(): void {
    this.#store.close()
  }

  /** The To of a REGISTER, when it names a user of ours and the Request-URI a domain of ours. */
  #ownAddress(request: Request): SipUri | null {
    const domain = parseUri(request.uri)
    const to = parseUri(request.to.uri)
    if (!domain.ok || !isSipUri(domain.value) || !to.ok || !isSipUri(to.value)) return null
    if (to.value.user === null || !this.#o.isLocal(to.value.host)) return null
    return this.#o.isLocal(domain.value.host) ? to.value : null
  }

  #source(aor: string, request: Request, path: Path, flow: Flow): BindingSource {
    return {
      aor,
      protocol: path.protocol,
      received: ownText(formatAddress(path.remote)),
      flow: flow.reliable ? new WeakRef(flow) : null,
      userAgent: this.#name(request.headers.first('user-agent')),
    }
  }

  #name(text: string | undefined): string | null {
    if (text === undefined) return null
    const known = this.#names.get(text)
    if (known !== undefined) return known
    if (this.#names.size >= NAMES_KEPT) this.#names.clear()
    const name = ownText(text)
    this.#names.set(name, name)
    return name
  }

  /** A URI on the call path is well-formed text; what people write goes the longer way. */
  #keyOf(uri: string): string | null {
    const parsed = parseUri(uri)
    if (parsed.ok && isSipUri(parsed.value)) return addressOfRecord(parsed.value)
    return aorFromText(uri)
  }

  #row(binding: StoredBinding): ContactRow {
    const { uri, q, callId, source, expiresAt } = binding
    const { aor, received, userAgent } = source
    const expiresRemaining = secondsLeft(expiresAt, this.#o.clock.now())
    return { aor, uri, q, expiresRemaining, received, userAgent, callId }
  }

  #publish(
    event: 'registered' | 'refreshed' | 'deregistered' | 'expired',
    { uri, source }: StoredBinding,
    cause: { callId: string; path: Path | null; fromUri: string; ruri: string },
  ): void {
    const { registrationChanged } = this.#o.spine
    if (!registrationChanged.active) return
    const { aor, userAgent } = source
    registrationChanged.publish({
      aor,
      event,
      contact: uri,
      at: this.#o.clock.wallTime(),
      userAgent,
      ...cause,
    })
  }

  #refuse(request: Request, { status, reason, headers }: Refusal): Response {
    return this.#respond(request, status, reason, headers)
  }

  #respond(request: Request, status: number, reason: string | null, headers: Refusal['headers']): Response {
    const toTag = this.#o.identifiers.tag()
    return buildResponse(request, status, { toTag, headers, ...(reason === null ? {} : { reason }) })
  }
}

/** Highest q first, among equals the one registered last first. */
function inOrder(bindings: readonly StoredBinding[]): readonly StoredBinding[] {
  return bindings.length < 2
    ? bindings
    : bindings.toSorted((a, b) => b.q - a.q || b.updatedAt - a.updatedAt || b.id - a.id)
}

function openFlow({ source }: StoredBinding): Flow | null {
  const flow = source.flow?.deref()
  return flow === undefined || flow.closed ? null : flow
}

/** Whether the address-of-record is that of the user who proved a name, with or without its domain. */
function isNamed(uri: SipUri, authUser: string): boolean {
  const aor = addressOfRecord(uri)
  const user = authUser.replace(/[^A-Za-z0-9]/g, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
  return addressOfRecord({ ...uri, user }) === aor || aorFromText(authUser) === aor
}

/** V8 keeps the whole of a text for a slice of it: a datagram for a contact. This makes a text of its own. */
function ownText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
