import type { Request, Response } from '../sip/message/message.ts'
import {
  aggregateChallenges,
  type Failure,
  type LocalFailure,
  upstreamOf,
} from '../sip/proxy/best-response.ts'
import { COMPLETED_ELSEWHERE } from '../sip/message/reason.ts'
import { type ContextEffect, type MovesOn, ResponseContext } from '../sip/proxy/response-context.ts'
import { breadthOf, shareBreadth } from '../sip/proxy/max-breadth.ts'
import type { Branch, BranchListener } from './branch.ts'
import { branchesTo, distinct, type Forwarding, toDevice } from './branches-to.ts'
import { BranchWatch, rerouteCause } from './branch-watch.ts'
import { causeOf } from './call-result.ts'
import { replyOptions } from './decide.ts'
import { editedRequest, editResponse } from './edits.ts'
import type { Branches, Exchange } from './exchange.ts'
import { Failover } from './failover.ts'
import type { ProxyCore } from './proxy-core.ts'
import type { Decision, HandlerKind, Outcome } from './verdict.ts'

const NO_HEADERS: readonly (readonly [name: string, value: string])[] = []

/** How often `onFailure` may try others for one request. */
const MAX_RETARGETS = 8

/** What came from a branch's client transaction and waits its turn. */
interface Arrival {
  readonly branch: Branch
  /** Null: the transaction ended for want of one. */
  readonly response: Response | null
  readonly failure: LocalFailure
}

/** A request on its way to one target or several: performs what its response context says, and asks the script. */
export class ProxiedRequest implements Branches, BranchListener {
  readonly #core: ProxyCore
  readonly #exchange: Exchange
  readonly #context: ResponseContext
  // Most requests have one branch and live 32 s with their transactions: no list here is grown by `push`, which would
  // make room for seventeen at once.
  #branches: readonly Branch[] = []
  /** The request as last edited. */
  #original: Request
  #retargets = 0
  /** Of the CANCELs that the caller's, or an answer, has brought about. */
  #cancelHeaders = NO_HEADERS
  /** Effects wait for the last of those being performed. */
  #effects: ContextEffect[] | null = null
  #performing = false
  /** Responses keep their order while `onReply` thinks about one of them. */
  #arrivals: Arrival[] | null = null
  #asking = false

  constructor(core: ProxyCore, exchange: Exchange, original: Request) {
    this.#core = core
    this.#exchange = exchange
    this.#original = original
    this.#context = new ResponseContext(exchange.request.method)
  }

  start(given: Forwarding): void {
    const chosen = toDevice(this.#core, this.#original, given)
    if (typeof chosen === 'number') {
      this.#exchange.reply(chosen, 'server')
      return
    }
    const verdict = distinct(this.#core, this.#exchange.request.uri, chosen)
    const first = this.#branches.length
    const breadth = breadthOf(this.#original)
    const atOnce = verdict.do === 'fork' && verdict.strategy === 'parallel' ? verdict.targets.length : 1
    // Those that were tried before have all ended: what they had can be given again (RFC 5393 §5.3.3.1).
    const shares = shareBreadth(breadth, atOnce)
    if (shares === null) {
      this.#exchange.reply(440, 'server')
      return
    }
    const branches = branchesTo(verdict, {
      core: this.#core,
      called: this.#exchange.request.uri,
      first,
      share: (i) => shares[i] ?? breadth,
      listener: this,
    })
    this.#branches = first === 0 ? branches : [...this.#branches, ...branches]
    const added = this.#branches.length - first
    if (added === 0) this.#exchange.reply(404, 'server')
    else {
      const strategy = verdict.do === 'fork' ? verdict.strategy : 'parallel'
      const named = strategy === 'sequential' && branches.some(({ gateway }) => gateway !== null)
      this.#perform(
        this.#context.add(added, strategy, named ? (...failure) => this.#movesOn(...failure) : null),
      )
    }
  }

  #movesOn(...[index, status, local]: Parameters<MovesOn>): boolean {
    const gateway = this.#branches[index]?.gateway ?? null
    return gateway === null || (this.#core.gateways?.movesOn(gateway, rerouteCause(status, local)) ?? true)
  }

  cancel(reasons: readonly string[]): void {
    this.#cancelHeaders = reasons.map((reason) => ['Reason', reason])
    this.#perform(this.#context.cancel())
  }

  drop(): void {
    for (const { timerC, transaction } of this.#branches) {
      timerC?.cancel()
      if (transaction instanceof Failover) transaction.drop()
    }
  }

  #perform(effects: readonly ContextEffect[]): void {
    if (this.#performing) {
      this.#effects = [...(this.#effects ?? []), ...effects]
      return
    }
    this.#performing = true
    try {
      for (const effect of effects) this.#do(effect)
      for (let more = this.#effects; more !== null; more = this.#effects) {
        this.#effects = null
        for (const effect of more) this.#do(effect)
      }
    } finally {
      this.#performing = false
    }
  }

  #do(effect: ContextEffect): void {
    if (effect.do === 'settle') {
      this.#settle(effect.best, effect.failures)
      return
    }
    const branch = this.#branches[effect.branch]
    if (branch === undefined) return
    switch (effect.do) {
      case 'try':
        this.#launch(branch)
        break
      case 'respond':
        effect.response.headers.removeFirst('via')
        this.#answeredBy(branch, effect.response)
        if (effect.response.status >= 200 && this.#cancelHeaders.length === 0)
          this.#cancelHeaders = COMPLETED_ELSEWHERE
        this.#exchange.respond(effect.response, 'callee')
        this.#slim()
        break
      case 'cancel':
        branch.watch?.cancelled()
        if (branch.transaction === null) {
          branch.watch?.failed('cancelled')
          this.#perform(this.#context.failed(branch.index, 'cancelled'))
        } else branch.transaction.cancel(this.#cancelHeaders)
        break
      case 'startTimerC':
        branch.timerC?.cancel()
        branch.timerC = this.#core.clock.startTimer(this.#core.timerCMs, () => {
          branch.timerC = null
          branch.watch?.unanswered()
          this.#perform(this.#context.timerC(branch.index))
        })
        break
      case 'stopTimerC':
        branch.timerC?.cancel()
        branch.timerC = null
        break
    }
  }

  /** After the final response only 2xx repetitions come: unless a script hears them, nothing else is kept for 32 s. */
  #slim(): void {
    const { final, request } = this.#exchange
    if (!final || this.#core.router.handles('reply', request.method)) return
    this.#original = request
    if (this.#branches.some(({ index }) => this.#context.pending(index))) return
    const late = this.#exchange.lateAnswers()
    for (const branch of this.#branches) branch.leaveTo(late)
  }

  #launch(branch: Branch): void {
    const { uri, nextHop, gateway, contact, breadth } = branch
    const { gateways, clock } = this.#core
    if (gateway !== null && gateways !== null) branch.watch = new BranchWatch(gateways, gateway, clock)
    const way = contact === null ? null : this.#core.wayTo(contact)
    const launch = { original: this.#original, uri, nextHop, way, breadth, exchange: this.#exchange }
    this.#core.launch(
      launch,
      branch,
      () => this.#context.pending(branch.index),
      (result) => {
        if (typeof result !== 'number') branch.transaction = result
        else if (!this.#tryNextFlow(branch, result)) {
          branch.watch?.failed('unroutable')
          this.#perform(this.#context.failed(branch.index, 'unroutable', result))
        }
      },
    )
  }

  /**
   * RFC 5626 §7: another flow of the device, after the one before has failed and the device has not spoken.
   * @param status of the failure; only 408 and 430 speak of a flow and not of the device
   */
  #tryNextFlow(branch: Branch, status: number): boolean {
    const [next, ...rest] = branch.alternates
    if (next === undefined || (status !== 408 && status !== 430)) return false
    if (!this.#context.mayRetry(branch.index)) return false
    branch.uri = next.uri
    branch.contact = next.contact
    branch.alternates = rest
    branch.transaction = null
    this.#launch(branch)
    return true
  }

  /** The record names where the answer came from, and the list of calls who gave it. */
  #answeredBy({ transaction }: Branch, { status }: Response): void {
    const { call, final } = this.#exchange
    if (status < 200 || final || call === null || transaction === null) return
    call.bParty = transaction.request.uri
    const remote = transaction.flow?.path.remote
    if (remote !== undefined) call.routedTo(remote.host, remote.port)
  }

  arrived(branch: Branch, response: Response | null, failure: LocalFailure): void {
    if (response === null) branch.watch?.failed(failure)
    else branch.watch?.received(response.status)
    if (!this.#asking && this.#arrivals === null) {
      this.#take(branch, response, failure)
      return
    }
    this.#arrivals = [...(this.#arrivals ?? []), { branch, response, failure }]
    if (!this.#asking) this.#nextArrival()
  }

  #nextArrival(): void {
    while (!this.#asking) {
      const arrival = this.#arrivals?.shift()
      if (arrival === undefined) {
        this.#arrivals = null
        return
      }
      this.#take(arrival.branch, arrival.response, arrival.failure)
    }
  }

  #take(branch: Branch, response: Response | null, failure: LocalFailure): void {
    if (response === null) {
      // A flow that could not be sent on has failed like one that answered nothing.
      const status = failure === 'timeout' ? 408 : 430
      if (!this.#tryNextFlow(branch, status)) this.#perform(this.#context.failed(branch.index, failure))
      return
    }
    if (this.#tryNextFlow(branch, response.status)) return
    const { status } = response
    const answer = status >= 200 && status < 300 ? branch.answerOf(response) : undefined
    if (answer !== undefined) {
      this.#exchange.respond(answer, 'callee')
      return
    }
    const heard = response.status > 100 && this.#core.router.handles('reply', this.#exchange.request.method)
    // A response never waits for a handler to become free (contract: overload cannot keep calls from ending).
    if (!heard || !this.#ask('reply', response, (outcome) => this.#replied(branch, response, outcome))) {
      this.#perform(this.#context.receive(branch.index, response))
    }
  }

  /** False when there is no room: then nothing was asked. */
  #ask(kind: HandlerKind, response: Response, done: (outcome: Outcome) => void): boolean {
    const { request, flow, routeConsumed, receivedAt } = this.#exchange
    const reservation = this.#core.router.reserve('in-dialog', request.method)
    if (reservation === null) return false
    this.#asking = true
    const { path } = flow
    const elapsedMs = this.#core.clock.now() - receivedAt
    const job = { kind, request: this.#original, response, path, routeConsumed, elapsedMs }
    reservation.decide(job, (outcome) => {
      this.#asking = false
      done(outcome)
      this.#nextArrival()
    })
    return true
  }

  #replied(branch: Branch, response: Response, outcome: Outcome): void {
    const { status } = response
    if (outcome.ok) {
      const { verdict } = outcome.decision
      this.#note(outcome.decision)
      if (verdict.do === 'drop' && status < 200) return
      // An answered call cannot be refused: the callee has its dialog, and only a BYE ends that.
      if (verdict.do === 'reject' && (status < 200 || status >= 300) && !this.#exchange.final) {
        this.#close(verdict.code, verdict.reason)
        this.#perform(this.#context.receive(branch.index, response))
        return
      }
      tolerate(() => editResponse(response, outcome.decision.edits))
    }
    if (status >= 200 && status < 300) branch.answered(response)
    this.#perform(this.#context.receive(branch.index, response))
  }

  /** A final response of the script's: what still runs is given up. */
  #close(code: number, reason: string | null): void {
    const status = code >= 300 && code < 700 ? code : 500
    this.#exchange.reply(status, 'server', reason === null ? {} : { reason })
    this.#perform(this.#context.close())
  }

  /** Every branch has failed: the script may know somebody else (§16.7 step 6 otherwise). */
  #settle(best: Failure, failures: readonly Failure[]): void {
    // RFC 5626 §5.3: a 430 is for the proxy that knows the device's flows, and that was this one. There are no more.
    const flowsFailed = best.status === 430 && this.#branches.some(({ contact }) => contact !== null)
    const response = flowsFailed
      ? this.#exchange.build(480)
      : (best.response ?? this.#exchange.build(best.status))
    if (!flowsFailed && best.response !== null) best.response.headers.removeFirst('via')
    const { method } = this.#exchange.request
    const pass = (): void => this.#pass(best, response, failures)
    const wanted = !this.#exchange.cancelled && this.#core.router.handles('failure', method)
    if (!wanted || this.#retargets >= MAX_RETARGETS) pass()
    else if (!this.#ask('failure', response, (outcome) => this.#retried(outcome, pass))) pass()
  }

  #pass(best: Failure, response: Response, failures: readonly Failure[]): void {
    aggregateChallenges(response, failures)
    const meant = best.status === 430 ? response.status : best.status
    this.#exchange.respond(upstreamOf(response), causeOf(best.local), meant)
    this.#perform(this.#context.close())
  }

  #retried(outcome: Outcome, pass: () => void): void {
    if (this.#exchange.cancelled) {
      this.#exchange.reply(487, 'caller')
      return
    }
    if (!outcome.ok) {
      pass()
      return
    }
    const { decision } = outcome
    const { verdict } = decision
    this.#note(decision)
    if (verdict.do === 'relay' || verdict.do === 'fork') {
      this.#retargets++
      if (tolerate(() => (this.#original = editedRequest(this.#original, decision.edits))))
        this.start(verdict)
      else pass()
    } else if (verdict.do === 'reply') {
      const { code } = verdict
      const answered = code >= 200 && code < 700
      if (!answered || !tolerate(() => this.#exchange.reply(code, 'server', replyOptions(verdict)))) pass()
      else this.#perform(this.#context.close())
    } else if (verdict.do === 'reject') this.#close(verdict.code, verdict.reason)
    // Edits made in `onFailure` are of the request: nothing to do for the response that goes up.
    else pass()
  }

  #note({ cdr, authUser, recordRoute }: Decision): void {
    this.#exchange.call?.note(cdr, authUser)
    if (recordRoute) this.#exchange.recordRoute = true
  }
}

/** The message builder refuses text that would break the message: the script's mistake, and not the call's end. */
function tolerate(edit: () => void): boolean {
  try {
    edit()
    return true
  } catch (error) {
    if (error instanceof TypeError) return false
    throw error
  }
}
