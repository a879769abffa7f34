import type { Identifiers } from '../base/identifiers.ts'
import type { Linked, LinkedSet } from '../base/linked-set.ts'
import { huskOf } from '../sip/message/husk.ts'
import { buildResponse, type ResponseOptions } from '../sip/message/build.ts'
import type { Request, Response } from '../sip/message/message.ts'
import { standalone } from '../sip/message/own-text.ts'
import type { ServerTransaction } from '../stack/transaction-layer.ts'
import type { Flow, Target } from '../stack/transport.ts'
import { type Cause, initiatorOf, resultOf } from './call-result.ts'
import type { Call } from './calls.ts'
import { LateAnswers } from './late-answers.ts'
import type { ProxyDialog, ProxyDialogs } from './proxy-dialogs.ts'

const NONE: readonly never[] = []

/** Whatever runs a request's branches. */
export interface Branches {
  /**
   * Gives up what runs: the caller has sent CANCEL.
   * @param reasons its Reason header fields, for our CANCELs (RFC 3326)
   */
  cancel(reasons: readonly string[]): void
  /** The server stops: no timer is left, nothing is sent. */
  drop(): void
}

export interface ExchangeOptions {
  readonly transaction: ServerTransaction
  readonly flow: Flow
  readonly identifiers: Identifiers
  readonly dialogs: ProxyDialogs
  readonly call: Call | null
  /** §16.4 popped a Route of ours. */
  readonly routeConsumed: boolean
  /** The flow that its Route names by a token of ours (RFC 5626 §5.3); null without one. */
  readonly edge?: Target | null
  readonly cookie: string
  /** Monotonic ms when the request was received. */
  readonly receivedAt: number
  /** Called with the first final response: nothing can be cancelled any more. */
  readonly onFinal: (exchange: Exchange) => void
}

/**
 * One request and its responses, from admission to the final response. `respond` is the one way up: whoever answers,
 * the call attempt, the followed dialog and the server transaction learn of it there.
 */
export class Exchange implements Linked<Exchange> {
  inSet: LinkedSet<Exchange> | null = null
  before: Exchange | null = null
  after: Exchange | null = null
  request: Request
  readonly transaction: ServerTransaction
  readonly flow: Flow
  readonly call: Call | null
  readonly routeConsumed: boolean
  /** The flow it has to go on by. */
  readonly edge: Target | null
  /** The loop cookie of the request as preprocessed. */
  readonly cookie: string
  readonly receivedAt: number
  /** The script asked to stay on the path. */
  recordRoute = false
  /** The script asked to be in the Path of what it registers. */
  addPath = false
  /** Set while branches run. */
  proxied: Branches | null = null
  /** Without a To tag: it begins something. */
  readonly #initial: boolean
  #cancelled = false
  #ringing = false
  #final = false
  /** The Reason header fields of the caller's CANCEL. */
  #reasons: readonly string[] = NONE
  #answeredTags: readonly string[] = NONE
  #early: readonly ProxyDialog[] = NONE
  readonly #o: ExchangeOptions

  constructor(options: ExchangeOptions) {
    this.#o = options
    this.transaction = options.transaction
    this.request = options.transaction.request
    this.#initial = this.request.toTag === undefined
    this.flow = options.flow
    this.call = options.call
    this.routeConsumed = options.routeConsumed
    this.edge = options.edge ?? null
    this.cookie = options.cookie
    this.receivedAt = options.receivedAt
  }

  /** The caller has sent CANCEL. */
  get cancelled(): boolean {
    return this.#cancelled
  }

  /** A final response went up. */
  get final(): boolean {
    return this.#final
  }

  /** A response of our own, with a To tag of our own. Throws a TypeError on bad header text. */
  build(status: number, options: ResponseOptions = {}): Response {
    return buildResponse(this.request, status, { toTag: this.#o.identifiers.tag(), ...options })
  }

  /** A final response of ours. */
  reply(status: number, cause: Cause, options: ResponseOptions = {}): void {
    this.respond(this.build(status, options), cause)
  }

  /** §16.10: nothing is sent here but what the branches then answer; before there are any, the verdict waits for it. */
  cancel(cancel: Request): void {
    if (this.#final || this.#cancelled) return
    this.#cancelled = true
    this.#reasons = cancel.headers.all('reason')
    this.proxied?.cancel(this.#reasons)
  }

  /**
   * Sends a response up: its top Via is the request's.
   * @param meant the status the attempt counts by, where §16.7 step 6 made another one of it
   */
  respond(response: Response, cause: Cause, meant = response.status): void {
    const { status } = response
    const invite = this.request.method === 'INVITE'
    if (status < 200) {
      if (this.#final) return
      if (status > 100 && invite) this.#progress(response)
      this.transaction.respond(response)
      return
    }
    const first = !this.#final
    if (!first && !(invite && status < 300)) return
    this.#final = true
    // What can no longer follow changes nothing: a callee's 2xx after the script has refused the call.
    if (!this.transaction.respond(response) && !first) return
    if (invite && this.#initial) this.#decideCall(response, cause, meant, first)
    else if (first) this.#followDialog(response, cause)
    if (!first) return
    this.#o.onFinal(this)
    this.request = huskOf(this.request)
  }

  /** Somebody else answers from now on, and keeps the call's record: the back-to-back user agent. */
  handOver(): void {
    this.#final = true
    this.#o.onFinal(this)
  }

  /** What hears of 2xx that come after the final response, and holds on to nothing else. */
  lateAnswers(): LateAnswers {
    const { transaction, recordRoute, call } = this
    const tags = this.#answeredTags
    const [calls, callId] = call === null ? [null, null] : [call.tracker, call.id]
    return new LateAnswers({ transaction, dialogs: this.#o.dialogs, recordRoute, calls, callId, tags })
  }

  /** The server transaction ended without our final response: a fault of ours, answered with a 500 below. */
  abandoned(): void {
    if (this.#final) return
    this.#final = true
    this.proxied?.cancel(NONE)
    this.#abandonEarly()
    this.call?.fail('error', 500, 'error', null)
  }

  #progress(response: Response): void {
    this.#ringing = true
    if (this.call !== null) this.call.ringing = true
    if (!this.recordRoute || !this.#initial) return
    const dialog = this.#o.dialogs.early(response, this.call)
    if (dialog !== null && !this.#early.includes(dialog)) this.#early = [...this.#early, dialog]
  }

  #decideCall(response: Response, cause: Cause, meant: number, first: boolean): void {
    const { call } = this
    const { status } = response
    if (status >= 300) {
      this.#abandonEarly()
      const why = this.#cancelled && status === 487 ? 'caller' : cause
      call?.fail(
        resultOf(meant, why, this.#ringing),
        status,
        initiatorOf(why),
        reasonOf(response) ?? this.#reasons[0] ?? null,
      )
      return
    }
    call?.answer(status)
    const tag = response.toTag ?? ''
    // What we answer ourselves is no dialog through us. A repetition must not revive one that has ended meanwhile.
    if (this.recordRoute && cause === 'callee' && !this.#answeredTags.includes(tag)) {
      this.#answeredTags = [...this.#answeredTags, standalone(tag)]
      this.#o.dialogs.confirm(response, call)
    }
    if (!first) return
    if (!this.recordRoute && cause === 'callee') this.#o.dialogs.passed(response, call)
    this.#abandonEarly()
    if (call !== null && call.dialogs === 0) call.end({ initiator: null, reason: null, seen: false })
  }

  /** In-dialog requests: a BYE's final response ends the dialog, unless it only asks for credentials. */
  #followDialog(response: Response, cause: Cause): void {
    const { request } = this
    const { status } = response
    if (request.method === 'BYE') {
      const dialog = status === 401 || status === 407 ? undefined : this.#o.dialogs.find(request)
      if (dialog === undefined) return
      const initiator = request.fromTag === dialog.callerTag ? 'caller' : 'callee'
      this.#o.dialogs.end(dialog, { initiator, reason: reasonOf(request), seen: true })
    } else if (status < 300 && (request.method === 'INVITE' || request.method === 'UPDATE')) {
      const dialog = this.#o.dialogs.find(request)
      if (dialog !== undefined) this.#o.dialogs.refresh(dialog, response)
      else if (request.method === 'INVITE' && !this.routeConsumed && cause === 'callee') {
        this.#o.dialogs.passed(response, null)
      }
    }
  }

  #abandonEarly(): void {
    for (const dialog of this.#early) this.#o.dialogs.abandon(dialog)
    this.#early = NONE
  }
}

/** The Reason header field as written (RFC 3326); null when there is none. */
export function reasonOf(message: Request | Response): string | null {
  return message.headers.first('reason') ?? null
}
