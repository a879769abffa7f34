import type { Path } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import { buildResponse } from '../sip/message/build.ts'
import type { Request, Response } from '../sip/message/message.ts'
import { addressOfRecord, isSipUri, parseUri, type SipUri } from '../sip/message/uri.ts'
import { contactFields, type Refusal, register, type RegistrarRules } from '../sip/registrar/bindings.ts'
import { readWanted } from '../sip/registrar/contact.ts'
import { readMeans, type RegisterMeans } from '../sip/registrar/outbound.ts'
import type { RegistrationReason } from '../spine/facts.ts'
import type { BindingRow } from '../spine/bindings.ts'
import type { Spine } from '../spine/spine.ts'
import type { Flow } from '../stack/transport.ts'
import { aorFromText } from './aor-text.ts'
import { bindingFrom } from './binding-rows.ts'
import { BindingSources, ownText } from './binding-sources.ts'
import { ContactListing } from './contact-listing.ts'
import { FlowUsers } from './flow-users.ts'
import { Gruus } from './gruus.ts'
import { Location } from './location.ts'
import { type EndReason, LocationStore, type StoredBinding } from './location-store.ts'
import type { SaveOptions } from './registrar.ts'

export interface RegistrarCoreOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly rules: RegistrarRules
  /** Whether the registrar is responsible for this host (lower case, IPv6 without brackets). */
  readonly isLocal: (host: string) => boolean
  /** 403 when an authenticated user registers another's address-of-record. Default false. */
  readonly enforceAuthAorMatch?: boolean
  /** Secret of temporary GRUUs, 16 bytes or more. Default: drawn. */
  readonly key?: Uint8Array
  /** Values of Service-Route in every 200 (RFC 3608 §6.1). Default none. */
  readonly serviceRoute?: readonly string[]
  /** Seconds that a flow may be silent, told to phones that register by RFC 5626; 0: not told. Default 0. */
  readonly flowTimerSecs?: number
  /** Take a Path that a proxy added though the phone does not say that it knows Path. Default: 420 (RFC 3327 §5.3). */
  readonly lenientPath?: boolean
  /** Send to where the REGISTER came from whenever the contact has another address. Default: as the script says. */
  readonly fixNat?: boolean
}

/** What became of a binding, told to those who follow the table closely. */
export interface BindingEvent {
  readonly event: 'registered' | 'refreshed' | 'deregistered' | 'expired'
  readonly reason: RegistrationReason
  readonly binding: StoredBinding
}

/** The registrar: RFC 3261 §10.3 over a location store, all that changes what it holds, and who is told of it. */
export class RegistrarCore {
  /** What is registered, for those who forward. */
  readonly location: Location
  /** What is registered, for operators. */
  readonly listing: ContactListing
  readonly #o: RegistrarCoreOptions
  readonly #store: LocationStore
  readonly #sources = new BindingSources()
  readonly #gruus: Gruus
  readonly #flowUsers: FlowUsers
  #watchers: readonly ((event: BindingEvent) => void)[] = []

  constructor(options: RegistrarCoreOptions) {
    this.#o = options
    this.#gruus = new Gruus(options.key ?? drawnKey(options.identifiers))
    this.#store = new LocationStore(options.clock, (reason, binding) => {
      const { aor } = binding.source
      const event = reason === 'expired' ? 'expired' : 'deregistered'
      this.#tell({ event, reason, binding }, { callId: binding.callId, path: null, fromUri: aor, ruri: aor })
    })
    this.#flowUsers = new FlowUsers(this.#store)
    const { clock, isLocal } = options
    this.location = new Location({ clock, store: this.#store, gruus: this.#gruus, isLocal })
    this.listing = new ContactListing(clock, this.#store)
  }

  /** From now on `watcher` is told of each change, after the table has changed. */
  watch(watcher: (event: BindingEvent) => void): void {
    this.#watchers = [...this.#watchers, watcher]
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
  save(
    request: Request,
    path: Path,
    flow: Flow,
    authUser: string | null,
    options: SaveOptions = {},
  ): Response {
    const wanted = readWanted(request)
    const contacts = wanted.ok && wanted.value.what === 'update' ? wanted.value.contacts : []
    const means = readMeans(request, contacts, this.#o.lenientPath === true)
    if (!means.ok) return this.#refuse(request, means)
    const uri = this.#ownAddress(request)
    if (uri === null) return this.#respond(request, 404, null, [])
    const aor = addressOfRecord(uri)
    if (this.#o.enforceAuthAorMatch && authUser !== null && !isNamed(uri, authUser)) {
      return this.#respond(request, 403, null, [])
    }
    const now = this.#o.clock.now()
    const current = this.#store.get(aor)
    const nated =
      means.path.length === 0 &&
      (options.nated === true || this.#o.fixNat === true) &&
      contacts.some((contact) => contact.uri !== null && isElsewhere(contact.uri, path))
    const source = this.#sources.of(current[0]?.source.aor ?? ownText(aor), request, path, flow, means, nated)
    const context = {
      rules: this.#o.rules,
      now,
      source,
      outbound: means.outbound,
      replaceOthers: options.force === true,
      nextId: this.#store.nextId,
      keep: ownText,
    }
    const result = register(request, current, context, wanted)
    if (!result.ok) return this.#refuse(request, result)
    this.#store.replace(source.aor, result.bindings, result.changes)
    const fromUri = request.from.uri
    for (const { event, binding } of result.changes) {
      this.#tell(
        { event, reason: 'request', binding },
        { callId: request.callId, path, fromUri, ruri: request.uri },
      )
    }
    return this.#respond(request, 200, null, this.#answerFields(request, means, result.bindings, now))
  }

  /**
   * Removes all contacts of an address-of-record. The connections they came over stay: a call may be on them that knows
   * nothing of registrations, and its phone could not be reached by another one.
   * @returns its key, or null when there was none
   */
  remove(aorText: string, reason: EndReason = 'operator'): string | null {
    const aor = aorFromText(aorText)
    return aor !== null && this.#store.remove(aor, reason).length > 0 ? aor : null
  }

  /** Ends one binding whose flow carries nothing any more; false when it has gone already. */
  endFlow({ source, id }: StoredBinding, reason: 'no_answer' | 'flow_closed'): boolean {
    return this.#store.remove(source.aor, reason, (binding) => binding.id === id).length > 0
  }

  /** A connection is gone: what was registered over it by RFC 5626 was registered over nothing else (§6). */
  onFlowClosed(flow: Flow): void {
    this.#flowUsers.closed(flow)
  }

  /** Bindings of an earlier run; those whose time has come meanwhile are left out. @returns how many were put back */
  restore(rows: readonly BindingRow[]): number {
    const { clock } = this.#o
    const wallOffset = clock.wallTime() - clock.now()
    let restored = 0
    for (const row of rows) {
      if (row.expiresAt <= clock.wallTime()) continue
      const binding = bindingFrom(row, wallOffset)
      this.#store.restore(binding)
      for (const watcher of this.#watchers) watcher({ event: 'registered', reason: 'request', binding })
      restored++
    }
    return restored
  }

  /** The binding as it is now, while it lives. */
  current({ source, id }: StoredBinding): StoredBinding | undefined {
    return this.#store.find(source.aor, id)
  }

  /** The unexpired bindings of an address-of-record, by its key. */
  bindingsOf(aor: string): readonly StoredBinding[] {
    return this.#store.get(aor)
  }

  /** Whether this element is the registrar of the address-of-record in a URI; its key then, else null. */
  ownKey(uri: string): string | null {
    const parsed = parseUri(uri)
    if (!parsed.ok || !isSipUri(parsed.value) || parsed.value.user === null) return null
    return this.#o.isLocal(parsed.value.host) ? addressOfRecord(parsed.value) : null
  }

  /** Forgets all bindings and leaves no timer. */
  close(): void {
    this.#store.close()
    this.#flowUsers.clear()
    this.#watchers = []
  }

  /** §10.3 step 8, and what the extensions add: RFC 3327 §5.3, RFC 3608 §6.1, RFC 5626 §6, RFC 5627 §5.3. */
  #answerFields(
    request: Request,
    { path, echoPath, outbound, gruu }: RegisterMeans,
    bindings: readonly StoredBinding[],
    now: number,
  ): readonly (readonly [string, string])[] {
    const { serviceRoute = [], flowTimerSecs = 0, clock } = this.#o
    const fields: (readonly [string, string])[] = contactFields(bindings, now, (binding) =>
      gruu ? this.#gruus.params(binding) : '',
    )
    if (echoPath) for (const value of path) fields.push(['Path', value])
    for (const route of serviceRoute) fields.push(['Service-Route', route])
    if (outbound) {
      fields.push(['Require', 'outbound'])
      // To be kept by the first hop, and that is us.
      if (flowTimerSecs > 0 && request.headers.count('via') === 1) {
        fields.push(['Flow-Timer', String(flowTimerSecs)])
      }
    }
    fields.push(['Supported', 'path, outbound, gruu'])
    fields.push(['Date', new Date(clock.wallTime()).toUTCString()])
    return fields
  }

  /** The To of a REGISTER, when it names a user of ours and the Request-URI a domain of ours. */
  #ownAddress(request: Request): SipUri | null {
    const domain = parseUri(request.uri)
    const to = parseUri(request.to.uri)
    if (!domain.ok || !isSipUri(domain.value) || !to.ok || !isSipUri(to.value)) return null
    if (to.value.user === null || !this.#o.isLocal(to.value.host)) return null
    return this.#o.isLocal(domain.value.host) ? to.value : null
  }

  #tell(
    moved: BindingEvent,
    cause: { callId: string; path: Path | null; fromUri: string; ruri: string },
  ): void {
    const { event, reason, binding } = moved
    const { aor, userAgent } = binding.source
    const living = event === 'registered' || event === 'refreshed'
    if (living) this.#flowUsers.add(binding)
    if (!living && binding.instance !== null && !this.#store.has(aor, binding.instance)) {
      this.#gruus.ended(aor, binding.instance)
    }
    for (const watcher of this.#watchers) watcher(moved)
    const { registrationChanged } = this.#o.spine
    if (!registrationChanged.active) return
    const at = this.#o.clock.wallTime()
    registrationChanged.publish({ aor, event, reason, contact: binding.uri, at, userAgent, ...cause })
  }

  #refuse(request: Request, { status, reason, headers }: Refusal): Response {
    return this.#respond(request, status, reason, headers)
  }

  #respond(request: Request, status: number, reason: string | null, headers: Refusal['headers']): Response {
    const toTag = this.#o.identifiers.tag()
    return buildResponse(request, status, { toTag, headers, ...(reason === null ? {} : { reason }) })
  }
}

/** 192 bits. */
export function drawnKey(identifiers: Identifiers): Uint8Array {
  return Buffer.from(identifiers.callId() + identifiers.callId())
}

/** Whether a contact names another address than the one its REGISTER came from. */
function isElsewhere({ host, port }: SipUri, { remote }: Path): boolean {
  return host !== remote.host || (port ?? 5060) !== remote.port
}

/** Whether the address-of-record is that of the user who proved a name, with or without its domain. */
function isNamed(uri: SipUri, authUser: string): boolean {
  const aor = addressOfRecord(uri)
  const user = authUser.replace(/[^A-Za-z0-9]/g, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
  return addressOfRecord({ ...uri, user }) === aor || aorFromText(authUser) === aor
}
