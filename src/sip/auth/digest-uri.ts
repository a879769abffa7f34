import { comparable } from '../message/escape.ts'
import { isSipUri, parseUri } from '../message/uri.ts'

/**
 * Whether credentials made for `digestUri` may stand on a request for `requestUri` (RFC 7616 §3.4.6, RFC 3261 §22.4).
 *
 * The rule is that of §19.1.4 without what phones and the elements between them leave out or add: parameters and header
 * fields are not looked at, sip and sips are one, a port counts only where both have one. A digest-uri without a user
 * part stands for all that is asked of its host, and one that names the server, as one of our domains or by an address,
 * for all that is asked of us: sipp and some phones sign where they send, whatever they ask for. What a nonce of ours is
 * used for is ours in any case; only the protection of the Request-URI on its way is what such a phone goes without.
 * @param isOurs told a host in lower case
 */
export function digestUriFits(
  digestUri: string,
  requestUri: string,
  isOurs: (host: string) => boolean = () => false,
): boolean {
  if (digestUri === requestUri) return true
  const signed = parseUri(digestUri)
  const asked = parseUri(requestUri)
  if (!signed.ok || !asked.ok || !isSipUri(signed.value) || !isSipUri(asked.value)) return false
  const [a, b] = [signed.value, asked.value]
  if (a.user === null && (isOurs(a.host) || isAddress(a.host))) return true
  if (a.host !== b.host) return false
  if (a.port !== null && b.port !== null && a.port !== b.port) return false
  return a.user === null || (b.user !== null && comparable(a.user) === comparable(b.user))
}

function isAddress(host: string): boolean {
  return host.includes(':') || /^[\d.]+$/.test(host)
}
