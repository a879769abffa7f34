import { unescapeUri } from '../message/escape.ts'
import { isSipUri, parseUri } from '../message/uri.ts'

/**
 * Whether a URI names the user who proved a name: `sip:alice@example.com` for `alice`, when the host is one of ours, and
 * for `alice@example.com` whatever it is.
 * @param user binary text, as it stood in the credentials without escapes
 * @param isOurs told a host in lower case
 */
export function namesUser(uri: string, user: string, isOurs: (host: string) => boolean): boolean {
  const parsed = parseUri(uri)
  if (!parsed.ok || !isSipUri(parsed.value) || parsed.value.user === null) return false
  const name = unescapeUri(parsed.value.user)
  const { host } = parsed.value
  if (name === user) return isOurs(host)
  const at = user.lastIndexOf('@')
  return at >= 0 && user.slice(0, at) === name && user.slice(at + 1).toLowerCase() === host
}
