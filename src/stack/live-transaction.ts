import type { Clock, Timer } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import type { Timers } from '../sip/transaction/timers.ts'
import type { StartTimer, TimerName } from '../sip/transaction/types.ts'
import type { Spine } from '../spine/spine.ts'
import type { LiveClient } from './live-client.ts'
import type { LiveServer } from './live-server.ts'
import type { ClientUser, TransactionUser } from './transaction-user.ts'
import type { Flow, Target, TransportPort } from './transport.ts'

/** What a live transaction needs of the layer it lives in. */
export interface Stage {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly transport: TransportPort
  readonly timers: Timers
  readonly user: TransactionUser
  /** Feeds a machine one input now, and performs its effects when those in progress are through. */
  step<E>(transaction: LiveTransaction<E>, input: () => readonly E[]): void
  /** Runs something that calls a user, in the same order. What it throws ends the transaction. */
  run(transaction: LiveTransaction<unknown>, work: () => void): void
  /** Feeds the transaction its linger timer after `ms`, unless it has ended by then. */
  linger(transaction: LiveTransaction<unknown>, ms: number): void
  /** One that lingers has ended before its time. */
  lingersNoMore(ms: number): void
  startCancel(
    invite: LiveClient,
    target: Target,
    user: ClientUser,
    headers: readonly (readonly [name: string, value: string])[],
  ): void
  boundTo(client: LiveClient, flow: Flow): void
  forgetClient(client: LiveClient): void
  forgetServer(server: LiveServer): void
}

/** Timers that nothing stops: the transaction's last state, in which it only absorbs repetitions. */
const LINGERS: ReadonlySet<TimerName> = new Set(['D', 'I', 'J', 'K', 'L', 'M'])

/** A timer that runs, under its name. */
class RunningTimer {
  readonly name: TimerName
  readonly timer: Timer

  constructor(name: TimerName, timer: Timer) {
    this.name = name
    this.timer = timer
  }
}

const NONE: readonly RunningTimer[] = []

/** A machine with its timers and its way in and out. `E` is what the machine may ask for. */
export abstract class LiveTransaction<E> {
  protected readonly stage: Stage
  /** Nothing happens to it any more, and nothing it asks for is done. */
  ended = false
  // Two at most run at once, so a list is found through faster than a map.
  #running: readonly RunningTimer[] = NONE
  #lingers: StartTimer | null = null

  constructor(stage: Stage) {
    this.stage = stage
  }

  abstract perform(effects: readonly E[]): void

  /** After a fault of ours: ends it as decently as can be. */
  abstract abandon(): void

  /** It still awaits something: a final response, or the ACK of one. Otherwise it only takes repetitions. */
  abstract get pending(): boolean

  /** What a log line says it is. */
  abstract get label(): Readonly<Record<string, string>>

  protected abstract timerFired(timer: TimerName): readonly E[]

  /** Stops the timers. Tells nobody, and leaves the tables alone. */
  drop(): void {
    this.ended = true
    for (const running of this.#running) running.timer.cancel()
    this.#running = NONE
    if (this.#lingers !== null) this.stage.lingersNoMore(this.#lingers.ms)
    this.#lingers = null
  }

  /** The time to linger is over. */
  lingered(): void {
    const lingers = this.#lingers
    this.#lingers = null
    if (lingers !== null) this.stage.step(this, () => this.timerFired(lingers.timer))
  }

  protected startTimer(start: StartTimer): void {
    const { timer: name, ms } = start
    if (LINGERS.has(name)) {
      this.#lingers = start
      this.stage.linger(this, ms)
      return
    }
    const timer = this.stage.clock.startTimer(ms, () => {
      this.#remove(name)
      this.stage.step(this, () => this.timerFired(name))
    })
    const running = new RunningTimer(name, timer)
    // Not `push`, which makes room for seventeen.
    this.#running = this.#running.length === 0 ? [running] : [...this.#running, running]
  }

  protected stopTimer(name: TimerName): void {
    this.#remove(name)?.timer.cancel()
  }

  protected count(method: string, direction: 'in' | 'out'): void {
    const { retransmitted } = this.stage.spine
    if (retransmitted.active) retransmitted.publish({ method, direction })
  }

  #remove(name: TimerName): RunningTimer | undefined {
    const found = this.#running.find((running) => running.name === name)
    if (found === undefined) return undefined
    this.#running = this.#running.length === 1 ? NONE : this.#running.filter((running) => running !== found)
    return found
  }
}
