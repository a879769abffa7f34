import { isA, isSpace, skipSpace, TOKEN } from './characters.ts'
import { type Fault, malformed, type Parsed } from './fault.ts'
import { type Parameters, readParameters } from './parameters.ts'
import { formatHostPort, parseHostPort } from './uri.ts'

/** One Via value (§20.42). */
export interface Via {
  /** The transport, upper case: 'UDP', 'TCP', 'TLS', 'WS', 'WSS', or any other token. */
  readonly protocol: string
  /** Of the sent-by: lower case, an IPv6 address without its brackets. */
  readonly host: string
  readonly port: number | null
  readonly params: Parameters
}

/** Reads one value; spaces may surround each part (RFC 4475 §3.1.1.1). */
export function parseVia(text: string): Parsed<Via> {
  const { via, fault } = readVia(text)
  if (via === null || fault !== null) return { ok: false, fault: fault ?? malformed('a Via').fault }
  return { ok: true, value: via }
}

/** As much of a Via as can be read: enough to answer a broken request (§18.2.2); null without a sent-by. */
export function salvageVia(text: string): Via | null {
  return readVia(text).via
}

function readVia(text: string): { via: Via | null; fault: Fault | null } {
  // Any protocol name and version: a request of SIP/7.0 is answered with a 505 along such a Via.
  let at = skipSpace(text, 0)
  let start = at
  for (let slashes = 0; slashes < 2; slashes++) {
    const end = tokenEnd(text, at)
    const slash = skipSpace(text, end)
    if (end === at || text.charCodeAt(slash) !== 0x2f) return no('a Via without its protocol', at)
    at = skipSpace(text, slash + 1)
  }
  start = at
  at = tokenEnd(text, at)
  if (at === start || !isSpace(text.charCodeAt(at))) return no('a Via without its transport', at)
  const protocol = transportAt(text, start, at)
  start = skipSpace(text, at)
  at = text.indexOf(';', start)
  const end = at < 0 ? text.length : at
  const hostPort = parseSentBy(text, start, end)
  if (hostPort === null) return no('a Via with a bad sent-by', start)
  const { params, broken } = readParameters(text, end)
  return { via: { protocol, host: hostPort.host, port: hostPort.port, params }, fault: broken?.fault ?? null }
}

/** `host [ COLON port ]`, where COLON may have spaces around it. */
function parseSentBy(text: string, start: number, end: number): ReturnType<typeof parseHostPort> {
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--
  const whole = parseHostPort(text, start, end)
  if (whole !== null) return whole
  const colon = text.lastIndexOf(':', end)
  if (colon <= start) return null
  const sentBy = `${text.slice(start, colon).trimEnd()}:${text.slice(colon + 1, end).trimStart()}`
  return parseHostPort(sentBy, 0, sentBy.length)
}

/** The usual ones are there already, as they are usually written. */
function transportAt(text: string, start: number, end: number): string {
  for (const known of TRANSPORTS) {
    if (known.length === end - start && text.startsWith(known, start)) return known
  }
  return text.slice(start, end).toUpperCase()
}

const TRANSPORTS = ['UDP', 'TCP', 'TLS', 'WSS', 'WS']

function tokenEnd(text: string, at: number): number {
  while (at < text.length && isA(TOKEN, text.charCodeAt(at))) at++
  return at
}

function no(what: string, offset: number): { via: null; fault: Fault } {
  return { via: null, fault: malformed(what, offset).fault }
}

export function formatVia(via: Via): string {
  return `SIP/2.0/${via.protocol} ${formatHostPort(via)}${via.params.toString()}`
}

/** The branch parameter: with the magic cookie it names the transaction (§17.2.3). */
export function viaBranch(via: Via): string | undefined {
  return via.params.get('branch')
}
