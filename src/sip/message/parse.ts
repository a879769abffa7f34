import { all, DIGIT, digits, isToken } from './characters.ts'
import { malformed, type Fault, type Parsed } from './fault.ts'
import { type Head, readHead } from './head.ts'
import { CALL_ID, CSEQ, fieldOf, FROM, HeaderFields, TO, VIA } from './header-fields.ts'
import { defaultLimits, type Limits } from './limits.ts'
import { lineEnd } from './lines.ts'
import { methodAt } from './methods.ts'
import { type Message, Request, Response } from './message.ts'
import { parseNameAddrList } from './name-addr.ts'
import { salvageRequest } from './salvage.ts'
import { isSipUri, parseUri } from './uri.ts'

export type { Fault, Parsed } from './fault.ts'
export { defaultLimits, type Limits } from './limits.ts'

export type ParseResult =
  | { readonly ok: true; readonly message: Message }
  | {
      readonly ok: false
      readonly fault: Fault
      /** Enough of the request for `buildResponse`; null when no answer can or may be sent: a response, an ACK, no Via. */
      readonly answerable: Request | null
    }

/**
 * Reads one datagram or one framed message, given as binary text (§7).
 *
 * Checked: the start line, the lines of the head, that the mandatory fields are there once and well-formed (top Via, From,
 * To, Call-ID, CSeq), Content-Length, Max-Forwards, a REGISTER's Contacts. All other fields are kept as they are and
 * parsed when somebody asks. Bytes after the body are dropped, a body shorter than announced is a fault (§18.3).
 * Max-Forwards may be missing, and a From tag, and a branch: RFC 2543 had none.
 * Time is linear in the length of the text, whatever is in it.
 */
export function parseMessage(text: string, limits: Limits = defaultLimits): ParseResult {
  const parsed = readMessage(text, limits)
  if (parsed.ok) return { ok: true, message: parsed.value }
  return { ok: false, fault: parsed.fault, answerable: salvageRequest(text) }
}

/** What is wrong with a whole message; null when nothing is. */
export function faultOf(text: string, limits: Limits = defaultLimits): Fault | null {
  const parsed = readMessage(text, limits)
  return parsed.ok ? null : parsed.fault
}

/**
 * What is wrong with a message of which only the first lines of the head are here, none of them to be folded any further.
 * Null when a valid message can still come of it: what is missing is taken to come, and to be right.
 */
export function findFault(lines: string, limits: Limits = defaultLimits): Fault | null {
  if (lines === '') return null
  const parsed = readMessage(`${lines}\r\n`, limits, false)
  return parsed.ok ? null : parsed.fault
}

/** @param ended false: the empty line at the end is not the sender's, more of the message is to come */
function readMessage(text: string, limits: Limits, ended = true): Parsed<Message> {
  if (text.length > limits.maxMessageBytes)
    return { ok: false, fault: { status: 513, what: 'the message is too long' } }
  let start = 0
  // Empty lines before the start line are ignored (§7.5).
  while (text.charCodeAt(start) === 0x0d && text.charCodeAt(start + 1) === 0x0a) start += 2
  const end = lineEnd(text, start)
  if (end < 0) return malformed('no start line', start)
  return isStatusLine(text, start)
    ? readResponse(text, start, end, limits, ended)
    : readRequest(text, start, end, limits, ended)
}

export function isStatusLine(text: string, start: number): boolean {
  // No method can hold a slash.
  return text.charCodeAt(start + 3) === 0x2f && text.slice(start, start + 3).toUpperCase() === 'SIP'
}

function readRequest(
  text: string,
  start: number,
  end: number,
  limits: Limits,
  ended: boolean,
): Parsed<Message> {
  const space = text.indexOf(' ', start)
  const last = text.lastIndexOf(' ', end - 1)
  if (space < 0 || space >= last) return malformed('a start line that is neither request nor response', start)
  const version = checkVersion(text, last + 1, end)
  if (version !== null) return { ok: false, fault: version }
  const method = methodAt(text, start, space)
  if (!isToken(method)) return malformed('a method that is no token', start)
  const uri = text.slice(space + 1, last)
  const parsedUri = parseUri(uri)
  if (!parsedUri.ok) return malformed(`Request-URI: ${parsedUri.fault.what}`, space + 1)
  // They would become header fields where the URI is used to form a request (§19.1.5, RFC 4475 §3.1.2.11).
  if (isSipUri(parsedUri.value) && parsedUri.value.headers !== null) {
    return malformed('a Request-URI with header fields', space + 1)
  }
  const head = readHead(text, end + 2, limits)
  if (!head.ok) return head
  const whole = ended ? head.value : completed(head.value, method)
  const body = readBody(text, whole)
  if (!body.ok) return body
  const request = new Request(method, uri, new HeaderFields(whole.fields), body.value)
  const fault = checkFields(request, whole) ?? checkRequestFields(request)
  return fault === null ? { ok: true, value: request } : { ok: false, fault }
}

function readResponse(
  text: string,
  start: number,
  end: number,
  limits: Limits,
  ended: boolean,
): Parsed<Message> {
  const space = text.indexOf(' ', start)
  if (space < 0 || space > end) return malformed('a status line without a status', start)
  const version = checkVersion(text, start, space)
  if (version !== null) return { ok: false, fault: version }
  const codeEnd = space + 4
  const status = digits(text, space + 1, codeEnd)
  if (codeEnd > end || !all(DIGIT, text, space + 1, codeEnd) || status < 100 || status > 699) {
    return malformed('a status code that is not 100 to 699', space + 1)
  }
  // Without the space before an empty reason phrase the line is not to the grammar, but means one thing only.
  if (codeEnd < end && text.charCodeAt(codeEnd) !== 0x20)
    return malformed('a status code that is not three digits', codeEnd)
  const reason = text.slice(codeEnd + 1, Math.max(end, codeEnd + 1))
  const head = readHead(text, end + 2, limits)
  if (!head.ok) return head
  const whole = ended ? head.value : completed(head.value, 'OPTIONS')
  const body = readBody(text, whole)
  if (!body.ok) return body
  const response = new Response(
    status,
    codeEnd < end ? reason : '',
    new HeaderFields(whole.fields),
    body.value,
  )
  const fault = checkFields(response, whole)
  return fault === null ? { ok: true, value: response } : { ok: false, fault }
}

/** 505 for a version that is one, but not ours; 400 for what is none (§7.1, §21.5.6). */
function checkVersion(text: string, offset: number, end: number): Fault | null {
  if (end - offset === 7 && text.startsWith('SIP/2.0', offset)) return null
  const upper = text.slice(offset, end).toUpperCase()
  if (upper === 'SIP/2.0') return null
  const dot = upper.indexOf('.')
  if (upper.startsWith('SIP/') && all(DIGIT, upper, 4, dot) && all(DIGIT, upper, dot + 1)) {
    return { status: 505, what: 'a SIP version other than 2.0', offset }
  }
  return malformed('a start line without a SIP version', offset).fault
}

/** §18.3: a stream has been framed by the length already; of a datagram all is body that Content-Length does not cut off. */
function readBody(text: string, { bodyStart, contentLength }: Head): Parsed<string> {
  if (contentLength === null) return { ok: true, value: text.slice(bodyStart) }
  if (contentLength > text.length - bodyStart)
    return malformed('the body is shorter than content-length', bodyStart)
  return { ok: true, value: text.slice(bodyStart, bodyStart + contentLength) }
}

const mandatory: readonly (readonly [role: number, name: string])[] = [
  [VIA, 'via'],
  [FROM, 'from'],
  [TO, 'to'],
  [CALL_ID, 'call-id'],
  [CSEQ, 'cseq'],
]
const MANDATORY = VIA | FROM | TO | CALL_ID | CSEQ

/** The head of which this is the beginning, with the mandatory fields that have not come yet; its body has not, either. */
function completed({ fields, bodyStart, roles }: Head, method: string): Head {
  const missing: readonly (readonly [role: number, name: string, value: string])[] = [
    [VIA, 'via', 'SIP/2.0/TCP host.invalid'],
    [FROM, 'from', '<sip:host.invalid>'],
    [TO, 'to', '<sip:host.invalid>'],
    [CALL_ID, 'call-id', '1'],
    [CSEQ, 'cseq', `1 ${method}`],
  ]
  const rest = missing.filter(([role]) => (roles & role) === 0)
  return {
    fields: [...fields, ...rest.map(([, name, value]) => fieldOf(name, name, value))],
    bodyStart,
    roles: roles | MANDATORY,
    contentLength: null,
  }
}

function checkFields(message: Message, { roles }: Head): Fault | null {
  if ((roles & MANDATORY) !== MANDATORY) {
    const missing = mandatory.find(([role]) => (roles & role) === 0)
    return malformed(`${missing?.[1]} is missing`).fault
  }
  const fault = message.check()
  if (fault !== null) return fault
  const { callId } = message
  if (callId === '' || callId.includes(' ') || callId.includes('\t')) {
    return malformed('call-id is empty or has a space in it').fault
  }
  return null
}

function checkRequestFields(request: Request): Fault | null {
  if (request.cseq.method !== request.method)
    return malformed('cseq has another method than the request').fault
  const maxForwards = request.headers.first('max-forwards')
  if (maxForwards !== undefined && (!all(DIGIT, maxForwards) || digits(maxForwards) > 255)) {
    return malformed('max-forwards is not 0 to 255').fault
  }
  if (request.method === 'REGISTER') {
    for (const value of request.headers.all('contact')) {
      if (value === '*') continue
      const contacts = parseNameAddrList(value)
      if (!contacts.ok) return malformed(`Contact: ${contacts.fault.what}`).fault
    }
  }
  return null
}
