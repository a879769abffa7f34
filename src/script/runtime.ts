import type { Decision, ContactView } from '../core/verdict.ts'
import type { ScriptFailureReason } from '../spine/facts.ts'
import { ScriptError } from './api/script-error.ts'
import type { Claims } from './claims.ts'
import { BatchReader, ToHost, ToWorker, type Batch, type Item } from './conversation.ts'
import { callHandler, NOTHING_DECIDED, type Refusal, runHandlers } from './handlers.ts'
import * as codec from './message-codec.ts'
import { type Offer, readOffer } from './offer.ts'
import { describe, placeOf } from './where.ts'

/** What was looked up in advance is as good as asking for so long, in milliseconds. */
const FORESIGHT_MS = 50
/** Verdicts wait for the rest of their batch no longer than this, in milliseconds. */
const HOLD_MS = 1

/**
 * Runs handlers in a worker: claims offers one by one, lets each run until it ends or awaits, and posts the verdicts
 * of a batch as one message.
 */
export class Runtime {
  readonly #claims: Claims
  readonly #post: (batch: Batch, urgent: boolean) => void
  readonly #offers: Offer[] = []
  readonly #questions = new Map<number, (contacts: readonly ContactView[]) => void>()
  readonly #calls = new Map<number, PromiseWithResolvers<BatchReader>>()
  readonly #foreseen = new Map<string, { readonly contacts: readonly ContactView[]; readonly at: number }>()
  #out: Batch = []
  /** A handler waits for the answer to something in it. */
  #urgent = false
  #lastQuestion = 0
  #pumping = false
  #flushScheduled = false
  #pumpedAt = 0

  /** @param post hands what has gathered to the engine; `urgent`: a handler waits for the answer */
  constructor(claims: Claims, post: (batch: Batch, urgent: boolean) => void) {
    this.#claims = claims
    this.#post = post
  }

  receive(batch: Batch): void {
    this.#claims.alive()
    const reader = new BatchReader(batch)
    while (!reader.done) {
      const what = reader.number()
      if (what === ToWorker.job) this.#offers.push(readOffer(reader))
      else if (what === ToWorker.answer) this.#answered(reader.number(), reader)
      else if (what === ToWorker.result)
        this.#settled(reader.number())?.resolve(reader.slice(reader.number()))
      else if (what === ToWorker.refused)
        this.#settled(reader.number())?.reject(new ScriptError(reader.string()))
    }
    this.#pump()
  }

  /** Contacts of an address-of-record: at once when they came with the request, else from the engine. */
  lookup(uri: string): Promise<readonly ContactView[]> {
    const known = this.#foreseen.get(uri)
    if (known !== undefined) {
      if (performance.now() - known.at < FORESIGHT_MS) return Promise.resolve(known.contacts)
      this.#foreseen.delete(uri)
    }
    const question = ++this.#lastQuestion
    this.#out.push(ToHost.ask, question, uri)
    this.#urgent = true
    this.#scheduleFlush()
    return new Promise((resolve) => this.#questions.set(question, resolve))
  }

  /** Asks a service of the engine thread. Rejects with a ScriptError when it refuses. */
  call(service: string, args: readonly Item[]): Promise<BatchReader> {
    const question = ++this.#lastQuestion
    this.#out.push(ToHost.call, question, service, args.length, ...args)
    this.#urgent = true
    this.#scheduleFlush()
    const settled = Promise.withResolvers<BatchReader>()
    this.#calls.set(question, settled)
    return settled.promise
  }

  /** Tells a service of the engine thread something; there is no answer. */
  tell(service: string, args: readonly Item[]): void {
    this.#out.push(ToHost.tell, service, args.length, ...args)
    this.#scheduleFlush()
  }

  /** An error that no handler's run can be blamed for: in a callback, or a promise nobody awaits. */
  stray(error: unknown): void {
    this.#out.push(ToHost.stray, describe(error), placeOf(error))
    this.#scheduleFlush()
  }

  #answered(question: number, reader: BatchReader): void {
    const contacts = codec.readContacts(reader, reader.number())
    this.#questions.get(question)?.(contacts)
    this.#questions.delete(question)
  }

  #settled(question: number): PromiseWithResolvers<BatchReader> | undefined {
    const settled = this.#calls.get(question)
    this.#calls.delete(question)
    return settled
  }

  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    this.#pumpedAt = performance.now()
    this.#step()
  }

  /**
   * Starts the next offer, and comes back when it and everything it awaited without leaving the thread is through:
   * microtasks run dry before the next tick. So a handler that spins after an `await` holds nothing but itself.
   */
  #step(): void {
    for (let offer = this.#offers.shift(); offer !== undefined; offer = this.#offers.shift()) {
      if (!this.#claims.claim(offer.slot, offer.id)) continue
      if (this.#out.length > 0 && performance.now() - this.#pumpedAt > HOLD_MS) this.#flush()
      const over = this.#start(offer)
      const { id } = offer
      queueMicrotask(() =>
        process.nextTick(() => {
          if (!over.over) this.#out.push(ToHost.parked, id)
          this.#claims.leave()
          this.#step()
        }),
      )
      return
    }
    this.#pumping = false
    this.#foreseen.clear()
    this.#flush()
  }

  #start(offer: Offer): { over: boolean } {
    const state = { over: false }
    const startedAt = performance.now()
    const took = (): number => performance.now() - startedAt
    const end = (write: () => void): void => {
      state.over = true
      write()
      this.#claims.finish(offer.slot, offer.id)
      if (!this.#pumping) this.#scheduleFlush()
    }
    let current = offer.timer
    const enter = (handler: number): void => {
      current = handler
      this.#claims.enter(offer.id, handler)
    }
    const failed = (error: unknown): void =>
      end(() => this.#refuse(offer.id, current, took(), 'exception', describe(error), placeOf(error)))
    try {
      this.#decide(offer, enter).then(
        (made) => end(() => this.#tell(offer.id, current, took(), made)),
        failed,
      )
    } catch (error) {
      failed(error)
    }
    return state
  }

  #decide(offer: Offer, enter: (handler: number) => void): Promise<Decision | Refusal> {
    if (offer.kind === 'timer') return runTimer(offer.timer, enter)
    if (offer.request === null) throw new Error('a job without a request')
    if (offer.contacts !== null) {
      this.#foreseen.set(offer.request.uri, { contacts: offer.contacts, at: performance.now() })
    }
    return runHandlers(offer, offer.request, enter)
  }

  #tell(id: number, handler: number, tookMs: number, made: Decision | Refusal): void {
    if ('refused' in made) {
      this.#refuse(id, handler, tookMs, made.refused, made.what, null)
      return
    }
    this.#out.push(ToHost.done, id, handler, tookMs)
    codec.writeDecision(this.#out, made)
  }

  #refuse(
    id: number,
    handler: number,
    tookMs: number,
    reason: ScriptFailureReason,
    what: string,
    where: string | null,
  ): void {
    this.#out.push(ToHost.failed, id, handler, tookMs, reason, what, where)
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    setImmediate(() => {
      this.#flushScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#out.length === 0) return
    const batch = this.#out
    const urgent = this.#urgent
    this.#out = []
    this.#urgent = false
    this.#post(batch, urgent)
  }
}

async function runTimer(handler: number, enter: (handler: number) => void): Promise<Decision> {
  enter(handler)
  await callHandler(handler, [])
  return NOTHING_DECIDED
}
