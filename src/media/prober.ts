import type { Clock, Timer } from '../base/clock.ts'
import type { Spine } from '../spine/spine.ts'
import type { Instance } from './instance.ts'
import type { NgAnswer, NgClient } from './ng-client.ts'

/** Between a doubtful answer (a miss while up, the first answer while down) and the ping that decides. */
const DOUBT_MS = 1_000
/** What is down is asked so often whether it is back when probing is off. */
const DOWN_INTERVAL_MS = 5_000

export interface ProberOptions {
  readonly clock: Clock
  readonly spine: Spine
  readonly client: NgClient
  readonly instances: readonly Instance[]
  /** 0: an instance that is up is judged by the commands it answers alone. */
  readonly intervalMs: number
}

/** Keeps the health of the instances: pings them, and hears how commands went. */
export class Prober {
  readonly #o: ProberOptions
  readonly #timers = new Map<Instance, Timer>()
  readonly #pinging = new Set<Instance>()
  #closed = false

  constructor(options: ProberOptions) {
    this.#o = options
  }

  /** Pings every instance at once, so that the first figures are true, whatever the interval. */
  start(): void {
    for (const instance of this.#o.instances) this.#ping(instance)
  }

  /** What a command told of the instance. A command without an answer counts like a ping without one. */
  judge(instance: Instance, { outcome, what }: NgAnswer): void {
    if (this.#closed) return
    const moved = outcome === 'timeout' ? instance.missed() : instance.heard()
    if (moved) {
      const up = instance.state === 'up'
      this.#o.spine.mediaEngineMoved.publish({ address: instance.name, up, why: up ? 'it answers' : what })
    }
    if ((moved || instance.doubtful) && !this.#pinging.has(instance)) this.#pingIn(instance)
  }

  close(): void {
    this.#closed = true
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }

  #ping(instance: Instance): void {
    this.#pinging.add(instance)
    this.#o.client.ask(instance.address, { command: 'ping' }, instance.timeoutMs, (answer) => {
      this.#pinging.delete(instance)
      this.judge(instance, answer)
      this.#pingIn(instance)
    })
  }

  #pingIn(instance: Instance): void {
    this.#timers.get(instance)?.cancel()
    this.#timers.delete(instance)
    const ms = this.#pause(instance)
    if (this.#closed || ms === 0) return
    const timer = this.#o.clock.startTimer(ms, () => {
      this.#timers.delete(instance)
      if (!this.#pinging.has(instance)) this.#ping(instance)
    })
    this.#timers.set(instance, timer)
  }

  /** Until the next ping, ms; 0: none. */
  #pause(instance: Instance): number {
    const { intervalMs } = this.#o
    if (instance.doubtful) return intervalMs === 0 ? DOUBT_MS : Math.min(DOUBT_MS, intervalMs)
    return intervalMs === 0 && instance.state !== 'up' ? DOWN_INTERVAL_MS : intervalMs
  }
}
