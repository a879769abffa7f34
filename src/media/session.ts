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

/** Which two parties' descriptions, and whose this one is. */
export interface Exchange {
  readonly what: 'offer' | 'answer'
  readonly from: Party
  /** 0: the caller and who answered; another number since somebody has taken a place. */
  readonly pair: number
  /** The callee's tag, of pair 0. */
  readonly branch: string
}

/** Media of two parties of a call at one instance. */
export interface Session {
  readonly callId: string
  /** Its name at the instance: the call's, unless the parties are others than at first. */
  readonly name: string
  readonly pair: number
  readonly callerTag: string
  calleeTag: string | null
  /** Of callees whose answers have been put through. */
  answered: readonly string[]
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
export function newSession(signal: Signal, instance: Instance, pair = 0): Session {
  return {
    callId: signal.callId,
    name: pair === 0 ? signal.callId : `${signal.callId};pair=${pair}`,
    pair,
    answered: [],
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
export const CALL_OVER = {
  ok: false,
  reason: 'call_over',
  what: 'no call of this Call-ID is open',
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
