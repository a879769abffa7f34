import type { Request } from '../message/message.ts'
import { parseVia, viaBranch } from '../message/via.ts'
import type { Own } from './own.ts'

/**
 * The part of our branches by which we know a request that comes back unchanged (RFC 5393 §4.2): a hash of everything
 * our routing depends on. To be taken after preprocessing and before the script, so that a request that loops gives
 * the same again, and a spiral, whose Request-URI or Route has changed, does not.
 */
export function loopCookie(request: Request): string {
  let hash = mix(0x811c9dc5, request.uri)
  hash = mix(hash, request.callId)
  hash = mix(hash, request.fromTag ?? '')
  hash = mix(hash, request.toTag ?? '')
  // Not the method: a CANCEL and an ACK have the branch of their INVITE (RFC 5393 §4.2.1).
  hash = mix(hash, String(request.cseq.number))
  for (const { key, value } of request.headers.fields) if (ROUTING.has(key)) hash = mix(hash, value)
  return hexByte(hash >>> 24) + hexByte(hash >>> 16) + hexByte(hash >>> 8) + hexByte(hash)
}

/** `toString(16)` of a number past 2^31 goes by floating point, which costs as much as the hash. */
function hexByte(number: number): string {
  return HEX_BYTES[number & 0xff] ?? ''
}

const HEX_BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** What routing may depend on besides (§16.6 step 8): a request that comes back with credentials is another one. */
const ROUTING: ReadonlySet<string> = new Set(['route', 'proxy-require', 'proxy-authorization'])

/** A branch that carries the cookie. */
export function cookieBranch(branch: string, cookie: string): string {
  return `${branch}.${cookie}`
}

/** §16.3 step 4 with RFC 5393: one of our Vias is from a forwarding of the very same request. */
export function isLoop(request: Request, cookie: string, own: Own): boolean {
  const ending = `.${cookie}`
  for (const { key, value } of request.headers.fields) {
    if (key !== 'via' || !value.includes(ending)) continue
    const via = parseVia(value)
    if (!via.ok || !own.isOurs(via.value.host, via.value.port)) continue
    if (viaBranch(via.value)?.endsWith(ending)) return true
  }
  return false
}

/** FNV-1a over one text, with a separator that no text holds. */
function mix(hash: number, text: string): number {
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return Math.imul(hash ^ 0x0a, 0x01000193)
}
