import { isSipUri, parseUri } from '../sip/message/uri.ts'
import type { Flow, Target } from '../stack/transport.ts'
import { readAddress, targetOf } from './flow-tokens.ts'
import type { LocationStore, StoredBinding } from './location-store.ts'
import type { ContactView } from './verdict.ts'

/** How a registered contact is reached. */
export interface Way {
  /** Route values to go through first: the Path of its REGISTER (RFC 3327 §5.5). */
  readonly routes: readonly string[]
  /** A flow or an address to send to, whatever the URI says; null: as the routes or the URI say. */
  readonly target: Target | null
  /** The flow it was registered over is gone: RFC 5626 §5.3 answers 430 for it. */
  readonly dead: boolean
  /** Later requests of a dialog need the same flow: our Record-Route has to name it. */
  readonly pinned: boolean
}

/** What forwarding asks of the location service. A reference is the text that scripts carry with a contact. */
export interface Ways {
  /** Null when the contact is no longer bound. */
  wayTo(reference: string): Way | null
  /** The binding of this contact URI that belongs to the address-of-record in `called`; null when there is none. */
  referenceOf(contactUri: string, called: string): string | null
  /**
   * The contacts of the device that a GRUU of ours names, or the status of one whose device is gone or never was (RFC 5627
   * §5.4); null for any other URI.
   */
  behindGruu(uri: string): readonly Pick<ContactView, 'uri' | 'reference'>[] | 404 | 480 | null
  /** Equal for the flows of one device of one user, of which only one may be tried at a time (RFC 5626 §7). */
  deviceOf(reference: string): string | null
}

/** `id aor`: a binding is found without an index of its own, and not found when the contact is another's by now. */
export function referenceTo({ id, source }: StoredBinding): string {
  return `${id} ${source.aor}`
}

export function bindingOf(store: LocationStore, reference: string): StoredBinding | undefined {
  const space = reference.indexOf(' ')
  return store.find(reference.slice(space + 1), Number(reference.slice(0, space)))
}

const NO_ROUTES: readonly string[] = []
const BY_URI: Way = { routes: NO_ROUTES, target: null, dead: false, pinned: false }

export function wayTo({ regId, source }: StoredBinding): Way {
  if (source.path.length > 0) return { ...BY_URI, routes: source.path }
  const outbound = regId !== null
  if (source.protocol === 'udp') {
    const remote = outbound || source.nated ? readAddress(source.received) : null
    if (remote === null) return BY_URI
    return { ...BY_URI, target: { protocol: 'udp', ...remote, local: source.local }, pinned: true }
  }
  // Of an earlier run: its URI is all there is.
  if (source.flow === null) return BY_URI
  const flow = openFlow(source.flow)
  if (flow === null) return { ...BY_URI, dead: outbound }
  return { ...BY_URI, target: targetOf(flow), pinned: outbound || source.nated }
}

export function openFlow(held: WeakRef<Flow> | null): Flow | null {
  const flow = held?.deref()
  return flow === undefined || flow.closed ? null : flow
}

/**
 * The open connection over which a contact was registered: the way to a phone behind a NAT, or to a browser.
 *
 * Anybody may register any URI as a contact, a gateway's too. So a connection is given for a contact of `aor`; for
 * others only where it cannot lead calls astray: all who registered this contact did so over this connection, and
 * its peer has the contact's address, or the contact has a name that nothing can have (RFC 7118 §5, RFC 6761 §6.4).
 *
 * @param aor the key of what was called, when its contacts are what is being tried
 */
export function flowFor(store: LocationStore, contactUri: string, aor: string | null): Flow | null {
  const bindings = store.withContact(contactUri)
  const [first] = bindings
  if (first === undefined) return null
  const named = aor === null ? undefined : bindings.find(({ source }) => source.aor === aor)
  if (named !== undefined) return openFlow(named.source.flow)
  const flow = openFlow(first.source.flow)
  if (flow === null || bindings.some(({ source }) => openFlow(source.flow) !== flow)) return null
  const uri = parseUri(contactUri)
  if (!uri.ok || !isSipUri(uri.value)) return null
  const { host } = uri.value
  return host === flow.path.remote.host || host.endsWith('.invalid') ? flow : null
}
