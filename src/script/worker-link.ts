import { NumberMap } from '../base/number-map.ts'
import type { Claims } from './claims.ts'
import {
  KINDS,
  OF_CALLS,
  RESPONDED,
  ToWorker,
  type Batch,
  type HandlerInfo,
  type Item,
  type Manifest,
} from './conversation.ts'
import { writeCallInfo, writeContacts, writeMessage } from './message-codec.ts'
import type { ContactView } from '../core/verdict.ts'
import type { Run } from './run.ts'

/** The engine's end of the port to one worker. */
export interface JobPort {
  post(batch: Batch): void
  /** Takes what the worker has left to be fetched; null: nothing. */
  fetch(): Batch | null
  /** Says whether the engine comes to fetch, or has to be woken. */
  comes(comes: boolean): void
  /** Takes what has already arrived, in either way, and was not read yet. */
  drain(): Batch[]
  close(): void
}

/** How long a worker may hold its last offer before more are given to another rather than put behind it. */
const QUICK_MS = 10
/** Offers one worker is given before the next one is woken: a wake-up costs more than a handler. */
const PACK = 12

/** Handlers that take less than this on average, by the clock, neither block their thread nor wait for somebody. Milliseconds. */
const QUICK_HANDLER_MS = 10
/** A handler moves `Claims.progress` twice: when it begins and when it is over. */
const STEPS = 2

/** One worker as the host sees it: what it was offered, and whether it still moves. */
export class WorkerLink {
  readonly id: number
  readonly generation: number
  readonly manifest: Manifest
  readonly port: JobPort
  readonly claims: Claims
  /** By id: everything offered and not yet answered, given-up handlers included. */
  readonly runs = new NumberMap<Run>()
  /** Runs that were ended without the handler: it may still come back. */
  readonly abandoned = new NumberMap<Run>()
  /** Gets nothing more and is let go when its runs are over. */
  draining = false
  /** Monotonic ms since when it has not moved though asked to; null while it moves. */
  stalledSince: number | null = null
  lastUsed: number
  parked = 0
  readonly #freeSlots: number[] = []
  #outbox: Batch = []
  #lastProgress = 0
  #pinged = false
  #lastOffer = 0
  #lastLook: number
  #pace = 0

  constructor(
    id: number,
    generation: number,
    manifest: Manifest,
    port: JobPort,
    claims: Claims,
    now: number,
  ) {
    this.id = id
    this.generation = generation
    this.manifest = manifest
    this.port = port
    this.claims = claims
    this.lastUsed = now
    this.#lastLook = now
    for (let slot = claims.slots - 1; slot >= 0; slot--) this.#freeSlots.push(slot)
  }

  get canTake(): boolean {
    return !this.draining && this.stalledSince === null && this.#freeSlots.length > 0
  }

  /** Something that was offered has not been answered. */
  get holds(): boolean {
    return this.runs.size + this.abandoned.size > 0
  }

  /** Offered and neither over nor parked. */
  get busy(): number {
    return this.runs.size - this.parked
  }

  /** It works through its offers quickly: one more costs no wake-up and hardly waits. */
  takesOneMore(now: number): boolean {
    return this.busy > 0 && this.busy < PACK && now - this.#lastOffer < QUICK_MS
  }

  /**
   * What waits does not wait for CPU, but for this worker: it does not move, a handler blocks its thread, or many of its
   * handlers wait for an answer from elsewhere. Not so when its verdicts wait for the engine, or when it is quick.
   */
  get isHeldUp(): boolean {
    return (
      this.stalledSince !== null ||
      (this.parked + this.abandoned.size) * 2 >= this.claims.slots ||
      (this.claims.running !== 0 && this.#pace * QUICK_HANDLER_MS < 1)
    )
  }

  /** Since when something waits here behind a handler that holds the thread up, monotonic ms; null: nothing does. */
  get waitsSince(): number | null {
    if (this.busy < 2 || !this.isHeldUp) return null
    let oldest: number | null = null
    for (const run of this.runs.values()) {
      if (this.claims.state(run.slot, run.id) !== 'offered') continue
      if (oldest === null || run.since < oldest) oldest = run.since
    }
    return oldest
  }

  offer(run: Run, id: number, contacts: readonly ContactView[] | null, now: number): void {
    const slot = this.#freeSlots.pop()
    if (slot === undefined) throw new Error('a job for a worker that is full')
    if (this.busy === 0) this.#lastOffer = now
    this.lastUsed = now
    run.id = id
    run.slot = slot
    run.parked = false
    run.offeredAt = now
    this.runs.set(id, run)
    this.claims.offer(slot, id)
    const out = this.#outbox
    out.push(ToWorker.job, id, slot, KINDS.indexOf(run.kind))
    if (run.job === null) {
      out.push(run.timer)
      return
    }
    const { request, response, path, routeConsumed, elapsedMs } = run.job
    writeMessage(out, request)
    out.push(path.protocol, path.local.host, path.local.port, path.remote.host, path.remote.port)
    out.push(routeConsumed ? 1 : 0)
    if (contacts === null) out.push(-1)
    else writeContacts(out, contacts)
    if (OF_CALLS.has(run.kind)) writeCallInfo(out, run.job.call ?? null)
    if (RESPONDED.has(run.kind)) {
      out.push(response === null ? 0 : 1)
      if (response !== null) {
        out.push(elapsedMs)
        writeMessage(out, response)
      }
    }
  }

  answer(question: number, contacts: readonly ContactView[]): void {
    this.#outbox.push(ToWorker.answer, question)
    writeContacts(this.#outbox, contacts)
  }

  /** What a service has answered. */
  result(question: number, items: readonly Item[]): void {
    this.#outbox.push(ToWorker.result, question, items.length, ...items)
  }

  /** A service could not: the script gets an error with this text. */
  refused(question: number, what: string): void {
    this.#outbox.push(ToWorker.refused, question, what)
  }

  /** Posts what has gathered, as one message. */
  flush(): void {
    if (this.#outbox.length === 0) return
    const batch = this.#outbox
    this.#outbox = []
    this.port.post(batch)
  }

  /** The worker has answered, or the run was taken back: its place is free. */
  free(run: Run): void {
    if (!this.runs.delete(run.id)) this.abandoned.delete(run.id)
    else if (run.parked) this.parked--
    this.#freeSlots.push(run.slot)
  }

  /** The run is over for the engine, but its handler still holds the place. */
  abandon(run: Run): void {
    this.runs.delete(run.id)
    if (run.parked) this.parked--
    this.abandoned.set(run.id, run)
  }

  /** Takes back what was offered and not started (or finished and not told): these runs can go to another worker. */
  takeBack(): Run[] {
    const taken: Run[] = []
    for (const run of this.runs.values()) {
      if (this.claims.takeBack(run.slot, run.id)) taken.push(run)
    }
    for (const run of taken) this.free(run)
    return taken.toSorted((one, other) => one.since - other.since)
  }

  /** It has posted something, so it moves. */
  heard(): void {
    this.#pinged = false
    this.stalledSince = null
  }

  /** Looks whether the worker has moved since it was last looked at, and asks it to when it has not. */
  observe(now: number): void {
    const progress = this.claims.progress
    this.#pace = (progress - this.#lastProgress) / STEPS / Math.max(1, now - this.#lastLook)
    this.#lastLook = now
    if (progress !== this.#lastProgress) {
      this.#lastProgress = progress
      this.#pinged = false
      this.stalledSince = null
    } else if (this.#pinged) {
      this.stalledSince ??= now
    } else if (this.holds) {
      this.#pinged = true
      this.#outbox.push(ToWorker.ping)
      this.flush()
    }
  }

  /** The handler that held the thread last. */
  get lastHandler(): HandlerInfo | null {
    return this.manifest.handlers[this.claims.handler] ?? null
  }

  /** How many offers have been started and not ended: what `inflight` counts. */
  get started(): number {
    let started = 0
    for (const run of this.runs.values()) if (this.claims.state(run.slot, run.id) !== 'offered') started++
    return started
  }
}
