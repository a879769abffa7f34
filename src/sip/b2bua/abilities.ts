import type { HeaderFields } from '../message/header-fields.ts'
import type { Request } from '../message/message.ts'
import type { Header } from './events.ts'

/** What a leg of ours says it can do, whatever the other leg's peer can: each leg is a user agent of its own. */
export const ALLOW = 'INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, MESSAGE, NOTIFY, REFER, OPTIONS'
const SUPPORTED = '100rel, timer, replaces'
const KNOWN = new Set(['100rel', 'timer'])

export function addAbilities(headers: HeaderFields, supported = SUPPORTED): void {
  headers.append('Allow', ALLOW)
  if (supported !== '') headers.append('Supported', supported)
}

/**
 * What the request requires and we do not know, for the 420 (§8.2.2.3); null when there is nothing.
 * @param takesOver its Replaces is minded
 */
export function unsupported(request: Request, takesOver = false): Header | null {
  const unknown = request.headers
    .all('require')
    .flatMap((value) => value.split(','))
    .map((option) => option.trim())
    .filter((option) => option !== '' && !KNOWN.has(option.toLowerCase()))
    .filter((option) => !takesOver || option.toLowerCase() !== 'replaces')
  return unknown.length === 0 ? null : ['Unsupported', unknown.join(', ')]
}

/**
 * Seconds of a Retry-After for a request that came in between (§14.2): 0 to 10. Not random, but spread over the peers
 * by what is theirs.
 */
export function retryAfter(request: Request): Header {
  let sum = request.cseq.number
  for (let i = 0; i < request.callId.length; i++) sum = (sum * 31 + request.callId.charCodeAt(i)) % 11
  return ['Retry-After', String(sum % 11)]
}
