import { comparable } from '../message/escape.ts'
import { isSipUri, parseUri } from '../message/uri.ts'

/**
 * Whether credentials made for `digestUri` may stand on a request for `requestUri` (RFC 7616 §3.4.6, RFC 3261 §22.4).
 *
 * The rule is that of §19.1.4 without what phones and the elements between them leave out or add: parameters and header
 * fields are not looked at, sip and sips are one, a port counts only where both have one. A digest-uri without a user
 * part stands for all users of its host: sipp and some phones sign the server's address whatever they ask it for.
 */
export function digestUriFits(digestUri: string, requestUri: string): boolean {
  if (digestUri === requestUri) return true
  const signed = parseUri(digestUri)
  const asked = parseUri(requestUri)
  if (!signed.ok || !asked.ok || !isSipUri(signed.value) || !isSipUri(asked.value)) return false
  const [a, b] = [signed.value, asked.value]
  if (a.host !== b.host) return false
  if (a.port !== null && b.port !== null && a.port !== b.port) return false
  return a.user === null || (b.user !== null && comparable(a.user) === comparable(b.user))
}
