import type { Response } from '../message/message.ts'
import { chooseBest, type Failure, type LocalFailure } from './best-response.ts'

export type ContextEffect =
  /** Start the branch's client transaction. */
  | { readonly do: 'try'; readonly branch: number }
  /** Send upstream now, our Via still on top. */
  | { readonly do: 'respond'; readonly branch: number; readonly response: Response }
  | { readonly do: 'cancel'; readonly branch: number }
  /** Starts or restarts timer C. */
  | { readonly do: 'startTimerC'; readonly branch: number }
  | { readonly do: 'stopTimerC'; readonly branch: number }
  /** Every branch has failed. `close` sends an answer upstream; `add` tries others. */
  | { readonly do: 'settle'; readonly best: Failure; readonly failures: readonly Failure[] }

interface Branch {
  state: 'waiting' | 'trying' | 'proceeding' | 'failed' | 'answered' | 'skipped'
  cancelled: boolean
  /** Timer C fired: its 487 is nobody's wish but the clock's. */
  unanswered: boolean
}

/** Whether the next target of a sequential fork is tried after this branch's failure. */
export type MovesOn = (branch: number, status: number, local: LocalFailure | null) => boolean

const NOTHING: readonly ContextEffect[] = []
const NONE: readonly Failure[] = []
const LOCAL_STATUS: Readonly<Record<LocalFailure, number>> = {
  timeout: 408,
  transport: 503,
  'no-answer': 408,
  cancelled: 487,
  unroutable: 404,
}

/**
 * The response context of RFC 3261 §16.7, with timer C (§16.8) and CANCEL (§16.10), for one forwarded request.
 *
 *   waiting ──▶ trying ──1xx──▶ proceeding ──2xx──▶ answered
 *      │           └───────────────┴────── 3xx-6xx, timeout, transport ──▶ failed
 *      └── somebody answered, a 6xx, CANCEL ──▶ skipped
 *
 * Pure: every method takes one input and returns what to do about it, in order.
 */
export class ResponseContext {
  readonly #invite: boolean
  #branches: readonly Branch[] = []
  #failures: readonly Failure[] = NONE
  #cancelled = false
  #movesOn: MovesOn | null = null
  /** A final response went up. Only further 2xx to an INVITE may follow. */
  #final = false

  constructor(method: string) {
    this.#invite = method === 'INVITE'
  }

  get cancelled(): boolean {
    return this.#cancelled
  }

  /** Whether the branch is tried and has no final response. */
  pending(index: number): boolean {
    const branch = this.#branches[index]
    return branch !== undefined && isPending(branch)
  }

  /** Whether the branch may be sent once more, to another flow of the same device: nobody gave it up (RFC 5626 §7). */
  mayRetry(index: number): boolean {
    const branch = this.#branches[index]
    if (branch === undefined || this.#final || this.#cancelled) return false
    return isPending(branch) && !branch.cancelled && !branch.unanswered
  }

  /**
   * More targets: branches numbered on from the last. Sequential ones are tried one after another.
   * @param movesOn asked after each failure below 600; without it every one leads on
   */
  add(
    count: number,
    strategy: 'parallel' | 'sequential',
    movesOn: MovesOn | null = null,
  ): readonly ContextEffect[] {
    this.#failures = NONE
    this.#movesOn = movesOn
    const effects: ContextEffect[] = []
    const first = this.#branches.length
    const added = count === 1 ? [waiting()] : Array.from({ length: count }, waiting)
    this.#branches = first === 0 ? added : [...this.#branches, ...added]
    for (let i = 0; i < count; i++) if (strategy === 'parallel' || i === 0) this.#try(first + i, effects)
    return effects
  }

  receive(index: number, response: Response): readonly ContextEffect[] {
    const branch = this.#branches[index]
    if (branch === undefined) return NOTHING
    const { status } = response
    if (status < 200) return this.#provisional(branch, index, response)
    if (status < 300) return this.#success(branch, index, response)
    if (!isPending(branch)) return NOTHING
    // The caller never asked for an end, so a 487 would not be understood: the clock did.
    if (branch.unanswered && status === 487)
      return this.#fail(branch, index, null, 'no-answer', LOCAL_STATUS['no-answer'])
    return this.#fail(branch, index, response, null, status)
  }

  /**
   * The branch ended without a final response: its client transaction gave up, or it could not be sent.
   * @param status what that acts as, where it is not the usual one
   */
  failed(index: number, why: LocalFailure, status?: number): readonly ContextEffect[] {
    const branch = this.#branches[index]
    if (branch === undefined || !isPending(branch)) return NOTHING
    let local = why
    if (branch.unanswered) local = 'no-answer'
    else if (branch.cancelled && why === 'timeout') local = 'cancelled'
    return this.#fail(branch, index, null, local, status ?? LOCAL_STATUS[local])
  }

  /** §16.8: a callee that rings for ever is cancelled; one that never said anything has timed out. */
  timerC(index: number): readonly ContextEffect[] {
    const branch = this.#branches[index]
    if (branch === undefined || !isPending(branch)) return NOTHING
    if (branch.state === 'trying') return this.failed(index, 'timeout')
    branch.unanswered = true
    branch.cancelled = true
    return [{ do: 'cancel', branch: index }]
  }

  /** §16.10: the caller gives up. The branches' own final responses decide what it gets. */
  cancel(): readonly ContextEffect[] {
    if (!this.#invite || this.#final) return NOTHING
    this.#cancelled = true
    return this.#cancelOthers(-1)
  }

  /** Whoever runs the context sends a final response of its own: branches still pending are given up. */
  close(): readonly ContextEffect[] {
    this.#final = true
    return this.#cancelOthers(-1)
  }

  #provisional(branch: Branch, index: number, response: Response): readonly ContextEffect[] {
    if (!isPending(branch)) return NOTHING
    branch.state = 'proceeding'
    // A 100 is hop by hop, and RFC 4320 §4.1 lets no other provisional response to a non-INVITE through.
    if (response.status === 100 || !this.#invite) return NOTHING
    const restart: ContextEffect = { do: 'startTimerC', branch: index }
    if (this.#final) return NOTHING
    return branch.cancelled
      ? [{ do: 'respond', branch: index, response }]
      : [restart, { do: 'respond', branch: index, response }]
  }

  #success(branch: Branch, index: number, response: Response): readonly ContextEffect[] {
    // Of an INVITE every 2xx goes up, repetitions and those of other branches too (§16.7 step 5).
    if (this.#final && !this.#invite) return NOTHING
    const pending = isPending(branch)
    branch.state = 'answered'
    this.#final = true
    const effects: ContextEffect[] = []
    if (pending && this.#invite) effects.push({ do: 'stopTimerC', branch: index })
    effects.push({ do: 'respond', branch: index, response })
    if (pending) effects.push(...this.#cancelOthers(index))
    return effects
  }

  #fail(
    branch: Branch,
    index: number,
    response: Response | null,
    local: LocalFailure | null,
    status: number,
  ): readonly ContextEffect[] {
    branch.state = 'failed'
    const effects: ContextEffect[] = this.#invite ? [{ do: 'stopTimerC', branch: index }] : []
    if (this.#final) return effects
    this.#failures = [...this.#failures, { branch: index, status, response, local }]
    // A 6xx is for all: nobody else is asked, but it waits for those who were (§16.7 step 5).
    if (status >= 600) effects.push(...this.#cancelOthers(index))
    else if (this.#movesOn?.(index, status, local) === false) this.#skipWaiting()
    if (this.#branches.some(isPending)) return effects
    const next = this.#branches.findIndex(({ state }) => state === 'waiting')
    if (next >= 0) {
      this.#try(next, effects)
      return effects
    }
    const best = chooseBest(this.#failures)
    if (best !== null) effects.push({ do: 'settle', best, failures: this.#failures })
    return effects
  }

  #try(index: number, effects: ContextEffect[]): void {
    const branch = this.#branches[index]
    if (branch === undefined) return
    branch.state = 'trying'
    if (this.#invite) effects.push({ do: 'startTimerC', branch: index })
    effects.push({ do: 'try', branch: index })
  }

  #skipWaiting(): void {
    for (const branch of this.#branches) if (branch.state === 'waiting') branch.state = 'skipped'
  }

  #cancelOthers(but: number): readonly ContextEffect[] {
    const effects: ContextEffect[] = []
    this.#branches.forEach((branch, index) => {
      if (index === but) return
      if (branch.state === 'waiting') branch.state = 'skipped'
      // Only an INVITE can be cancelled; other requests end by themselves (§9.1).
      if (!this.#invite || branch.cancelled || !isPending(branch)) return
      branch.cancelled = true
      effects.push({ do: 'stopTimerC', branch: index }, { do: 'cancel', branch: index })
    })
    return effects
  }
}

function waiting(): Branch {
  return { state: 'waiting', cancelled: false, unanswered: false }
}

function isPending({ state }: Branch): boolean {
  return state === 'trying' || state === 'proceeding'
}
