import type { Bridge } from './bridge.ts'
import type { Content, EndedBy, Header, Outcome, Progress, RefusedBy } from './events.ts'
import type { DialPlan } from './plan.ts'
import type { Session } from './session.ts'
import type { Ask } from './session-user.ts'
import type { UacLeg } from './uac-leg.ts'
import type { UasLeg } from './uas-leg.ts'

/** Which side of a call: it stays with the place when a transfer puts somebody else there. */
export type Side = 'caller' | 'callee'

/** What the bridge asks before it goes on. */
export type Question =
  /** A provisional response with a body came. */
  | { readonly about: 'early'; readonly leg: UacLeg; readonly response: Progress }
  /** The callee has answered. */
  | { readonly about: 'answer'; readonly leg: UacLeg; readonly response: Outcome }
  /** Every destination has failed. */
  | { readonly about: 'failure'; readonly response: Outcome }
  | { readonly about: 'refer'; readonly side: Side; readonly ask: Ask }

export type Reply =
  | { readonly do: 'pass'; readonly content: Content | null; readonly headers: readonly Header[] }
  /** A provisional response: the caller does not see it. */
  | { readonly do: 'drop' }
  /** Give the call up: the caller gets this. */
  | { readonly do: 'refuse'; readonly outcome: Outcome }
  | { readonly do: 'dial'; readonly plan: DialPlan }
  /** Of a REFER: let the other party call this instead; `found`: the dialog that its Replaces names is one of ours. */
  | { readonly do: 'transfer'; readonly plan: DialPlan; readonly found: Found | null }

/** A live dialog of ours, and the call it is part of. */
export interface Found {
  readonly bridge: Bridge
  readonly session: Session
}

export interface Ended {
  readonly by: EndedBy
  readonly side: Side
  readonly headers: readonly Header[]
}

/** A session description on its way to the other party, after the first offer and answer. */
export interface Crossing {
  readonly what: 'offer' | 'answer'
  readonly from: Side
  readonly content: Content
  /** Which two parties these are: 0 the caller and who answered, another number since somebody has taken a place. */
  readonly pair: number
  /** The callee's leg, by our tag on it: until the answer there may be several. */
  readonly branch: string
  /** The call has not been answered. */
  readonly early: boolean
}

/** Whose call it is: keeps the books, asks the script, runs what `out` says. */
export interface BridgeUser {
  wants(about: Question['about']): boolean
  /** `done` is called once, later. */
  ask(question: Question, done: (reply: Reply) => void): void
  /**
   * May put another description in the place of this one: that of a media relay. `done` is called once, at once or later;
   * with null when the relay could not be had.
   */
  relay(crossing: Crossing, done: (content: Content | null) => void): void
  /** Whether the call's first offer is this callee's, and its media at a relay: without an answer there is nothing to hold. */
  held(branch: string): boolean
  /** Two parties that were being put together are (`kept`), in the place of the pair before, or are not. */
  onPaired(pair: number, kept: boolean): void
  newCallId(): string
  /** A leg begins; it is found by its Call-ID from now on, until `onLegOver`. */
  onLeg(leg: UasLeg | UacLeg): void
  onLegOver(leg: UasLeg | UacLeg): void
  /** It is part of another call from now on. */
  onLegMoved(leg: UasLeg | UacLeg): void
  /**
   * A callee's leg got its first 2xx, or a refusal, or was given up.
   * @param by null: an answer
   */
  onLegDecided(leg: UacLeg, by: RefusedBy | null, status: number): void
  /** It rings at a callee. */
  onRinging(leg: UacLeg, status: number): void
  /** Whether the next in sequence is tried after this failure of a gateway. */
  movesOn(gateway: string, by: RefusedBy, status: number): boolean
  /** The caller is told that the call is answered; `leg`: by whom, null: by us. */
  onAnswered(leg: UacLeg | null, outcome: Outcome): void
  /** The caller got a refusal. `by` null: it was ours. `meant`: the callee's own status. */
  onRefused(by: RefusedBy | null, outcome: Outcome, meant: number): void
  /** The caller has cancelled. */
  onCancelled(headers: readonly Header[]): void
  /** An answered call has ended. */
  onEnded(ended: Ended): void
  /** Nothing is left of the call. */
  onOver(): void
}
