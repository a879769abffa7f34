import { availableParallelism } from 'node:os'
import type { Clock, Timer } from '../base/clock.ts'
import type { HostControlPort } from './conversation.ts'
import type { Run } from './run.ts'
import type { WorkerLink } from './worker-link.ts'

/** A worker above the pool's size that had nothing to do for so long is let go. Milliseconds. */
const IDLE_MS = 12_000
/** Workers that are replaced are back sooner; after so long without any, they keep dying. Milliseconds. */
const GONE_MS = 1_000

/** A thread that only lost its turn is not held up at so many looks. */
const HELD_UP_LOOKS = 3

/**
 * Which workers there are and which of them serve. Keeps the pool at its size, lets it grow to its ceiling, and lets
 * workers go when they have finished what they had.
 */
export class WorkerPool {
  readonly max: number
  readonly #clock: Clock
  readonly #control: HostControlPort
  readonly #size: number
  readonly #processors: number
  /** Every worker that is not gone, those included that no longer serve but still have runs. */
  readonly #links = new Map<number, WorkerLink>()
  #serving: readonly WorkerLink[] = []
  #generation = 0
  #requested = 0
  /** Times one after another that jobs waited and one worker more would have helped. */
  #heldUp = 0
  #idleLook: Timer | null = null
  #closed = false
  /** When the last worker left. */
  #emptySince = 0

  /** @param size workers at rest @param max ceiling @param processors as many threads can run at once */
  constructor(
    clock: Clock,
    control: HostControlPort,
    size: number,
    max: number,
    processors = availableParallelism(),
  ) {
    this.#processors = processors
    this.#clock = clock
    this.#control = control
    this.#size = size
    this.max = max
  }

  /** Live workers of the serving generation. */
  get size(): number {
    return this.#serving.length
  }

  get generation(): number {
    return this.#generation
  }

  /** Safe to change while it is gone through. */
  get links(): Iterable<WorkerLink> {
    return this.#links.values()
  }

  get(id: number): WorkerLink | undefined {
    return this.#links.get(id)
  }

  /** There has been no worker for a while: nobody knows when there will be. */
  get gone(): boolean {
    return (
      this.#serving.length === 0 && this.#generation > 0 && this.#clock.now() - this.#emptySince >= GONE_MS
    )
  }

  get canTake(): boolean {
    return this.#serving.some((link) => link.canTake)
  }

  /** The worker that is awake and quick, else the one with the least to do. Timers stay in one worker while they can. */
  choose(run: Run, now: number): WorkerLink | undefined {
    if (run.timer >= 0) return this.#serving.find((link) => link.canTake)
    let least: WorkerLink | undefined
    for (const link of this.#serving) {
      if (!link.canTake) continue
      if (link.takesOneMore(now)) return link
      if (least === undefined || link.busy < least.busy) least = link
    }
    return least
  }

  /** Adds a worker that has loaded. One of a generation that no longer serves is let go at once. */
  attach(link: WorkerLink): void {
    if (this.#closed || link.generation !== this.#generation) {
      link.port.close()
      this.#control.releaseWorker(link.id)
      return
    }
    this.#requested = Math.max(0, this.#requested - 1)
    this.#links.set(link.id, link)
    this.#serving = [...this.#serving, link]
    if (this.size > this.#size) this.#idleLook ??= this.#startIdleLook()
  }

  /** Puts these workers into service; those before get nothing more. */
  switchTo(generation: number, links: readonly WorkerLink[]): void {
    const before = this.#serving
    this.#generation = generation
    this.#serving = []
    for (const link of links) this.attach(link)
    // What was asked for before is of the old script and will not come.
    this.#requested = 0
    for (const link of before) this.retire(link)
  }

  /** The worker gets nothing more and is let go when its runs are over. */
  retire(link: WorkerLink): void {
    link.draining = true
    this.#leave(link)
    this.letGo(link)
  }

  /** Lets a retired worker end, if nothing is left to wait for. */
  letGo(link: WorkerLink): void {
    if (!link.draining || link.runs.size > 0 || !this.#links.delete(link.id)) return
    link.flush()
    link.port.close()
    this.#control.releaseWorker(link.id)
  }

  /** Forgets a worker that is gone. */
  drop(link: WorkerLink): void {
    this.#links.delete(link.id)
    this.#leave(link)
    link.port.close()
  }

  kill(link: WorkerLink, why: string): void {
    this.#control.killWorker(link.id, why)
  }

  /** Asks for as many workers as are missing. */
  refill(): void {
    if (this.#generation === 0 || this.#closed) return
    const missing = this.#size - this.size - this.#requested
    if (missing > 0) this.#ask(missing)
  }

  /**
   * Jobs wait. One more worker, up to the ceiling and one at a time: each costs the load of a script, and 25 MB. None
   * while there are as many at work as processors: more would only take turns, or wait for the engine together.
   */
  grow(): void {
    if (this.#generation === 0 || this.#requested > 0 || this.size >= this.max) return
    const atWork = this.#serving.reduce((sum, link) => sum + (link.isHeldUp ? 0 : 1), 0)
    // One that has just ended a slow handler looks free for a moment: that takes back one look, and not all of them.
    this.#heldUp = atWork < this.#processors ? this.#heldUp + 1 : Math.max(0, this.#heldUp - 1)
    // Who has not moved for two looks has been looked at long enough.
    const stuck = this.#serving.every((link) => link.stalledSince !== null)
    if (this.#heldUp < HELD_UP_LOOKS && !stuck) return
    this.#heldUp = 0
    this.#ask(1)
  }

  close(): void {
    this.#closed = true
    this.#idleLook?.cancel()
    for (const link of this.#links.values()) {
      link.port.close()
      this.#control.releaseWorker(link.id)
    }
    this.#links.clear()
    this.#serving = []
  }

  #leave(link: WorkerLink): void {
    this.#serving = this.#serving.filter((l) => l !== link)
    if (this.#serving.length === 0) this.#emptySince = this.#clock.now()
  }

  #ask(count: number): void {
    this.#requested += count
    this.#control.needWorkers(count)
  }

  #startIdleLook(): Timer {
    return this.#clock.startTimer(IDLE_MS / 6, () => {
      this.#idleLook = null
      const now = this.#clock.now()
      for (const link of this.#serving.slice(1).toReversed()) {
        if (this.size <= this.#size) return
        if (!link.holds && now - link.lastUsed >= IDLE_MS) this.retire(link)
      }
      if (this.size > this.#size) this.#idleLook = this.#startIdleLook()
    })
  }
}
