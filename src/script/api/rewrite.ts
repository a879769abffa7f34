import { formatNameAddr, parseNameAddr, type NameAddr } from '../../sip/message/name-addr.ts'
import { formatUri, isSipUri, parseUri, type SipUri } from '../../sip/message/uri.ts'
import { reasonText, show, target } from './checks.ts'
import { ScriptError } from './script-error.ts'
import { encodeText } from './text.ts'

/** New values of From, To, Contact and of a URI: each keeps what is not asked to change. All texts in and out are binary text. */

/** @param uri as the script wrote it */
export function withUri(field: string, value: string | undefined, uri: unknown, verb: string): string {
  const address = addressOf(field, value, verb)
  if (typeof uri !== 'string') throw new ScriptError(`${verb}: ${show(uri)} is not a URI`)
  const text = encodeText(uri)
  const parsed = parseUri(text)
  if (!parsed.ok || /[<>\s]/.test(text)) throw new ScriptError(`${verb}: ${show(uri)} is not a URI`)
  return formatNameAddr({ ...address, uri: text })
}

/** @param display as the script wrote it; null or '' takes it away */
export function withDisplay(
  field: string,
  value: string | undefined,
  display: unknown,
  verb: string,
): string {
  const address = addressOf(field, value, verb)
  const text = reasonText(display)
  return formatNameAddr({ ...address, display: text === '' ? null : text })
}

export function withUser(field: string, value: string | undefined, user: unknown, verb: string): string {
  const address = addressOf(field, value, verb)
  return formatNameAddr({ ...address, uri: uriWithUser(address.uri, user, verb, `the URI in ${field}`) })
}

/** @param host as the script wrote it, with a port after a colon; without one the URI loses its own */
export function withHost(field: string, value: string | undefined, host: unknown, verb: string): string {
  const address = addressOf(field, value, verb)
  const { host: name, port } = hostOf(host, verb)
  const uri = { ...sipUri(address.uri, verb, `the URI in ${field}`), host: name, port }
  return formatNameAddr({ ...address, uri: checked(uri, verb) })
}

/** @param what the URI is, for an error message */
export function uriWithUser(uri: string, user: unknown, verb: string, what: string): string {
  if (typeof user !== 'string') throw new ScriptError(`${verb}: ${show(user)} is not a user part`)
  return checked({ ...sipUri(uri, verb, what), user: encodeText(user) }, verb)
}

/** @param host as the script wrote it; without a port the URI keeps its own */
export function uriWithHost(uri: string, host: unknown, verb: string, what: string): string {
  const { host: name, port } = hostOf(host, verb)
  const before = sipUri(uri, verb, what)
  return checked({ ...before, host: name, port: port ?? before.port }, verb)
}

/** A Contact with its host and port replaced; null when there is nothing to replace. */
export function natedContact(values: readonly string[], host: string, port: number): string | null {
  const parsed = values.length === 1 ? parseNameAddr(values[0] ?? '') : null
  const uri = parsed?.ok ? parseUri(parsed.value.uri) : null
  if (!parsed?.ok || !uri?.ok || !isSipUri(uri.value)) return null
  if (uri.value.host === host && (uri.value.port ?? 5060) === port) return null
  return formatNameAddr({ ...parsed.value, uri: formatUri({ ...uri.value, host, port }) })
}

/** A Route of one's own: a SIP URI that gets `lr` when it has none, because it names a proxy (RFC 3261 §19.1.1). */
export function routeTo(uri: unknown): string {
  const text = target(uri, 'prependRoute')
  const parsed = parseUri(text)
  if (!parsed.ok || !isSipUri(parsed.value))
    throw new ScriptError(`prependRoute: ${show(uri)} is not a SIP URI`)
  return `<${parsed.value.params.has('lr') ? text : `${text};lr`}>`
}

function sipUri(text: string, verb: string, what: string): SipUri {
  const parsed = parseUri(text)
  if (!parsed.ok || !isSipUri(parsed.value)) throw new ScriptError(`${verb}: ${what} is no SIP URI`)
  return parsed.value
}

function checked(uri: SipUri, verb: string): string {
  const text = formatUri(uri)
  const parsed = parseUri(text)
  if (!parsed.ok) throw new ScriptError(`${verb}: ${parsed.fault.what}; escape it as %XX (§19.1.2)`)
  return text
}

function hostOf(host: unknown, verb: string): { host: string; port: number | null } {
  const parsed = typeof host === 'string' ? parseUri(`sip:${encodeText(host)}`) : null
  if (!parsed?.ok || !isSipUri(parsed.value) || parsed.value.user !== null) {
    throw new ScriptError(`${verb}: ${show(host)} is not a host`)
  }
  return { host: parsed.value.host, port: parsed.value.port }
}

function addressOf(field: string, value: string | undefined, verb: string): NameAddr {
  const parsed = value === undefined ? null : parseNameAddr(value)
  if (parsed === null || !parsed.ok)
    throw new ScriptError(`${verb}: the message has no single ${field} to change`)
  return parsed.value
}
