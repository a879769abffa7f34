import type { HeaderFields } from '../message/header-fields.ts'
import type { Message, Request, Response } from '../message/message.ts'

/** Session timers, RFC 4028: what is asked for, what comes of it, and when to act. All in seconds. */

/** §4: the least that anybody may ask for. */
export const LEAST_MIN_SE = 90

export interface SessionTimerPolicy {
  /** Asked for in our INVITEs and given to peers that know timers; null: only what the peer asks for. */
  readonly expires: number | null
  /** Shorter intervals are refused with 422 (§9). 90 or more. */
  readonly minSe: number
  /** Who refreshes when both may: `uac` the side that sent the request, `uas` the other one. */
  readonly refresher: 'uac' | 'uas'
}

export const DEFAULT_TIMER: SessionTimerPolicy = { expires: null, minSe: LEAST_MIN_SE, refresher: 'uac' }

export interface Negotiated {
  readonly expires: number
  /** Whether we send the refreshes. */
  readonly ours: boolean
}

export interface SessionExpires {
  readonly seconds: number
  readonly refresher: 'uac' | 'uas' | null
}

/** Session-Expires of a message; null when there is none, or none that makes sense. */
export function sessionExpires(message: Message): SessionExpires | null {
  const text = message.headers.first('session-expires')
  if (text === undefined) return null
  const seconds = Number.parseInt(text, 10)
  if (!(seconds > 0) || seconds > 2_000_000_000) return null
  const named = /;\s*refresher\s*=\s*(uac|uas)/i.exec(text)?.[1]?.toLowerCase()
  return { seconds, refresher: named === 'uac' || named === 'uas' ? named : null }
}

/** Min-SE of a message; 90 when there is none (§5). */
export function minSe(message: Message): number {
  const seconds = Number.parseInt(message.headers.first('min-se') ?? '', 10)
  return seconds > LEAST_MIN_SE ? seconds : LEAST_MIN_SE
}

/** The Min-SE for a 422, when a request asks for less than the policy allows (§9); null when it does not. */
export function tooSmall(request: Request, policy: SessionTimerPolicy): number | null {
  const asked = sessionExpires(request)
  return asked !== null && asked.seconds < policy.minSe ? policy.minSe : null
}

/** Puts what we ask for into a request of ours (§7.1). `current` keeps the refresher that was agreed on (§7.4). */
export function askFor(
  headers: HeaderFields,
  expires: number | null,
  least: number,
  refresher: 'uac' | 'uas' | null,
): void {
  if (expires !== null) {
    headers.append('Session-Expires', refresher === null ? `${expires}` : `${expires};refresher=${refresher}`)
  }
  if (least > LEAST_MIN_SE) headers.append('Min-SE', String(least))
}

/**
 * What we, as UAS, agree to (§9), and the Session-Expires of our 2xx; null: no timer.
 * Only a peer that knows timers can be made to refresh.
 */
export function accept(
  request: Request,
  policy: SessionTimerPolicy,
): { readonly negotiated: Negotiated; readonly header: string; readonly require: boolean } | null {
  const asked = sessionExpires(request)
  const knows = supports(request, 'timer')
  const seconds = asked?.seconds ?? policy.expires
  if (seconds === null) return null
  const wanted = asked === null ? seconds : Math.min(seconds, policy.expires ?? seconds)
  const expires = Math.max(wanted, minSe(request), policy.minSe)
  const refresher = knows ? (asked?.refresher ?? policy.refresher) : 'uas'
  return {
    negotiated: { expires, ours: refresher === 'uas' },
    header: `${expires};refresher=${refresher}`,
    require: knows && refresher === 'uac',
  }
}

/** What the peer's 2xx to our request says (§7.2); null: no timer. A refresher that is not named is us. */
export function agreed(response: Response): Negotiated | null {
  const given = sessionExpires(response)
  return given === null ? null : { expires: given.seconds, ours: given.refresher !== 'uas' }
}

/** When we refresh, in milliseconds from the last refresh: half of the interval (§10). */
export function refreshAfterMs({ expires }: Negotiated): number {
  return expires * 500
}

/** When we give the session up, in milliseconds: the lesser of 32 s and a third before it expires (§10). */
export function expireAfterMs({ expires }: Negotiated): number {
  return Math.max(1, expires - Math.min(32, Math.floor(expires / 3))) * 1000
}

/** Whether Supported or Require of a message names this option. */
export function supports(message: Message, option: string): boolean {
  return named(message, 'supported', option) || named(message, 'require', option)
}

/** Whether a field that lists tokens has this one. */
export function named(message: Message, key: string, token: string): boolean {
  for (const value of message.headers.all(key)) {
    for (const item of value.split(',')) if (item.trim().toLowerCase() === token) return true
  }
  return false
}
