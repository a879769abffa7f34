import type { SessionTimerPolicy } from '../dialog/session-timer.ts'
import { chooseBest } from '../proxy/best-response.ts'
import type { Content, Header, Outcome, RefusedBy } from './events.ts'
import type { HeaderPolicy } from './headers.ts'

/** One destination of a call. */
export interface DialTarget {
  /** Request-URI. */
  readonly uri: string
  /** Where it is sent instead of where the Request-URI leads; null: there. */
  readonly nextHop: string | null
}

/** A name and a password for digest (§22). Binary text. */
export interface Credentials {
  readonly user: string
  readonly password: string
  /** The only realm that gets an answer; null: whichever asks. */
  readonly realm: string | null
}

/** Whom to call, and with what. */
export interface DialPlan {
  readonly targets: readonly DialTarget[]
  /** `parallel`: all at once, the first 2xx wins. `sequential`: one after another. */
  readonly strategy: 'parallel' | 'sequential'
  /** In sequence: statuses that make us try the next; null: all below 600. */
  readonly rerouteOn: ReadonlySet<number> | null
  /** How long each destination may ring, ms. */
  readonly timeoutMs: number | null
  /** From and To as name and address, without a tag. */
  readonly from: string
  readonly to: string
  /** The offer; null: the callee makes it. */
  readonly content: Content | null
  readonly headers: readonly Header[]
  readonly maxForwards: number
  readonly policy: HeaderPolicy
  readonly timer: SessionTimerPolicy
  /** With what challenges are answered; null: they are refusals. */
  readonly credentials: Credentials | null
}

/** How a branch ended without an answer. */
export interface BranchFailure {
  readonly by: RefusedBy
  readonly outcome: Outcome
}

/** Of several failures the one the caller is told (§16.7 step 6 serves a B2BUA as well). */
export function bestFailure(failures: readonly BranchFailure[]): BranchFailure | null {
  const best = chooseBest(
    failures.map(({ outcome: { status } }, branch) => ({ branch, status, response: null, local: null })),
  )
  return best === null ? null : (failures[best.branch] ?? null)
}

/**
 * A callee's refusal as the caller may see it. A redirect's Contact and a challenge's realm are of the other side; 503 would
 * make the caller believe that we are out of service (§16.7 step 6), 487 that it has cancelled.
 */
export function refusalFor(outcome: Outcome): Outcome {
  const { status, headers } = outcome
  const challenged = headers.some(([name]) => /^(www|proxy)-authenticate$/i.test(name))
  if (status < 400) return { ...outcome, status: 480, reason: null }
  if ((status === 401 || status === 407) && !challenged) return { ...outcome, status: 403, reason: null }
  if (status === 487) return { ...outcome, status: 480, reason: null }
  if (status !== 503) return outcome
  return {
    ...outcome,
    status: 500,
    reason: null,
    headers: headers.filter(([n]) => !/^retry-after$/i.test(n)),
  }
}
