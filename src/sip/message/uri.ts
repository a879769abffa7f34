import { all, DIGIT, digits, HEX, HOST, isA, URI } from './characters.ts'
import { canonicalUser, comparable, unescapeUri } from './escape.ts'
import { malformed, type Parsed } from './fault.ts'
import { isUriText, Parameters, parseUriParameters } from './parameters.ts'

/** A sip or sips URI (§19.1). User and password are as written, escapes and all. */
export interface SipUri {
  readonly scheme: 'sip' | 'sips'
  readonly user: string | null
  readonly password: string | null
  /** Lower case; an IPv6 address without its brackets. */
  readonly host: string
  /** 1 … 65535; null when not written. */
  readonly port: number | null
  readonly params: Parameters
  /** What follows '?', as written. */
  readonly headers: string | null
}

/** tel: and every other absolute URI: only the scheme is understood. */
export interface OtherUri {
  /** Lower case. */
  readonly scheme: string
  readonly opaque: string
}

export type Uri = SipUri | OtherUri

export function isSipUri(uri: Uri): uri is SipUri {
  return 'host' in uri
}

/** A host with its port, as in a URI or a Via's sent-by. */
export interface HostPort {
  readonly host: string
  readonly port: number | null
}

/** Reads any URI; the parts of a SIP URI are checked, of others only that they hold nothing that ends a URI (§25.1). */
export function parseUri(text: string): Parsed<Uri> {
  const colon = text.indexOf(':')
  if (colon < 1) return malformed('a URI without a scheme')
  const scheme = text.slice(0, colon).toLowerCase()
  if (scheme === 'sip' || scheme === 'sips') return parseSipUri(scheme, text, colon + 1)
  if (!isScheme(text, colon)) return malformed('a URI whose scheme is no scheme')
  const opaque = text.slice(colon + 1)
  if (!isOpaque(text, colon + 1)) return malformed('a URI with characters that no URI may hold')
  return { ok: true, value: { scheme, opaque } }
}

/** Whether `text` has the outer form of a URI: a scheme, a colon, and nothing that ends a URI. Cheaper than `parseUri`. */
export function looksLikeUri(text: string): boolean {
  const colon = text.indexOf(':')
  return colon > 0 && isScheme(text, colon) && isOpaque(text, colon + 1)
}

function parseSipUri(scheme: 'sip' | 'sips', text: string, start: number): Parsed<SipUri> {
  const at = text.indexOf('@', start)
  let user: string | null = null
  let password: string | null = null
  let hostStart = start
  if (at >= 0) {
    const colon = text.indexOf(':', start)
    const userEnd = colon >= 0 && colon < at ? colon : at
    if (!isUriText(text, start, userEnd)) return malformed('a SIP URI with a bad user part', start)
    user = text.slice(start, userEnd)
    if (userEnd < at) {
      if (userEnd + 1 < at && !isUriText(text, userEnd + 1, at)) {
        return malformed('a SIP URI with a bad password', userEnd + 1)
      }
      password = text.slice(userEnd + 1, at)
    }
    hostStart = at + 1
  }
  // No '?' or ';' can stand in a host: the first of them ends it.
  let hostEnd = hostStart
  for (; hostEnd < text.length; hostEnd++) {
    const code = text.charCodeAt(hostEnd)
    if (code === 0x3b || code === 0x3f) break
  }
  const hostPort = parseHostPort(text, hostStart, hostEnd)
  if (hostPort === null) return malformed('a SIP URI with a bad host or port', hostStart)
  const { host, port } = hostPort
  if (hostEnd === text.length) {
    return {
      ok: true,
      value: { scheme, user, password, host, port, params: new Parameters(), headers: null },
    }
  }
  const question = text.indexOf('?', hostEnd)
  const paramsEnd = question < 0 ? text.length : question
  const params = parseUriParameters(text, hostEnd, paramsEnd)
  if (!params.ok) return params
  if (question >= 0 && !isUriText(text, question + 1, text.length)) {
    return malformed('a SIP URI with bad header fields', question)
  }
  const headers = question < 0 ? null : text.slice(question + 1)
  return { ok: true, value: { scheme, user, password, host, port, params: params.value, headers } }
}

/**
 * Reads `host [":" port]` of `text` from `start` up to `end`; null when it is not one.
 * An IPv6 reference needs its brackets (RFC 5118 §4.2) and is not checked beyond its characters: three colons in a row
 * are a bug of others that RFC 5118 §4.10 asks us to bear.
 */
export function parseHostPort(text: string, start: number, end: number): HostPort | null {
  let at = start
  let host: string
  if (text.charCodeAt(start) === 0x5b) {
    at = text.indexOf(']', start)
    if (at < 0 || at >= end || !isIpv6(text, start + 1, at)) return null
    host = text.slice(start + 1, at).toLowerCase()
    at++
  } else {
    let afterDot = true
    for (; at < end; at++) {
      const code = text.charCodeAt(at)
      if (!isA(HOST, code)) break
      const dot = code === 0x2e
      if (dot && afterDot) return null
      afterDot = dot
    }
    if (at === start) return null
    host = text.slice(start, at).toLowerCase()
  }
  if (at === end) return { host, port: null }
  if (text.charCodeAt(at) !== 0x3a || end - at < 2 || end - at > 6 || !all(DIGIT, text, at + 1, end))
    return null
  const port = digits(text, at + 1, end)
  return port > 0 && port < 65_536 ? { host, port } : null
}

function isIpv6(text: string, start: number, end: number): boolean {
  let colons = 0
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x3a) colons++
    else if (code !== 0x2e && !isA(HEX, code)) return false
  }
  return colons >= 2
}

/** Whether the text up to `end` is a letter, then letters, digits, '+', '-' and '.'. */
function isScheme(text: string, end: number): boolean {
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i)
    const letter = code | 0x20
    if (letter >= 0x61 && letter <= 0x7a) continue
    if (i === 0 || !(isA(DIGIT, code) || code === 0x2b || code === 0x2d || code === 0x2e)) return false
  }
  return end > 0
}

function isOpaque(text: string, start: number): boolean {
  if (start >= text.length) return false
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (!isA(URI, code) && code !== 0x25 && code !== 0x40) return false
  }
  return true
}

export function formatUri(uri: Uri): string {
  if (!isSipUri(uri)) return `${uri.scheme}:${uri.opaque}`
  let text = `${uri.scheme}:`
  if (uri.user !== null) text += uri.password === null ? `${uri.user}@` : `${uri.user}:${uri.password}@`
  text += formatHostPort(uri)
  text += uri.params.toString()
  return uri.headers === null ? text : `${text}?${uri.headers}`
}

/** `host`, `host:port`, `[ipv6]:port`. */
export function formatHostPort({ host, port }: HostPort): string {
  const text = host.includes(':') ? `[${host}]` : host
  return port === null ? text : `${text}:${port}`
}

/** Those that must be in both URIs or in neither. `transport` is not in the rule's text but in its examples (§19.1.4). */
const DECISIVE_PARAMETERS = ['user', 'ttl', 'method', 'maddr', 'transport']

/** Whether two URIs are equivalent by §19.1.4. Not transitive, as the section says. */
export function uriEquals(a: SipUri, b: SipUri): boolean {
  if (a.scheme !== b.scheme || a.host !== b.host || a.port !== b.port) return false
  if (!sameText(a.user, b.user) || !sameText(a.password, b.password)) return false
  for (const name of DECISIVE_PARAMETERS) if (a.params.has(name) !== b.params.has(name)) return false
  for (const [name, own] of a.params.entries()) {
    // The first of its name: one that is there twice, which it must not be, would make a URI differ from itself.
    const plain = unescapeUri(name)
    const value = a.params.get(plain)
    // Looked at once: a hundred of one name would have a first value of 30 KiB compared a hundred times.
    if (value === undefined || own !== value) continue
    const other = b.params.get(plain)
    if (other === undefined) continue
    if (comparable(value).toLowerCase() !== comparable(other).toLowerCase()) return false
  }
  return sameHeaders(a.headers, b.headers)
}

function sameText(a: string | null, b: string | null): boolean {
  if (a === b) return true
  return a !== null && b !== null && comparable(a) === comparable(b)
}

/** The same fields with the same values, in any order. */
function sameHeaders(a: string | null, b: string | null): boolean {
  if (a === b) return true
  if (a === null || b === null) return false
  const left = uriHeaders(a)
  const right = uriHeaders(b)
  return left.length === right.length && left.every((field, i) => field === right[i])
}

function uriHeaders(text: string): string[] {
  return text
    .split('&')
    .map((field) => {
      const [name = '', ...value] = field.split('=')
      return `${comparable(name).toLowerCase()}=${comparable(value.join('='))}`
    })
    .sort()
}

/**
 * The canonical form of an address-of-record, to be used as a key (§10.3 step 5): `sip:user@host` without port,
 * password, parameters and header fields, the host in lower case. A domain has no port: phones that were told
 * `example.com:5070` as their server and those that found it by DNS are users of one domain.
 * A sips URI gives the sip key: both name one user (RFC 5630 §5.1.1).
 * The user part is escaped where a user part must be and nowhere else, so that all spellings of a user give one key,
 * different users never do, '%00' included, and the key is itself a valid URI.
 */
export function addressOfRecord(uri: SipUri): string {
  const hostPort = formatHostPort({ host: uri.host, port: null })
  return uri.user === null ? `sip:${hostPort}` : `sip:${canonicalUser(uri.user)}@${hostPort}`
}
