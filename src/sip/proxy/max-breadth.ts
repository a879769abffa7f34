import type { Request } from '../message/message.ts'

/**
 * Max-Breadth, RFC 5393 §5: how many branches a request may have at once over all the proxies that fork it. Without it
 * a few forking proxies that lead to each other make thousands of requests of one, long before Max-Forwards is used up.
 */

/** §5.3.3: of a request that has none. */
const DEFAULT_BREADTH = 60
/** More than anybody may ask for: the header field is the peer's word. */
const MAX_BREADTH = 1_000

/** The breadth as received, 0 … 1000. */
export function breadthOf(request: Request): number {
  const text = request.headers.first('max-breadth')
  if (text === undefined || !/^\d{1,9}$/.test(text)) return DEFAULT_BREADTH
  return Math.min(MAX_BREADTH, Number(text))
}

/**
 * What each of `branches` that are tried at the same time gets: at least 1 each, and together no more than was received
 * (§5.3.3). Null when there is not enough: the request is answered with 440.
 */
export function shareBreadth(breadth: number, branches: number): readonly number[] | null {
  if (breadth < branches) return null
  const each = Math.floor(breadth / branches)
  const rest = breadth - each * branches
  const shares: number[] = []
  for (let i = 0; i < branches; i++) shares.push(each + (i < rest ? 1 : 0))
  return shares
}

/** Exactly one, on what is forwarded. */
export function setBreadth(request: Request, breadth: number): void {
  request.headers.set('Max-Breadth', String(breadth))
}
