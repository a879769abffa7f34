import { findSdp } from '../sdp/body.ts'
import { SessionDescription } from '../sdp/session-description.ts'
import type { Content } from './events.ts'
import { sdp } from './headers.ts'

/**
 * The answer that takes none of the offer's media (RFC 3264 §6: port 0, as many `m=` lines): for an offer that nobody is
 * going to answer, since its ACK or PRACK must hold an answer all the same (RFC 3261 §13.2.2.4). Null: it is no offer.
 */
export function declining({ body, fields }: Content): Content | null {
  const type = fields.find(([name]) => /^(content-type|c)$/i.test(name))?.[1]
  const span = findSdp(type, body)
  if (span === undefined) return null
  const offer = SessionDescription.parse(body.slice(span.from, span.to))
  const lines = [
    'v=0',
    // Nobody's: an address here would be one of the other leg's.
    'o=- 1 1 IN IP4 anonymous.invalid',
    's=-',
    'c=IN IP4 0.0.0.0',
    `t=${offer.session.get('t') ?? '0 0'}`,
    ...offer.media.map((m) => `m=${m.type} 0 ${m.protocol} ${m.formats[0] ?? '0'}`),
  ]
  return sdp(lines.map((line) => `${line}\r\n`).join(''))
}
