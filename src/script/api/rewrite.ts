import { formatNameAddr, parseNameAddr, type NameAddr } from '../../sip/message/name-addr.ts'
import { formatUri, isSipUri, parseUri, type SipUri } from '../../sip/message/uri.ts'
import { reasonText, show, target } from './checks.ts'
import { ScriptError } from './script-error.ts'
import { encodeText } from './text.ts'

/** New values of From, To and Contact: each keeps what is not asked to change. All texts in and out are binary text. */

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
  if (typeof user !== 'string') throw new ScriptError(`${verb}: ${show(user)} is not a user part`)
  return changed(field, value, verb, (uri) => ({ ...uri, user: encodeText(user) }))
}

/** A Route of one's own: a SIP URI that gets `lr` when it has none, because it names a proxy (RFC 3261 §19.1.1). */
export function routeTo(uri: unknown): string {
  const text = target(uri, 'prependRoute')
  const parsed = parseUri(text)
  if (!parsed.ok || !isSipUri(parsed.value))
    throw new ScriptError(`prependRoute: ${show(uri)} is not a SIP URI`)
  return `<${parsed.value.params.has('lr') ? text : `${text};lr`}>`
}

function changed(
  field: string,
  value: string | undefined,
  verb: string,
  change: (uri: SipUri) => SipUri,
): string {
  const address = addressOf(field, value, verb)
  const parsed = parseUri(address.uri)
  if (!parsed.ok || !isSipUri(parsed.value))
    throw new ScriptError(`${verb}: the URI in ${field} is no SIP URI`)
  const text = formatUri(change(parsed.value))
  if (!parseUri(text).ok) throw new ScriptError(`${verb}: escape what a URI cannot hold as %XX (§19.1.2)`)
  return formatNameAddr({ ...address, uri: text })
}

function addressOf(field: string, value: string | undefined, verb: string): NameAddr {
  const parsed = value === undefined ? null : parseNameAddr(value)
  if (parsed === null || !parsed.ok)
    throw new ScriptError(`${verb}: the message has no single ${field} to change`)
  return parsed.value
}
