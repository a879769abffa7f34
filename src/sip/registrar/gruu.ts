import { addressOfRecord, formatUri, isSipUri, parseUri, type SipUri } from '../message/uri.ts'
import { Parameters } from '../message/parameters.ts'

/** Globally routable user agent URIs, RFC 5627. Pure texts: who is behind one is the location service's to know. */

/** Users of temporary GRUUs begin with it; the rest is an opaque token. */
export const TEMP_GRUU_USER = 'tgruu.'

/** The public GRUU of a device: its address-of-record with the instance in `gr` (§3.1.1). */
export function publicGruu(aor: string, instance: string): string {
  return `${aor};gr=${escaped(instance)}`
}

/** A temporary GRUU: a user that says nothing, and an empty `gr` (§3.1.2). */
export function temporaryGruu(token: string, host: string): string {
  const params = new Parameters()
  params.set('gr', null)
  return formatUri({
    scheme: 'sip',
    user: TEMP_GRUU_USER + token,
    password: null,
    host,
    port: null,
    params,
    headers: null,
  })
}

export type Gruu =
  | { readonly what: 'public'; readonly aor: string; readonly instance: string }
  | { readonly what: 'temporary'; readonly token: string }

/** What a URI with a `gr` parameter names; null when it is no GRUU of the forms we make. */
export function gruuOf(uri: SipUri): Gruu | null {
  const gr = uri.params.get('gr')
  if (gr === undefined || uri.user === null) return null
  if (gr !== '') return { what: 'public', aor: addressOfRecord(uri), instance: unescaped(gr) }
  if (!uri.user.startsWith(TEMP_GRUU_USER)) return null
  return { what: 'temporary', token: uri.user.slice(TEMP_GRUU_USER.length) }
}

/** As `gruuOf`, of a text. */
export function gruuOfText(text: string): Gruu | null {
  if (!text.includes(';gr')) return null
  const parsed = parseUri(text)
  return parsed.ok && isSipUri(parsed.value) ? gruuOf(parsed.value) : null
}

/** `gr` is a URI parameter: what may stand in one stays, all else is escaped (§19.1.1, paramchar). */
function escaped(instance: string): string {
  return instance.replace(
    /[^A-Za-z0-9\-_.!~*'()[\]/:&+$]/g,
    (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

function unescaped(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
