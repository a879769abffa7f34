import type { SessionTimerPolicy } from '../dialog/session-timer.ts'
import type { Request } from '../message/message.ts'
import type { Timers } from '../transaction/timers.ts'
import type { Bridge } from './bridge.ts'
import type { Header, Out } from './events.ts'
import type { Credentials, DialPlan } from './plan.ts'
import type { Session } from './session.ts'
import type { Signer } from './signer.ts'
import { UacLeg, type UacUser } from './uac-leg.ts'
import { UasLeg } from './uas-leg.ts'

/** What all bridges of a server share. */
export interface BridgeWorld {
  readonly out: Out
  readonly timers: Timers
  readonly nextId: () => number
  readonly newTag: () => string
  /** Answers the challenges of one peer. */
  readonly signer: (credentials: Credentials) => Signer
}

/** Legs of a call of which something is left: how they begin, and how they come from other calls and go there. */
export class Legs {
  readonly #bridge: Bridge
  readonly #world: BridgeWorld
  readonly #legs = new Set<UasLeg | UacLeg>()

  constructor(bridge: Bridge, world: BridgeWorld) {
    this.#bridge = bridge
    this.#world = world
  }

  get size(): number {
    return this.#legs.size
  }

  [Symbol.iterator](): Iterator<UasLeg | UacLeg> {
    return this.#legs.values()
  }

  /** A caller's INVITE. */
  receive(invite: Request, transaction: number, policy: SessionTimerPolicy): UasLeg {
    const { out, timers, nextId, newTag } = this.#world
    const user = this.#bridge
    const leg = new UasLeg({ invite, transaction, nextId, newTag, out, user, timers, policy })
    this.#add(leg)
    return leg
  }

  /** Calls one target. */
  launch(plan: DialPlan, target: DialPlan['targets'][number], user: UacUser = this.#bridge): UacLeg {
    const { out, timers, nextId, newTag, signer } = this.#world
    const bridge = this.#bridge
    // An offer in a reliable response wants its answer in our PRACK: only the caller's own can have it.
    const reliable = plan.content !== null || (user === bridge && (bridge.caller?.takesReliable ?? false))
    const leg = new UacLeg({
      id: nextId(),
      callId: bridge.user.newCallId(),
      localTag: newTag(),
      from: plan.from,
      to: plan.to,
      target,
      content: plan.content,
      headers: plan.headers,
      maxForwards: plan.maxForwards,
      timeoutMs: plan.timeoutMs,
      policy: plan.timer,
      signer: plan.credentials && signer(plan.credentials),
      reliable,
      nextId,
      out,
      user,
      timers,
    })
    this.#add(leg)
    leg.start()
    return leg
  }

  /** Another call of ours has let it go: it is part of this one from now on. */
  adopt(leg: UasLeg | UacLeg): void {
    leg.user = this.#bridge
    this.#add(leg)
  }

  /** The leg that has this session, which another call of ours will have; null: none has. */
  release(session: Session): UasLeg | UacLeg | null {
    for (const leg of this.#legs) {
      if (leg.session !== session) continue
      this.#legs.delete(leg)
      this.#bridge.onOver(session)
      this.#bridge.user.onLegMoved(leg)
      return leg
    }
    return null
  }

  /** Nothing is left of it. */
  over(leg: UasLeg | UacLeg): void {
    this.#legs.delete(leg)
    this.#bridge.user.onLegOver(leg)
  }

  hangup(headers: readonly Header[]): void {
    for (const leg of this.#legs) leg.hangup(headers)
  }

  #add(leg: UasLeg | UacLeg): void {
    this.#legs.add(leg)
    this.#bridge.user.onLeg(leg)
  }
}
