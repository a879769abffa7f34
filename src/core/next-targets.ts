import type { Clock } from '../base/clock.ts'
import type { Request } from '../sip/message/message.ts'
import type { Spine } from '../spine/spine.ts'
import type { ClientUser } from '../stack/transaction-layer.ts'
import type { Flow, Target } from '../stack/transport.ts'
import { fits, needsItsConnection } from './connection-only.ts'
import { Failover, type FailoverOptions } from './failover.ts'
import { TargetMemory } from './target-memory.ts'
import { locate, type Resolver } from './target.ts'

/** What to do about targets that fail. Milliseconds. */
export interface FailoverTimes {
  /** How long a target may keep silent while there is another one; 0: as long as timers B and F allow. */
  readonly attemptMs: number
  /** How long one that failed is tried last; 0: it is forgotten at once. */
  readonly avoidMs: number
}

export const DEFAULT_FAILOVER: FailoverTimes = { attemptMs: 1_000, avoidMs: 30_000 }

export interface NextTargetsOptions {
  readonly clock: Clock
  readonly spine: Spine
  readonly resolver: Resolver
  readonly failover: FailoverTimes
}

/** Where requests go next: over a connection that is there already, else to the targets of their hop, those that failed last. */
export class NextTargets {
  readonly #o: NextTargetsOptions
  readonly #memory: TargetMemory

  constructor(options: NextTargetsOptions) {
    this.#o = options
    this.#memory = new TargetMemory(options.clock, options.failover.avoidMs)
  }

  /**
   * The targets to try, in this order; or the status of a hop that leads nowhere. Possibly at once.
   * @param flow the connection that a request to this hop has to take, where there is one
   */
  find(hop: string, flow: Flow | undefined, then: (targets: readonly Target[] | number) => void): void {
    if (flow !== undefined && !flow.closed && fits(hop, flow)) {
      const { protocol, remote } = flow.path
      return then([{ protocol, host: remote.host, port: remote.port, flow }])
    }
    // 480: there is nobody listening where it could be called back.
    if (needsItsConnection(hop)) return then(480)
    return locate(hop, this.#o.resolver, (located) =>
      then(located.ok ? this.#memory.order(located.targets) : located.status),
    )
  }

  /**
   * One request over several targets (RFC 3263 §4.3); not started yet.
   * @param wanted false when the request was given up meanwhile
   */
  failover(
    request: Request,
    targets: readonly Target[],
    user: ClientUser,
    wanted: () => boolean,
    send: FailoverOptions['send'],
  ): Failover {
    const { clock, spine, failover } = this.#o
    const { hopFailedOver } = spine
    return new Failover(request, {
      clock,
      targets,
      user,
      wanted,
      memory: this.#memory,
      attemptMs: failover.attemptMs,
      send,
      onFailover: (reason) => {
        if (hopFailedOver.active) hopFailedOver.publish({ reason })
      },
    })
  }
}
