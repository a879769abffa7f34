import { afterQuoted, all, isA, isSpace, skipSpace, TOKEN, trimmed } from './characters.ts'
import { type Faulted, malformed, type Parsed } from './fault.ts'
import { splitList } from './list.ts'
import { findParameter, type Parameters, readParameters } from './parameters.ts'
import { looksLikeUri } from './uri.ts'

/** `name-addr` or `addr-spec` with parameters: From, To, Contact, Route, Record-Route, Refer-To … (§20.10). */
export interface NameAddr {
  /** What people read, without quotes and backslashes; null when there is none. */
  readonly display: string | null
  /** The text inside the angle brackets, or the addr-spec. It has the outer form of a URI; `parseUri` reads it. */
  readonly uri: string
  readonly params: Parameters
}

/** What `outline` has found last. Variables, so that nothing is made of a From whose tag alone matters. */
let display: string | null = null
let uri = ''
/** Where the parameters begin. */
let rest = 0

/** Reads one value. A comma after it is a fault: use `parseNameAddrList` where the field may hold several. */
export function parseNameAddr(text: string): Parsed<NameAddr> {
  const fault = outline(text)
  if (fault !== null) return fault
  const { params, broken } = readParameters(text, rest)
  return broken ?? { ok: true, value: { display, uri, params } }
}

/** The `tag` parameter of a From or To, of which everything is checked as `parseNameAddr` does. Undefined: there is none. */
export function tagOf(text: string): Parsed<string | undefined> {
  return outline(text) ?? findParameter(text, rest, 'tag')
}

/** Finds display name, URI and the beginning of the parameters; a fault when they are not in order. */
function outline(text: string): Faulted | null {
  let at = skipSpace(text, 0)
  let open: number
  display = null
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
  if (open < 0) return outlineAddrSpec(text, at)
  const close = text.indexOf('>', open)
  if (close < 0) return malformed('an angle bracket is not closed', open)
  uri = text.slice(open + 1, close)
  rest = close + 1
  return looksLikeUri(uri) ? null : malformed('the angle brackets hold no URI', open)
}

/** Without angle brackets what follows ';' is of the field, and '?' or ',' may not be in the URI (§20.10). */
function outlineAddrSpec(text: string, start: number): Faulted | null {
  rest = text.indexOf(';', start)
  if (rest < 0) rest = text.length
  uri = trimmed(text, start, rest)
  if (uri.includes('?') || uri.includes(',') || !looksLikeUri(uri)) {
    return malformed('an address that is no URI, or should be in angle brackets', start)
  }
  return null
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
