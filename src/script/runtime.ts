import type { Decision, Edit, ContactView } from '../core/verdict.ts'
import type { Path, Protocol } from '../base/address.ts'
import type { ScriptFailureReason } from '../spine/facts.ts'
import { registry } from './api/registry.ts'
import { Reply } from './api/reply.ts'
import { ScriptError } from './api/script-error.ts'
import { ScriptRequest } from './api/request.ts'
import { Verdict } from './api/verdict.ts'
import type { Claims } from './claims.ts'
import { BatchReader, KINDS, ToHost, ToWorker, type Batch, type Item, type RunKind } from './conversation.ts'
import * as codec from './message-codec.ts'
import { describe, placeOf } from './where.ts'

/** A run as it came: in pieces, because another worker may take it before it starts. */
interface Offer {
  readonly id: number
  readonly slot: number
  readonly kind: RunKind
  readonly timer: number
  readonly request: codec.RawRequest | null
  readonly response: codec.RawResponse | null
  /** From the request's receipt to the response, ms. */
  readonly elapsedMs: number
  readonly path: Path
  readonly routeConsumed: boolean
  /** Contacts of the Request-URI as of `at`; null: ask. */
  readonly contacts: readonly ContactView[] | null
}

/** What was looked up in advance is as good as asking for so long, in milliseconds. */
const FORESIGHT_MS = 50
/** Verdicts wait for the rest of their batch no longer than this, in milliseconds. */
const HOLD_MS = 1

const GONE = 'the request has been forwarded already: change the reply'
const IGNORED =
  'asked for credentials and returned something else than what came of it: return auth.requireDigest(…)'
const READ_ONLY = 'the reply has been received: change the request, or reply() with what you want'

/**
 * Runs handlers in a worker: claims offers one by one, lets each run until it ends or awaits, and posts the verdicts
 * of a batch as one message.
 */
export class Runtime {
  readonly #claims: Claims
  readonly #post: (batch: Batch) => void
  readonly #offers: Offer[] = []
  readonly #questions = new Map<number, (contacts: readonly ContactView[]) => void>()
  readonly #calls = new Map<number, PromiseWithResolvers<BatchReader>>()
  readonly #foreseen = new Map<string, { readonly contacts: readonly ContactView[]; readonly at: number }>()
  #out: Batch = []
  #lastQuestion = 0
  #pumping = false
  #flushScheduled = false
  #pumpedAt = 0

  constructor(claims: Claims, post: (batch: Batch) => void) {
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
    this.#scheduleFlush()
    return new Promise((resolve) => this.#questions.set(question, resolve))
  }

  /** Asks a service of the engine thread. Rejects with a ScriptError when it refuses. */
  call(service: string, args: readonly Item[]): Promise<BatchReader> {
    const question = ++this.#lastQuestion
    this.#out.push(ToHost.call, question, service, args.length, ...args)
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
    this.#decide(offer, enter).then(
      (made) => end(() => this.#tell(offer.id, current, made)),
      (error: unknown) =>
        end(() => this.#refuse(offer.id, current, 'exception', describe(error), placeOf(error))),
    )
    return state
  }

  async #decide(offer: Offer, enter: (handler: number) => void): Promise<Decision | Refusal> {
    if (offer.kind === 'timer') {
      enter(offer.timer)
      await call(offer.timer, [])
      return NOTHING
    }
    const { kind } = offer
    if (offer.request === null) throw new Error('a job without a request')
    const forwarded = kind === 'reply' || kind === 'cancel'
    const raw = codec.buildRequest(offer.request)
    const request = new ScriptRequest(raw, offer.path, offer.routeConsumed, forwarded ? GONE : undefined)
    if (offer.contacts !== null) {
      this.#foreseen.set(raw.uri, { contacts: offer.contacts, at: performance.now() })
    }
    const edits: Edit[] = []
    const reply =
      offer.response &&
      new Reply(codec.buildResponse(offer.response), kind === 'reply' ? edits : READ_ONLY, offer.elapsedMs)
    const args = reply === null ? [request] : [request, reply]
    let matched = false
    for (let at = 0; at < registry.handlers.length; at++) {
      const info = registry.handlers[at]?.info
      if (info?.kind !== kind || (info.methods !== null && !info.methods.includes(raw.method))) continue
      matched = true
      enter(at)
      const returned = await this.#run(at, args, request)
      if (kind === 'cancel') continue
      if (!request.demands.close(returned)) return refusal('auth_ignored', `${info.name} ${IGNORED}`)
      const verdict = Verdict.valueOf(returned)
      if (verdict === null) continue
      if (verdict === undefined)
        return refusal('no_verdict', `${info.name} returned ${kindOf(returned)}, not a verdict`)
      if (!FITTING[kind].includes(verdict.do)) {
        return refusal('bad_verdict', `${info.name} cannot end with '${verdict.do}'`)
      }
      return request.decide(verdict, kind === 'reply' ? edits : undefined)
    }
    if (kind === 'cancel') return request.decide({ do: 'pass' })
    if (matched) return refusal('no_verdict', 'every matching handler passed on with next()')
    return refusal('no_handler', `the script has no handler for this ${kind}`)
  }

  /** A handler that throws waits for nobody's credentials any more. */
  async #run(at: number, args: readonly unknown[], request: ScriptRequest): Promise<unknown> {
    try {
      return await call(at, args)
    } catch (error) {
      request.demands.close(undefined)
      throw error
    }
  }

  #tell(id: number, handler: number, made: Decision | Refusal): void {
    if ('refused' in made) {
      this.#refuse(id, handler, made.refused, made.what, null)
      return
    }
    this.#out.push(ToHost.done, id, handler)
    codec.writeDecision(this.#out, made)
  }

  #refuse(
    id: number,
    handler: number,
    reason: ScriptFailureReason,
    what: string,
    where: string | null,
  ): void {
    this.#out.push(ToHost.failed, id, handler, reason, what, where)
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
    this.#out = []
    this.#post(batch)
  }
}

interface Refusal {
  readonly refused: ScriptFailureReason
  readonly what: string
}

const NOTHING: Decision = {
  verdict: { do: 'pass' },
  edits: [],
  recordRoute: false,
  cdr: null,
  authUser: null,
}

/** Which verdicts a kind of handler may end with. */
const FITTING: Readonly<Record<Exclude<RunKind, 'timer'>, readonly Decision['verdict']['do'][]>> = {
  request: ['relay', 'fork', 'reply', 'save', 'subscribe'],
  reply: ['pass', 'reject', 'drop'],
  failure: ['pass', 'relay', 'fork', 'reply'],
  cancel: [],
}

function refusal(refused: ScriptFailureReason, what: string): Refusal {
  return { refused, what }
}

function call(handler: number, args: readonly unknown[]): unknown {
  const run = registry.handlers[handler]?.run as ((...given: readonly unknown[]) => unknown) | undefined
  return run?.(...args)
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return String(value)
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function readOffer(reader: BatchReader): Offer {
  const id = reader.number()
  const slot = reader.number()
  const kind = KINDS[reader.number()] ?? 'request'
  if (kind === 'timer') {
    const timer = reader.number()
    return {
      id,
      slot,
      kind,
      timer,
      request: null,
      response: null,
      elapsedMs: 0,
      path: NOWHERE,
      routeConsumed: false,
      contacts: null,
    }
  }
  const request = codec.readRequest(reader)
  const protocol = reader.string() as Protocol
  const local = { host: reader.string(), port: reader.number() }
  const remote = { host: reader.string(), port: reader.number() }
  const routeConsumed = reader.number() === 1
  const count = reader.number()
  const contacts = count < 0 ? null : codec.readContacts(reader, count)
  const replied = (kind === 'reply' || kind === 'failure') && reader.number() === 1
  const elapsedMs = replied ? reader.number() : 0
  const response = replied ? codec.readResponse(reader) : null
  return {
    id,
    slot,
    kind,
    timer: -1,
    request,
    response,
    elapsedMs,
    path: { protocol, local, remote },
    routeConsumed,
    contacts,
  }
}

const NOWHERE: Path = { protocol: 'udp', local: { host: '', port: 0 }, remote: { host: '', port: 0 } }
