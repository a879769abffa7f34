import type { Dictionary } from '../base/bencode.ts'
import { type NgFlags, type Profile, withExtras } from './profiles.ts'
import type { Signal } from './session.ts'

/**
 * A call whose INVITE had no offer (RFC 3261 §13.2.1): each callee makes its own, in a 2xx or a reliable provisional
 * response, and the caller answers it in the ACK or the PRACK. Sides are told apart as ever; only who begins is another.
 */
export interface Delayed {
  readonly callerTag: string
  readonly profile: string | null
  /** Flags of the script's for what the callee gets: the answer. */
  readonly extras: Dictionary
  /** How often a callee's first offer was accepted, by its tag: a preview in a 183 and the 200 say it twice. */
  readonly taken: Map<string, number>
  /** Callees whose offer has been answered: whatever follows is as in any call. */
  readonly settled: Set<string>
}

export function newDelayed({ fromTag, profile, extras }: Signal): Delayed {
  return { callerTag: fromTag, profile, extras, taken: new Map(), settled: new Set() }
}

/**
 * Flags of the first exchange. The caller has not said yet what it speaks, so that its offer has to name that; and the
 * callee, who has, gets its answer in the protocol of its own offer (RFC 3264 §6).
 */
export function firstFlags(command: 'offer' | 'answer', profile: Profile, extras: Dictionary): NgFlags {
  if (command === 'offer') return withExtras({ ...profile.answer, ...profile.first }, extras)
  const { 'transport-protocol': _itsOwn, ...flags } = profile.offer
  return withExtras(flags, extras)
}
