import { all, DIGIT, digits, isSpace, isToken, skipSpace } from './characters.ts'
import { malformed, type Parsed } from './fault.ts'
import { methodAt } from './methods.ts'

export interface CSeq {
  /** 0 … 2^31-1 (§8.1.1.5). */
  readonly number: number
  readonly method: string
}

/** Reads `1*DIGIT LWS Method` (§20.16). */
export function parseCSeq(text: string): Parsed<CSeq> {
  let end = 0
  while (end < text.length && !isSpace(text.charCodeAt(end))) end++
  if (!all(DIGIT, text, 0, end)) return malformed('CSeq is not a number')
  const number = digits(text, 0, end)
  if (number >= 2_147_483_648) return malformed('CSeq is 2^31 or more')
  const method = methodAt(text, skipSpace(text, end), text.length)
  if (!isToken(method)) return malformed('CSeq without a method')
  return { ok: true, value: { number, method } }
}
