import type { GivenFields } from './given-fields.ts'

export interface DialOptions {
  /** Seconds that a destination may ring; 30 unless told, 0: as long as it likes. Then it is cancelled, and counts as 408. */
  readonly timeout?: number
  /** A SIP URI to send the INVITE to, whatever its Request-URI says. */
  readonly nextHop?: string
  /**
   * Which header fields of the caller's INVITE, and of the callee's responses, cross. `transparent` (unless told): all that
   * are not of a leg. `strict`: an allow list, nothing that names a machine or a product. docs/b2bua.md has the lists.
   */
  readonly headers?: 'transparent' | 'strict'
}

export interface CallForkOptions extends DialOptions {
  /** `parallel` (unless told): all at once, the first answer wins. `sequential`: one after another. */
  readonly strategy?: 'parallel' | 'sequential'
  /**
   * In sequence: the statuses that make us try the next; 408 is no answer in time. Unless told, after a gateway's destination
   * what its group's `reroute_causes` name, and after any other every one below 600.
   */
  readonly rerouteOn?: readonly number[]
}

export interface SessionTimerOptions {
  /** The shortest interval that a peer may ask for, seconds; 90 or more. */
  readonly minSe?: number
  /** Who refreshes where both may: `uac` (unless told) the side that sent the INVITE, `uas` the other. */
  readonly refresher?: 'uac' | 'uas'
}

export interface CallAnswerOptions {
  readonly headers?: GivenFields
  readonly body?: string | Uint8Array
  /** Of `body`; `application/sdp` unless told. */
  readonly contentType?: string
}
