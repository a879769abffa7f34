import type { Dictionary } from '../base/bencode.ts'
import type { MediaFigures } from '../spine/facts.ts'
import type { Instance } from './instance.ts'
import type { NgAnswer, NgOutcome } from './ng-client.ts'
import { DEFAULT_PROFILE } from './profiles.ts'

/** Why media could not be had. */
export type MediaFailure =
  /** No instance is up, or none that was asked answered. */
  | 'no_instance'
  /** The call's instance did not answer in time. */
  | 'timeout'
  /** The instance said no; `what` has its words. */
  | 'refused'
  | 'malformed'
  /** No offer of this call has been made. */
  | 'no_session'
  /** The call has ended meanwhile, or was never one of ours. */
  | 'call_over'

export type MediaResult =
  | { readonly ok: true; readonly answer: Dictionary; readonly instance: string }
  | { readonly ok: false; readonly reason: MediaFailure; readonly what: string }

/** Whose SDP it is. All texts are binary text. */
export interface Signal {
  readonly callId: string
  readonly fromTag: string
  /** Null in an offer outside a dialog. */
  readonly toTag: string | null
  /** Branch of the INVITE's top Via, outside a dialog: answers of a fork belong to the same offer. */
  readonly viaBranch: string | null
  readonly sdp: string
  /** Null: the call's own, else the default. */
  readonly profile: string | null
  /** Added to the profile's flags. */
  readonly extras: Dictionary
}

export type Party = 'caller' | 'callee'

/** Media of one call at one instance. */
export interface Session {
  readonly callId: string
  readonly callerTag: string
  calleeTag: string | null
  profile: string
  instance: Instance
  /** An offer was accepted: its ports are at this instance, and no other can take over. */
  established: boolean
  /** Commands under way that the instance may still act upon. */
  busy: number
  /** Nothing more may be done for it but to delete it. */
  over: boolean
  deleting: boolean
  onFigures: (figures: MediaFigures | null) => void
  /** Who hears when it has been deleted. */
  readonly onGone: (() => void)[]
}

/** Bound, and nothing sent yet. */
export function newSession(signal: Signal, instance: Instance): Session {
  return {
    callId: signal.callId,
    callerTag: signal.fromTag,
    calleeTag: signal.toTag,
    profile: signal.profile ?? DEFAULT_PROFILE,
    instance,
    established: false,
    busy: 0,
    over: false,
    deleting: false,
    onFigures: () => undefined,
    onGone: [],
  }
}

const FAILURES: Readonly<Record<Exclude<NgOutcome, 'ok'>, MediaFailure>> = {
  error: 'refused',
  timeout: 'timeout',
  malformed: 'malformed',
}
/** How rtpengine says that it takes no more calls: another may. */
const FULL = /limit|load/i
export const NO_INSTANCE = {
  ok: false,
  reason: 'no_instance',
  what: 'no rtpengine instance is available',
} as const
export const NO_SESSION = { ok: false, reason: 'no_session', what: 'this call has no media session' } as const

/** Another instance may do what this one did not. */
export function movesOn({ outcome, answer, what }: NgAnswer): boolean {
  return (
    outcome === 'timeout' || (outcome === 'error' && (answer['result'] === 'load limit' || FULL.test(what)))
  )
}

export function resultOf(session: Session, { outcome, answer, what }: NgAnswer): MediaResult {
  if (outcome === 'ok') return { ok: true, answer, instance: session.instance.name }
  return { ok: false, reason: FAILURES[outcome], what }
}
