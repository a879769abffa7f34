import { HeaderFields } from '../message/header-fields.ts'
import { Response } from '../message/message.ts'
import { reasonPhrase } from '../message/status.ts'

/** Why a branch failed without a response from downstream. */
export type LocalFailure = 'timeout' | 'transport' | 'no-answer' | 'cancelled' | 'unroutable'

/** One branch's final result other than a 2xx. */
export interface Failure {
  readonly branch: number
  /** 300 … 699. */
  readonly status: number
  /** Null when nothing came from downstream: whoever sends it makes it. */
  readonly response: Response | null
  readonly local: LocalFailure | null
}

/** Tells the caller how to change the request: to be preferred within 4xx (§16.7 step 6). */
const INFORMATIVE = [401, 407, 415, 420, 484]
/** Says least about the callee. */
const EMPTY = [408, 487]

/** RFC 3261 §16.7 step 6: any 6xx, else the lowest class, and within it what tells most; the first among equals. */
export function chooseBest(failures: readonly Failure[]): Failure | null {
  let best: Failure | null = null
  for (const failure of failures)
    if (best === null || rank(failure.status) < rank(best.status)) best = failure
  return best
}

function rank(status: number): number {
  if (status >= 600) return 0
  const base = Math.floor(status / 100) * 10
  if (INFORMATIVE.includes(status)) return base
  if (EMPTY.includes(status) || status === 503) return base + 2
  return base + 1
}

/**
 * §16.7 step 7: a challenge goes up with the challenges of all other branches, so that the caller can answer
 * every realm at once. Changes `best`.
 */
export function aggregateChallenges(best: Response, failures: readonly Failure[]): void {
  if (!isChallenge(best.status)) return
  for (const { response } of failures) {
    if (response === null || response === best || !isChallenge(response.status)) continue
    for (const value of response.headers.all('www-authenticate'))
      best.headers.append('WWW-Authenticate', value)
    for (const value of response.headers.all('proxy-authenticate')) {
      best.headers.append('Proxy-Authenticate', value)
    }
  }
}

/** §16.7 step 6: one callee's 503 must not make the caller believe that we are out of service. */
export function upstreamOf(response: Response): Response {
  if (response.status !== 503) return response
  const headers = new HeaderFields(response.headers.fields.filter(({ key }) => key !== 'retry-after'))
  return new Response(500, reasonPhrase(500), headers, response.body)
}

function isChallenge(status: number): boolean {
  return status === 401 || status === 407
}
