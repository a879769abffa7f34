import type { Request } from '../message/message.ts'
import { type NameAddr, parseNameAddrList } from '../message/name-addr.ts'
import { Parameters } from '../message/parameters.ts'
import { malformed, type Parsed } from '../message/fault.ts'
import { isSipUri, parseUri, type SipUri } from '../message/uri.ts'

/** One Contact value of a REGISTER, read and checked. */
export interface WantedContact {
  /** As written, without angle brackets. */
  readonly text: string
  /** Null for a URI that is neither sip nor sips: equal only to the same text. */
  readonly uri: SipUri | null
  /** 0 … 1; 1 when not given (§20.10). */
  readonly q: number
  /** Seconds asked for; null when neither the contact nor the Expires field says. */
  readonly expires: number | null
  /** ';name=value' of every other parameter, as written; '' when there are none. */
  readonly params: string
  /** The `+sip.instance` without quotes and angle brackets: `urn:uuid:…` (RFC 5626 §4.1); null without one. */
  readonly instance: string | null
  /** 1 … 2^31-1 (RFC 5626 §4.2.1); null without one, and without an instance it would mean nothing (§6). */
  readonly regId: number | null
}

/** What the Contact and Expires fields of a REGISTER ask for. */
export type Wanted =
  | { readonly what: 'fetch' }
  | { readonly what: 'remove all' }
  | { readonly what: 'update'; readonly contacts: readonly WantedContact[] }

/** 2^32-1 seconds: the largest delta-seconds (§20.19). More is taken for it. */
const MAX_DELTA_SECONDS = 4_294_967_295
/** What a value that is no number stands for (§20.10, §20.19). */
const MALFORMED_EXPIRES = 3600

/** Reads what a REGISTER asks for: §10.3 step 6 and the syntax of §20.10. */
export function readWanted(request: Request): Parsed<Wanted> {
  const values = request.headers.all('contact')
  if (values.length === 0) return { ok: true, value: { what: 'fetch' } }
  const field = request.headers.first('expires')
  const fallback = field === undefined ? null : readExpires(field)
  if (values.some((value) => value.trim() === '*')) {
    if (values.length > 1) return malformed("'*' beside another Contact")
    if (fallback !== 0) return malformed("'*' without Expires: 0")
    return { ok: true, value: { what: 'remove all' } }
  }
  const contacts: WantedContact[] = []
  for (const value of values) {
    const list = parseNameAddrList(value)
    if (!list.ok) return list
    for (const nameAddr of list.value) {
      const contact = readContact(nameAddr, fallback)
      if (!contact.ok) return contact
      contacts.push(contact.value)
    }
  }
  return { ok: true, value: { what: 'update', contacts } }
}

function readContact({ uri: text, params }: NameAddr, fallback: number | null): Parsed<WantedContact> {
  const parsed = parseUri(text)
  if (!parsed.ok) return parsed
  const q = readQ(params.get('q'))
  if (q === null) return malformed('a Contact whose q is not between 0 and 1')
  const own = params.get('expires')
  const others = new Parameters()
  for (const [name, value] of params.entries()) {
    if (!ANSWERED_ANEW.has(name.toLowerCase())) others.set(name, value === '' ? null : value)
  }
  const instance = readInstance(params.get('+sip.instance'))
  const regId = instance === null ? null : readRegId(params.get('reg-id'))
  if (regId === undefined) return malformed('a Contact whose reg-id is not a number from 1 to 2147483647')
  return {
    ok: true,
    value: {
      text,
      uri: isSipUri(parsed.value) ? parsed.value : null,
      q,
      expires: own === undefined ? fallback : readExpires(own),
      params: others.toString(),
      instance,
      regId,
    },
  }
}

/** What the registrar writes itself into the answer; GRUUs that a phone sends back are not believed (RFC 5627 §5.2). */
const ANSWERED_ANEW = new Set(['q', 'expires', 'pub-gruu', 'temp-gruu'])

/** An instance is a quoted URN in angle brackets. What is not is no instance: the contact is bound by its URI. */
function readInstance(text: string | undefined): string | null {
  return /^"<([!-;=?-~]{1,256})>"$/.exec(text ?? '')?.[1] ?? null
}

function readRegId(text: string | undefined): number | null | undefined {
  if (text === undefined) return null
  const value = /^\d{1,10}$/.test(text) ? Number(text) : 0
  return value >= 1 && value <= 2_147_483_647 ? value : undefined
}

function readQ(text: string | undefined): number | null {
  if (text === undefined) return 1
  return /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(text) ? Number(text) : null
}

function readExpires(text: string): number {
  const trimmed = text.trim()
  return /^\d+$/.test(trimmed) ? Math.min(Number(trimmed), MAX_DELTA_SECONDS) : MALFORMED_EXPIRES
}
