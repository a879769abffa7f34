import { afterQuoted, all, isA, isSpace, skipSpace, TOKEN, trimmed } from './characters.ts'
import { malformed, type Parsed } from './fault.ts'
import { splitList } from './list.ts'
import { type Parameters, readParameters } from './parameters.ts'
import { looksLikeUri } from './uri.ts'

/** `name-addr` or `addr-spec` with parameters: From, To, Contact, Route, Record-Route, Refer-To … (§20.10). */
export interface NameAddr {
  /** What people read, without quotes and backslashes; null when there is none. */
  readonly display: string | null
  /** The text inside the angle brackets, or the addr-spec. It has the outer form of a URI; `parseUri` reads it. */
  readonly uri: string
  readonly params: Parameters
}

/** Reads one value. A comma after it is a fault: use `parseNameAddrList` where the field may hold several. */
export function parseNameAddr(text: string): Parsed<NameAddr> {
  let at = skipSpace(text, 0)
  let display: string | null = null
  let open: number
  if (text.charCodeAt(at) === 0x22) {
    const start = at
    at = afterQuoted(text, at)
    if (at < 0) return malformed('a display name whose quotes are not closed', start)
    display = unquoted(text, start + 1, at - 1)
    open = skipSpace(text, at)
    if (text.charCodeAt(open) !== 0x3c)
      return malformed('a quoted display name without an address in angle brackets', open)
  } else {
    open = text.indexOf('<', at)
    // RFC 4475 §3.1.2.6 and 3.1.2.14: what cannot stand in a token has to be quoted.
    if (open > at) {
      if (!isUnquotedDisplay(text, at, open)) return malformed('a display name that should be quoted', at)
      display = trimmed(text, at, open)
    }
  }
  if (open < 0) return parseAddrSpec(text, at)
  const close = text.indexOf('>', open)
  if (close < 0) return malformed('an angle bracket is not closed', open)
  const uri = text.slice(open + 1, close)
  if (!looksLikeUri(uri)) return malformed('the angle brackets hold no URI', open)
  const { params, broken } = readParameters(text, close + 1)
  return broken ?? { ok: true, value: { display, uri, params } }
}

/** Without angle brackets what follows ';' is of the field, and '?' or ',' may not be in the URI (§20.10). */
function parseAddrSpec(text: string, start: number): Parsed<NameAddr> {
  let end = text.indexOf(';', start)
  if (end < 0) end = text.length
  const uri = trimmed(text, start, end)
  if (uri.includes('?') || uri.includes(',') || !looksLikeUri(uri)) {
    return malformed('an address that is no URI, or should be in angle brackets', start)
  }
  const { params, broken } = readParameters(text, end)
  return broken ?? { ok: true, value: { display: null, uri, params } }
}

/** Reads comma-separated values, one at least. The '*' of a Contact is none: look for it before. */
export function parseNameAddrList(text: string): Parsed<NameAddr[]> {
  const parts = splitList(text)
  if (!parts.ok) return parts
  const values: NameAddr[] = []
  for (const part of parts.value) {
    const parsed = parseNameAddr(part)
    if (!parsed.ok) return parsed
    values.push(parsed.value)
  }
  return { ok: true, value: values }
}

/** Always with angle brackets; the display name is quoted unless it is one token. */
export function formatNameAddr({ display, uri, params }: NameAddr): string {
  const address = `<${uri}>${params.toString()}`
  if (display === null) return address
  return all(TOKEN, display) ? `${display} ${address}` : `${quoted(display)} ${address}`
}

/** A quoted-string that means `text` (§25.1). CR and LF cannot be in one; they become spaces. */
export function quoted(text: string): string {
  let result = '"'
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x0a || code === 0x0d) result += ' '
    else if (code === 0x22 || code === 0x5c || code === 0x7f || (code < 0x20 && code !== 0x09))
      result += `\\${text.charAt(i)}`
    else result += text.charAt(i)
  }
  return `${result}"`
}

function unquoted(text: string, start: number, end: number): string {
  const inside = text.slice(start, end)
  if (!inside.includes('\\')) return inside
  let result = ''
  let from = 0
  for (let at = inside.indexOf('\\'); at >= 0; at = inside.indexOf('\\', at + 2)) {
    result += inside.slice(from, at)
    from = at + 1
  }
  return result + inside.slice(from)
}

/** `*(token LWS)`; bytes above 127 pass, because UTF-8 names without quotes are common. */
function isUnquotedDisplay(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i)
    if (!isA(TOKEN, code) && !isSpace(code) && code < 0x80) return false
  }
  return true
}
