import { all, DIGIT, digits } from '../message/characters.ts'
import type { Request } from '../message/message.ts'

/** Why a request is not processed, and what to answer. */
export interface Refusal {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
}

const SCHEMES = ['sip:', 'sips:', 'tel:']

/**
 * RFC 3261 §16.3 steps 2, 3 and 5; the parser has done step 1 and `isLoop` does step 4. Authorization is the script's.
 * @param forUs the request is addressed to this element itself, which then need not forward it: hops do not matter
 */
export function validateRequest(request: Request, forUs: boolean): Refusal | null {
  if (!knownScheme(request.uri)) return refusal(416)
  if (!forUs && hopsLeft(request) <= 0) return refusal(483)
  if (request.headers.has('proxy-require')) {
    // No extension of ours asks a proxy for anything, so every option tag is unsupported.
    const tags = request.headers.all('proxy-require').join(', ')
    if (tags.trim() !== '') return refusal(420, [['Unsupported', tags]])
  }
  return null
}

/**
 * Max-Forwards as received; 71 where there is none, so that one less is the recommended 70 (§16.6 step 3). A script's that is no
 * number is none.
 */
export function hopsLeft(request: Request): number {
  const text = request.headers.first('max-forwards')
  return text === undefined || !all(DIGIT, text) ? 71 : digits(text)
}

function knownScheme(uri: string): boolean {
  // Nearly always; a tel URI may be translated by the script.
  if (uri.startsWith('sip:')) return true
  const scheme = uri.slice(0, uri.indexOf(':') + 1).toLowerCase()
  return SCHEMES.includes(scheme)
}

function refusal(status: number, headers: Refusal['headers'] = []): Refusal {
  return { status, headers }
}
