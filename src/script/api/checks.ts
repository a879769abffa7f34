import { parseNameAddr } from '../../sip/message/name-addr.ts'
import { headerKey } from '../../sip/message/header-fields.ts'
import { isSipUri, parseUri } from '../../sip/message/uri.ts'
import { ScriptError } from './script-error.ts'
import { encodeText } from './text.ts'

/** What a script gave, checked before it can reach the wire. Each throws a `ScriptError` that says what to do instead. */

const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/
// oxlint-disable-next-line no-control-regex
const NOT_ONE_LINE = /[\x00\r\n]/

/** Fields that hold the transaction, the dialog or the framing together: only the server writes them. */
const SYSTEM: Readonly<Record<string, string>> = {
  via: 'the server adds and removes Via',
  cseq: 'it identifies the transaction',
  'call-id': 'it identifies the call',
  'max-forwards': 'the server counts it down',
  'content-length': 'the server computes it',
  'record-route': 'use request.recordRoute()',
}

/** @returns the name, checked */
export function headerName(name: unknown): string {
  if (typeof name !== 'string' || !TOKEN.test(name)) {
    throw new ScriptError(
      `${show(name)} is not a header name: letters, digits and -.!%*_+\`'~ (RFC 3261 §25.1)`,
    )
  }
  return name
}

/** @returns binary text */
export function headerValue(name: string, value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') {
    throw new ScriptError(`the value of ${name} is ${show(value)}, not a string`)
  }
  const text = String(value)
  if (NOT_ONE_LINE.test(text)) {
    throw new ScriptError(`the value of ${name} holds a line break or a NUL: a header is one line`)
  }
  return encodeText(text)
}

/** Refuses what a script must not change. From and To may be rewritten as long as their tag stays. */
export function writable(name: string, before: string | undefined, after: string | null): void {
  const key = headerKey(name)
  const why = SYSTEM[key]
  if (why !== undefined) throw new ScriptError(`${name} cannot be changed by a script: ${why}`)
  if (key !== 'from' && key !== 'to') return
  const old = before === undefined ? undefined : parseNameAddr(before)
  const now = after === null ? undefined : parseNameAddr(after)
  if (!now?.ok) throw new ScriptError(`${name} must stay and must be a name and an address (RFC 3261 §20.20)`)
  if (old?.ok && (old.value.params.get('tag') ?? '') !== (now.value.params.get('tag') ?? '')) {
    throw new ScriptError(`the tag of ${name} cannot be changed by a script: it identifies the dialog`)
  }
}

/** A final status: a handler's verdict ends the request. */
export function finalStatus(code: unknown): number {
  if (typeof code !== 'number' || !Number.isInteger(code) || code < 200 || code > 699) {
    throw new ScriptError(`${show(code)} is not a final status: 200 to 699 (RFC 3261 §7.2)`)
  }
  return code
}

/** @returns binary text; null for the standard phrase */
export function reasonText(reason: unknown): string | null {
  if (reason === undefined || reason === null) return null
  if (typeof reason !== 'string' || NOT_ONE_LINE.test(reason)) {
    throw new ScriptError(`${show(reason)} is not a reason phrase: one line of text`)
  }
  return encodeText(reason)
}

/** A SIP URI to send to. @returns binary text */
export function target(uri: unknown, where: string): string {
  if (typeof uri !== 'string') throw new ScriptError(`${where}: ${show(uri)} is not a SIP URI`)
  const text = encodeText(uri)
  const parsed = parseUri(text)
  if (!parsed.ok) throw new ScriptError(`${where}: '${uri}' is not a SIP URI: ${parsed.fault.what}`)
  if (!isSipUri(parsed.value)) throw new ScriptError(`${where}: '${uri}' is not a sip: or sips: URI`)
  return text
}

/** A value as an error message names it. */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    const escaped = JSON.stringify(value).slice(1, -1)
    return `'${escaped.length > 60 ? `${escaped.slice(0, 60)}…` : escaped}'`
  }
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value)
}
