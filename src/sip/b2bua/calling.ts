import type { Bridge } from './bridge.ts'
import type { Question, Reply } from './bridge-user.ts'
import { NOTHING, type Content, type Header, type Outcome, type RefusedBy } from './events.ts'
import { isSdp } from './headers.ts'
import { bestFailure, type BranchFailure, type DialPlan, refusalFor } from './plan.ts'
import { Pracks } from './pracks.ts'
import type { Session } from './session.ts'
import type { LegProgress, UacLeg } from './uac-leg.ts'

const NOT_ACCEPTABLE: Outcome = { status: 488, reason: null, ...NOTHING }

/**
 * The way to an answer: who is tried and when, what the caller hears meanwhile, and what the script says to it.
 * While the script thinks, what else the callees say waits its turn.
 */
export class Calling {
  readonly pracks: Pracks
  readonly #bridge: Bridge
  #plan: DialPlan
  #next = 0
  readonly #running = new Set<UacLeg>()
  #failures: BranchFailure[] = []
  readonly #waiting: (() => void)[] = []
  #asking = false
  #over = false
  /** The answer as far as it came before the 2xx, and whether the caller surely has it. */
  readonly #early = new Map<Session, { readonly content: Content; readonly surely: boolean }>()

  constructor(bridge: Bridge, plan: DialPlan) {
    this.#bridge = bridge
    this.#plan = plan
    this.pracks = new Pracks(bridge)
  }

  /** What the callees get. */
  get offer(): Content | null {
    return this.#plan.content
  }

  /** Whether it is a dialog of a callee that is being called. */
  has(session: Session): boolean {
    for (const leg of this.#running) for (const one of leg.sessions) if (one === session) return true
    return false
  }

  start(): void {
    if (this.#plan.strategy === 'sequential') this.#tryNext()
    else while (this.#next < this.#plan.targets.length) this.#tryNext()
    if (this.#running.size === 0) this.#exhausted()
  }

  /** The call is decided. Those that still ring are cancelled. */
  stop(headers: readonly Header[], but: UacLeg | null = null): void {
    this.#over = true
    this.#waiting.length = 0
    for (const leg of this.#running) if (leg !== but) leg.hangup(headers)
    this.#running.clear()
  }

  progress(leg: UacLeg, session: Session | null, progress: LegProgress): void {
    this.#inTurn(() => {
      const { user } = this.#bridge
      user.onRinging(leg, progress.status)
      const pass = (content: Content | null, headers: readonly Header[]): void =>
        this.#offered(leg, session, content, (said, ok) => {
          if (ok) return this.#tell(leg, session, { ...progress, content: said, headers })
          this.pracks.decline(session, progress)
          return this.#bridge.refuse(NOT_ACCEPTABLE)
        })
      const plainly = (): void => pass(progress.content, this.#bridge.crossing(progress.headers))
      if (progress.content === null || !user.wants('early')) return plainly()
      this.#ask({ about: 'early', leg, response: progress }, (reply) => {
        if (reply.do === 'drop') this.pracks.acknowledge(session, progress)
        else if (reply.do === 'pass') pass(reply.content, reply.headers)
        else this.#otherwise(reply, plainly)
      })
    })
  }

  answered(leg: UacLeg, session: Session, outcome: Outcome): void {
    this.#inTurn(() => {
      const { user } = this.#bridge
      const pass = (content: Content | null, headers: readonly Header[]): void => {
        const early = this.#early.get(session)
        this.#offered(leg, session, content, (said, ok) => {
          if (!ok) return this.#bridge.refuse(NOT_ACCEPTABLE)
          const needed = said ?? (early === undefined || early.surely ? null : early.content)
          this.#over = true
          const told = { ...outcome, content: needed, headers }
          return this.#bridge.answeredBy(leg, session, keyOf(leg, session), told)
        })
      }
      const plainly = (): void => pass(outcome.content, this.#bridge.crossing(outcome.headers))
      if (!user.wants('answer')) return plainly()
      this.#ask({ about: 'answer', leg, response: outcome }, (reply) => {
        if (reply.do === 'pass') pass(reply.content, reply.headers)
        else this.#otherwise(reply, plainly)
      })
    })
  }

  refused(leg: UacLeg, by: RefusedBy, outcome: Outcome): void {
    this.#inTurn(() => {
      this.#running.delete(leg)
      this.#failures.push({ by, outcome })
      if (outcome.status >= 600) for (const other of this.#running) other.hangup([])
      if (outcome.status >= 600) this.#running.clear()
      if (this.#running.size > 0) return
      const more = this.#plan.strategy === 'sequential' && this.#next < this.#plan.targets.length
      if (more && this.#movesOn(leg, by, outcome.status)) this.#tryNext()
      else this.#exhausted()
    })
  }

  #movesOn({ target }: UacLeg, by: RefusedBy, status: number): boolean {
    const { rerouteOn } = this.#plan
    if (rerouteOn !== null) return rerouteOn.has(status)
    if (status >= 600) return false
    return target.gateway == null || this.#bridge.user.movesOn(target.gateway, by, status)
  }

  /**
   * The callee's description, as the caller shall see it. Where the INVITE had no offer this is the first (RFC 3261
   * §13.2.1), and goes by whatever the script has put between the two; once it has its answer nothing is to be added.
   */
  #offered(
    leg: UacLeg,
    session: Session | null,
    content: Content | null,
    then: (content: Content | null, ok: boolean) => void,
  ): void {
    const { caller } = this.#bridge
    if (session !== null && this.pracks.settled(session)) return then(null, true)
    const first = this.#plan.content === null && content !== null
    if (!first || session === null || caller === null || !caller.open) return then(content, true)
    this.#asking = true
    this.#bridge.talk.relay('offer', session, caller.branch(keyOf(leg, session)), content, (said, ok) => {
      this.#asking = false
      if (this.#over) return
      then(said, ok)
      this.#drain()
    })
  }

  #tell(leg: UacLeg, session: Session | null, progress: LegProgress): void {
    const { caller } = this.#bridge
    const key = keyOf(leg, session)
    if (caller === null || !caller.open) {
      this.pracks.acknowledge(session, progress)
      return
    }
    const own = caller.branch(key)
    if (session !== null) this.#bridge.parties.link(own, session)
    const how = caller.progress(key, progress)
    if (session !== null && isSdp(progress.content)) {
      this.#early.set(session, { content: progress.content, surely: how === 'reliably' && progress.reliable })
    }
    if (how === 'plainly') this.pracks.acknowledge(session, progress)
    else {
      const { rseq, inviteSeq, content } = progress
      const offer = this.#plan.content === null && isSdp(content) ? content : null
      const unpracked = session !== null && progress.reliable ? { session, rseq, inviteSeq, offer } : null
      this.pracks.expect(own, unpracked)
    }
  }

  #tryNext(): void {
    const target = this.#plan.targets[this.#next++]
    if (target !== undefined) this.#running.add(this.#bridge.legs.launch(this.#plan, target))
  }

  #exhausted(): void {
    const best = bestFailure(this.#failures) ?? {
      by: 'unroutable',
      outcome: { status: 404, reason: null, ...NOTHING },
    }
    const crossed = { ...best.outcome, headers: this.#bridge.crossing(best.outcome.headers) }
    const plainly = (): void => this.#bridge.refuse(refusalFor(crossed), best.by, best.outcome.status)
    if (!this.#bridge.user.wants('failure')) return plainly()
    this.#ask({ about: 'failure', response: best.outcome }, (reply) => this.#otherwise(reply, plainly))
  }

  #otherwise(reply: Reply, plainly: () => void): void {
    if (reply.do === 'refuse') this.#bridge.refuse(reply.outcome)
    else if (reply.do === 'dial') this.#redial(reply.plan)
    else plainly()
  }

  #redial(plan: DialPlan): void {
    for (const leg of this.#running) leg.hangup([])
    this.#running.clear()
    this.#plan = plan
    this.#next = 0
    this.#failures = []
    this.start()
  }

  #inTurn(work: () => void): void {
    if (this.#over) return
    if (this.#asking) this.#waiting.push(work)
    else work()
  }

  #ask(question: Question, then: (reply: Reply) => void): void {
    this.#asking = true
    this.#bridge.user.ask(question, (reply) => {
      this.#asking = false
      if (this.#over) return
      then(reply)
      this.#drain()
    })
  }

  #drain(): void {
    while (!this.#asking && !this.#over) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      next()
    }
  }
}

/** A branch of the callee's side, as the caller's leg names it. */
function keyOf(leg: UacLeg, session: Session | null): string {
  return `${leg.id} ${session?.dialog.remoteTag ?? ''}`
}
