import type { Request } from '../message/message.ts'
import { isSipUri, parseUri, uriEquals } from '../message/uri.ts'
import type { Parsed } from '../message/fault.ts'
import { readWanted, type Wanted, type WantedContact } from './contact.ts'

/**
 * The bindings of one address-of-record, and what a REGISTER does to them: RFC 3261 §10.3 steps 6 to 8.
 *
 * Pure: the bindings as they are and a request go in, the bindings as they shall be or a refusal come out. A refusal
 * changes nothing, so a REGISTER takes effect whole or not at all (§10.3 step 7).
 */
export interface Binding<Source> {
  /** Never used twice; a refresh keeps it. Bindings are listed in its order. */
  readonly id: number
  /** The contact URI as last registered. */
  readonly uri: string
  /** 0 … 1. */
  readonly q: number
  /** The contact's other parameters (';+sip.instance=…'), given back as they came. */
  readonly params: string
  /** `urn:uuid:…` of the device (RFC 5626 §4.1); null when it has not said. */
  readonly instance: string | null
  /** The flow among those of the device; null when the binding is not one of RFC 5626, but of its URI. */
  readonly regId: number | null
  /** Monotonic ms. At this moment it is no longer bound. */
  readonly expiresAt: number
  /** Monotonic ms of the last REGISTER that named it. */
  readonly updatedAt: number
  /** Call-ID and CSeq number of that REGISTER: an older one of the same Call-ID is refused. */
  readonly callId: string
  readonly cseq: number
  /** Where that REGISTER came from. */
  readonly source: Source
}

/** All in seconds, but the last. */
export interface RegistrarRules {
  readonly defaultExpires: number
  readonly minExpires: number
  readonly maxExpires: number
  /** Most bindings of one address-of-record. */
  readonly maxContacts: number
}

export interface RegisterContext<Source> {
  readonly rules: RegistrarRules
  /** Monotonic ms. */
  readonly now: number
  readonly source: Source
  /** RFC 5626 is in use: a contact with a reg-id takes the place of its flow's last one (`outboundOf`). */
  readonly outbound?: boolean
  /** Bindings that the REGISTER does not name end, instead of counting against the limit. */
  readonly replaceOthers?: boolean
  /** The id of a new binding, growing. */
  readonly nextId: () => number
  /** A copy of a text that outlives the message: a slice would keep the whole datagram in memory with it. */
  readonly keep: (text: string) => string
}

export interface BindingChange<Source> {
  readonly event: 'registered' | 'refreshed' | 'deregistered'
  readonly binding: Binding<Source>
}

/** What to answer instead of 200. Reasons hold no byte of the peer's. */
export interface Refusal {
  readonly ok: false
  readonly status: number
  readonly reason: string | null
  readonly headers: readonly (readonly [string, string])[]
}

export type RegisterResult<Source> =
  | {
      readonly ok: true
      /** All of them, in order of their ids. */
      readonly bindings: readonly Binding<Source>[]
      readonly changes: readonly BindingChange<Source>[]
    }
  | Refusal

/** Above this much asked for, a registrar may not call an interval too brief (§10.3 step 7). */
const NEVER_TOO_BRIEF_SECONDS = 3600

/**
 * Processes a REGISTER whose address-of-record is known and authorised.
 *
 * @param current the unexpired bindings of the address-of-record
 * @param wanted what `readWanted` gave, when it has been asked already
 * @returns the new bindings, or a refusal:
 *   400 for a Contact that cannot be read, and for `*` with anything but `Expires: 0` (§10.3 step 6);
 *   423 with Min-Expires for an interval too brief;
 *   500 for a REGISTER older than the one that made a binding it touches (§10.3 steps 6 and 7);
 *   403 for more contacts than allowed. No RFC names a code for that: 403 because a retry would not help and another
 *   server would not do better, which a 503 would suggest.
 */
export function register<Source>(
  request: Request,
  current: readonly Binding<Source>[],
  context: RegisterContext<Source>,
  wanted: Parsed<Wanted> = readWanted(request),
): RegisterResult<Source> {
  if (!wanted.ok) return refusal(wanted.fault.status, wanted.fault.what)
  switch (wanted.value.what) {
    case 'fetch':
      return { ok: true, bindings: current, changes: [] }
    case 'remove all':
      if (current.some((binding) => isOlder(request, binding))) return outOfOrder
      return {
        ok: true,
        bindings: [],
        changes: current.map((binding) => ({ event: 'deregistered', binding })),
      }
    case 'update':
      return update(request, wanted.value.contacts, current, context)
  }
}

function update<Source>(
  request: Request,
  contacts: readonly WantedContact[],
  current: readonly Binding<Source>[],
  context: RegisterContext<Source>,
): RegisterResult<Source> {
  const { rules } = context
  // Replacing all by others names at most twice as many; comparing thousands with each other would cost seconds.
  if (contacts.length > 2 * rules.maxContacts) return tooManyContacts
  const outbound = context.outbound === true
  const changes = new Map<number, BindingChange<Source>>()
  const after: Binding<Source>[] = []
  for (const binding of current) {
    if (
      context.replaceOthers === true &&
      !contacts.some((contact) => sameContact(binding, contact, outbound))
    )
      changes.set(binding.id, { event: 'deregistered', binding })
    else after.push(binding)
  }
  const callId = context.keep(request.callId)
  for (const contact of contacts) {
    const expires = Math.min(contact.expires ?? rules.defaultExpires, rules.maxExpires)
    if (expires > 0 && expires < rules.minExpires && expires < NEVER_TOO_BRIEF_SECONDS) {
      return refusal(423, null, [['Min-Expires', String(rules.minExpires)]])
    }
    const at = after.findIndex((binding) => sameContact(binding, contact, outbound))
    const old = after[at]
    // The same contact twice in one REGISTER: the last one counts. Its own CSeq cannot be out of order.
    const known = old !== undefined && changes.get(old.id)?.event !== 'registered' ? old : undefined
    if (known !== undefined && !changes.has(known.id) && isOlder(request, known)) return outOfOrder
    if (expires === 0) {
      if (old === undefined) continue
      after.splice(at, 1)
      if (known === undefined) changes.delete(old.id)
      else changes.set(old.id, { event: 'deregistered', binding: old })
      continue
    }
    const binding: Binding<Source> = {
      id: old?.id ?? context.nextId(),
      uri: old?.uri === contact.text ? old.uri : context.keep(contact.text),
      q: contact.q,
      params: old?.params === contact.params ? old.params : context.keep(contact.params),
      instance: old?.instance === contact.instance ? old.instance : kept(contact.instance, context.keep),
      regId: outbound ? contact.regId : null,
      expiresAt: context.now + expires * 1000,
      updatedAt: context.now,
      callId,
      cseq: request.cseq.number,
      source: context.source,
    }
    if (old === undefined) after.push(binding)
    else after[at] = binding
    changes.set(binding.id, { event: known === undefined ? 'registered' : 'refreshed', binding })
  }
  if (after.length > rules.maxContacts && after.length > current.length) return tooManyContacts
  return { ok: true, bindings: after, changes: [...changes.values()] }
}

/**
 * The Contact fields of a 200: every current binding with the seconds left to it (§10.3 step 8).
 * @param more further parameters of a binding: `;pub-gruu="…"`
 */
export function contactFields<Source>(
  bindings: readonly Binding<Source>[],
  now: number,
  more: (binding: Binding<Source>) => string = () => '',
): [string, string][] {
  return bindings.map((binding) => {
    const { uri, q, params, expiresAt } = binding
    const left = secondsLeft(expiresAt, now)
    return ['Contact', `<${uri}>${q === 1 ? '' : `;q=${q}`}${params}${more(binding)};expires=${left}`]
  })
}

/** Whole seconds until then, a begun one counted whole, so that no living binding shows 0. */
export function secondsLeft(expiresAt: number, now: number): number {
  return Math.max(0, Math.ceil((expiresAt - now) / 1000))
}

function isOlder(request: Request, binding: Binding<unknown>): boolean {
  return binding.callId === request.callId && request.cseq.number <= binding.cseq
}

function kept(text: string | null, keep: (text: string) => string): string | null {
  return text === null ? null : keep(text)
}

/** RFC 5626 §6: a flow is told by device and reg-id, whatever its URI is now; everything else by its URI (§10.3). */
function sameContact(
  binding: Binding<unknown>,
  { text, uri, instance, regId }: WantedContact,
  outbound: boolean,
): boolean {
  if (outbound && regId !== null) return binding.regId === regId && binding.instance === instance
  if (binding.uri === text) return true
  if (uri === null) return false
  const bound = parseUri(binding.uri)
  return bound.ok && isSipUri(bound.value) && uriEquals(bound.value, uri)
}

export function refusal(status: number, reason: string | null, headers: Refusal['headers'] = []): Refusal {
  return { ok: false, status, reason, headers }
}

const outOfOrder = refusal(500, 'REGISTER out of order')
const tooManyContacts = refusal(403, 'Too many contacts')
