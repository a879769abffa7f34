import type { Clock, Timer } from '../../base/clock.ts'
import type { Gateways, GroupWatcher } from './gateways.ts'
import type { Group, Member } from './group.ts'
import type { ProbeOutcome } from './health.ts'

/** What sends a probe. `then` is called once, with the status of the final response, or why there is none. */
export interface ProbePort {
  probe(
    probe: {
      readonly uri: string
      readonly hop: string
      readonly fromUser: string
      readonly timeoutMs: number
    },
    then: (result: ProbeResult) => void,
  ): void
}

export type ProbeResult =
  | { readonly status: number; readonly retryAfterSecs: number | null }
  | { readonly status: null; readonly failure: 'timeout' | 'unreachable' }

/** Intervals vary by this share, so that probes that once coincide do not for ever. */
const JITTER = 0.1

/** Probes every destination of every group at its interval, the first time at a random moment within one interval. */
export class Prober implements GroupWatcher {
  readonly #clock: Clock
  readonly #gateways: Pick<Gateways, 'probed'>
  readonly #port: ProbePort
  readonly #random: () => number
  readonly #probing = new Map<Group, Set<Timer>>()

  /** @param random 0 … 1 */
  constructor(clock: Clock, gateways: Pick<Gateways, 'probed'>, port: ProbePort, random: () => number) {
    this.#clock = clock
    this.#gateways = gateways
    this.#port = port
    this.#random = random
  }

  groupAdded(group: Group): void {
    const { probe } = group.settings
    if (!probe.enabled) return
    this.#probing.set(group, new Set())
    for (const member of group.members) this.#wait(group, member, probe.intervalMs * this.#random())
  }

  groupRemoved(group: Group): void {
    for (const timer of this.#probing.get(group) ?? []) timer.cancel()
    this.#probing.delete(group)
  }

  stop(): void {
    for (const group of [...this.#probing.keys()]) this.groupRemoved(group)
  }

  #wait(group: Group, member: Member, ms: number): void {
    const timers = this.#probing.get(group)
    if (timers === undefined) return
    const timer = this.#clock.startTimer(ms, () => {
      timers.delete(timer)
      this.#probe(group, member)
    })
    timers.add(timer)
  }

  /** The next one is waited for from the start of this one, which is over by then: its time limit is below the interval. */
  #probe(group: Group, member: Member): void {
    const { intervalMs, timeoutMs, fromUser } = group.settings.probe
    this.#wait(group, member, intervalMs * (1 + JITTER * (2 * this.#random() - 1)))
    const { uri, hop } = member.settings
    this.#port.probe({ uri, hop, fromUser, timeoutMs }, (result) => {
      if (!this.#probing.has(group)) return
      if (result.status === null) {
        this.#gateways.probed(member, result.failure, null)
        return
      }
      const { retryAfterSecs } = result
      this.#gateways.probed(
        member,
        outcomeOf(result.status),
        result.status === 503 && retryAfterSecs !== null ? retryAfterSecs * 1000 : null,
      )
    })
  }
}

/** Any final answer is a sign of life but two: 503, and the 408 of a proxy before it that did not reach it. */
function outcomeOf(status: number): ProbeOutcome {
  return status === 503 || status === 408 ? 'unavailable' : 'answered'
}
