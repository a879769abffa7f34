import type { Clock } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import { LinkedSet } from '../base/linked-set.ts'
import { buildResponse } from '../sip/message/build.ts'
import type { Request, Response } from '../sip/message/message.ts'
import { isSipUri, parseUri } from '../sip/message/uri.ts'
import { isLoop, loopCookie } from '../sip/proxy/loop.ts'
import { leadsHere, type Own } from '../sip/proxy/own.ts'
import { preprocess } from '../sip/proxy/preprocess.ts'
import { validateRequest } from '../sip/proxy/validate.ts'
import type { Spine } from '../spine/spine.ts'
import type { ServerTransaction, TransactionUser } from '../stack/transaction-layer.ts'
import type { Flow, Target, TransportPort } from '../stack/transport.ts'
import type { B2buaCore } from './b2bua/b2bua-core.ts'
import { Call, type CallTracker } from './calls.ts'
import { decide, subscribe } from './decide.ts'
import { Exchange } from './exchange.ts'
import { FlowTokens, isFlow } from './flow-tokens.ts'
import type { ProxyCore } from './proxy-core.ts'
import type { ProxyDialogs } from './proxy-dialogs.ts'
import type { Registrar, Subscriptions } from './registrar.ts'
import { ShedMemory } from './shed-memory.ts'
import type { CallInfo, Job, Reservation, Router } from './verdict.ts'

export interface DispatchOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly transport: TransportPort
  readonly router: Router
  readonly own: Own
  readonly proxy: ProxyCore
  readonly registrar: Registrar
  /** Absent: no event package is served here. */
  readonly subscriptions?: Subscriptions
  readonly b2bua: B2buaCore
  readonly calls: CallTracker
  readonly dialogs: ProxyDialogs
  /** Absent: user parts of our Routes mean nothing. */
  readonly flowTokens?: FlowTokens
  /** Seconds a peer on a stream is told to wait when its request was shed. */
  readonly shedRetryAfterSecs?: number
}

/** What the engine answers to OPTIONS itself, and what it can do. */
const ALLOW =
  'INVITE, ACK, CANCEL, OPTIONS, BYE, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, MESSAGE, INFO, UPDATE, PRACK, REFER'
const ABILITIES: readonly (readonly [string, string])[] = [
  ['Allow', ALLOW],
  ['Accept', '*/*'],
  ['Supported', 'path, outbound, gruu'],
  ['Allow-Events', 'reg'],
]

/** Methods whose requests without To tag begin a dialog (§12.1, RFC 6665 §4.1, RFC 3515 §2.4.4). */
const DIALOG_CREATING = new Set(['INVITE', 'SUBSCRIBE', 'REFER'])

const DONE = (): void => undefined

/** The transaction user: what every new request meets first. Nothing is kept of a request before it is admitted. */
export class Dispatch implements TransactionUser {
  readonly #o: DispatchOptions
  /** Requests without a final response. Each is the `owner` of its server transaction, where a CANCEL finds it. */
  readonly #exchanges = new LinkedSet<Exchange>()
  readonly #shed: ShedMemory
  /** To tag of answers without state, by which their ACKs are known (§8.2.7). */
  readonly #statelessTag: string
  #retryAfterSecs: number | null = null

  constructor(options: DispatchOptions) {
    this.#o = options
    this.#statelessTag = `sl-${options.identifiers.tag()}`
    this.#shed = new ShedMemory(options.clock, (invite, path) =>
      new Call(options.calls, invite, path).fail('shed', 0, 'server', null),
    )
  }

  /** Requests that have no final response yet, and INVITEs remembered as shed. */
  get levels(): { readonly exchanges: number; readonly shedRemembered: number } {
    return { exchanges: this.#exchanges.size, shedRemembered: this.#shed.size }
  }

  /** From now on what would begin a dialog gets 503 with Retry-After; everything else goes on. */
  drain(retryAfterSecs: number): void {
    this.#retryAfterSecs = retryAfterSecs
  }

  /** The end: every open call gets its record, no timer is left. Sends nothing. */
  close(): void {
    this.#shed.close()
    this.#o.b2bua.close()
    this.#o.calls.closeAll('server')
    this.#o.dialogs.close()
    for (const { proxied } of this.#exchanges) proxied?.drop()
    this.#exchanges.clear()
  }

  onRequest(request: Request, flow: Flow, accept: () => ServerTransaction): void {
    const { consumed, user } = preprocess(request, this.#o.own)
    const forUs = this.#isForUs(request)
    const cookie = loopCookie(request)
    const refusal = validateRequest(request, forUs)
    const edge = this.#edge(user, flow)
    const open = (): Exchange => this.#open(request, flow, consumed, edge, cookie, accept())
    const initial = request.toTag === undefined
    const proxied = consumed ? this.#o.dialogs : null
    if (!initial && this.#o.b2bua.receive(request, flow, accept, proxied)) return
    const kind = initial && this.#takesCalls(request) ? 'invite' : 'request'
    if (typeof edge === 'number') open().reply(edge, 'server')
    else if (refusal !== null) open().reply(refusal.status, 'server', { headers: refusal.headers })
    else if (isLoop(request, cookie, this.#o.own)) open().reply(482, 'server')
    else if (!initial && request.method === 'SUBSCRIBE' && this.#o.subscriptions?.owns(request) === true) {
      subscribe(open(), this.#o.subscriptions)
    } else if (forUs && request.method === 'OPTIONS') open().reply(200, 'server', { headers: ABILITIES })
    else if (this.#retryAfterSecs !== null && initial && DIALOG_CREATING.has(request.method)) {
      open().reply(503, 'server', { headers: [['Retry-After', String(this.#retryAfterSecs)]] })
    } else if (!this.#o.router.handles(kind, request.method)) {
      // A script of calls alone: what is within no dialog of them is within none (§12.2.2).
      if (!initial && this.#o.router.handles('invite', 'INVITE')) open().reply(481, 'server')
      else this.#unhandled(open())
    } else {
      const share = initial ? 'initial' : 'in-dialog'
      const reservation = this.#o.router.reserve(share, request.method, flow.reliable)
      if (reservation === null) this.#refuse(request, flow, initial)
      else this.#ask(open(), reservation, kind)
    }
  }

  /** No job is made of it: nobody would answer. */
  #unhandled(exchange: Exchange): void {
    const { method, callId } = exchange.request
    const what = `the script has no handler for ${method}`
    this.#o.spine.scriptFailed.publish({
      handler: 'onRequest',
      reason: 'no_handler',
      where: null,
      what,
      callId,
    })
    exchange.reply(500, 'server', { reason: 'No Script Handler' })
  }

  /**
   * An ACK for a 2xx goes its way without the script: when it came by a Route of ours, or we know of the 2xx. Any other is for
   * nothing of ours, and would make us send wherever its Request-URI says. One for a stateless answer of ours has arrived.
   */
  onAck(ack: Request, flow: Flow): void {
    if (ack.toTag === this.#statelessTag || this.#o.b2bua.receiveAck(ack)) return
    const { consumed, user } = preprocess(ack, this.#o.own)
    if (!consumed && !this.#o.dialogs.awaits(ack)) return
    const edge = this.#edge(user, flow)
    if (typeof edge !== 'number') this.#o.proxy.forwardAck(ack, flow.path, edge)
  }

  onCancel(
    cancel: Request,
    flow: Flow,
    invite: ServerTransaction | null,
    accept: () => ServerTransaction,
  ): void {
    // NOTE: §16.10 would forward it without state. We forward no INVITE without state, so it is for nothing downstream.
    if (invite === null) {
      this.#answerStatelessly(cancel, flow, 481, [])
      return
    }
    accept().respond(buildResponse(cancel, 200, { toTag: this.#o.identifiers.tag() }))
    const exchange = invite.owner instanceof Exchange ? invite.owner : undefined
    if (exchange === undefined && this.#o.b2bua.cancel(invite, cancel)) return
    // Its final response is out: the CANCEL has no effect (§9.2).
    if (exchange === undefined || exchange.cancelled) return
    exchange.cancel(cancel)
    this.#notifyCancel(exchange)
  }

  /** RFC 6026 §7.3: a response that no transaction waits for is not forwarded; an accepted one waits as long as 2xx repeat. */
  onStrayResponse(_response: Response, _flow: Flow): void {}

  /**
   * The flow that a token in our Route names (RFC 5626 §5.3); null when there is none, or when the request came over it:
   * then it is on its way out. A number: the status of a token that is not ours (403) or whose flow is gone (430).
   */
  #edge(user: string | null, flow: Flow): Target | null | 403 | 430 {
    const { flowTokens } = this.#o
    if (user === null || flowTokens === undefined || !FlowTokens.looksLike(user)) return null
    const redeemed = flowTokens.redeem(user)
    if (!redeemed.ok) return redeemed.status
    return isFlow(redeemed.target, flow) ? null : redeemed.target
  }

  #open(
    request: Request,
    flow: Flow,
    routeConsumed: boolean,
    edge: Target | null | number,
    cookie: string,
    transaction: ServerTransaction,
  ): Exchange {
    const { identifiers, dialogs, calls } = this.#o
    const attempt = request.method === 'INVITE' && request.toTag === undefined
    if (attempt) this.#shed.admitted(request)
    const exchange = new Exchange({
      transaction,
      flow,
      identifiers,
      dialogs,
      call: attempt ? calls.begin(request, flow.path) : null,
      routeConsumed,
      edge: typeof edge === 'number' ? null : edge,
      cookie,
      receivedAt: this.#o.clock.now(),
      onFinal: () => {
        this.#exchanges.delete(exchange)
        transaction.owner = null
        // The transaction may live on for 32 s: what is over need not live as long.
        transaction.onEnd = DONE
      },
    })
    this.#exchanges.add(exchange)
    transaction.owner = exchange
    transaction.onEnd = () => {
      this.#exchanges.delete(exchange)
      transaction.owner = null
      exchange.abandoned()
    }
    return exchange
  }

  #ask(exchange: Exchange, reservation: Reservation, kind: 'request' | 'invite'): void {
    const { request, flow, routeConsumed } = exchange
    const { path } = flow
    const call = kind === 'invite' ? begun(exchange) : undefined
    const job: Job = { kind, request, response: null, path, routeConsumed, elapsedMs: 0, call }
    reservation.decide(job, (outcome) => {
      if (outcome.handedOn && exchange.call !== null) exchange.call.kind = 'proxy'
      try {
        decide(exchange, outcome, this.#o)
      } catch (error) {
        this.#fault(exchange, error)
      }
    })
  }

  /** A fault of ours costs this request a 500. Verdicts come from outside the transaction layer, which catches the others. */
  #fault(exchange: Exchange, error: unknown): void {
    const { spine, clock } = this.#o
    const { method, callId } = exchange.request
    spine.logged.publish({
      level: 'error',
      module: 'core',
      text: `fault while carrying out a verdict: ${error instanceof Error ? error.message : String(error)}`,
      fields: { callId, method, stack: error instanceof Error ? (error.stack ?? null) : null },
      at: clock.wallTime(),
    })
    if (!exchange.final) exchange.reply(500, 'error')
  }

  /** No room: the request is forgotten. A datagram's sender repeats it; on a stream it has to be told (§8.2.7). */
  #refuse(request: Request, flow: Flow, initial: boolean): void {
    const { spine, calls } = this.#o
    const { path } = flow
    if (spine.scriptJobShed.active) {
      spine.scriptJobShed.publish({ method: request.method, callId: request.callId, path })
    }
    const attempt = initial && request.method === 'INVITE'
    if (!flow.reliable) {
      if (attempt) this.#shed.remember(request, path)
      return
    }
    this.#answerStatelessly(request, flow, 503, [['Retry-After', String(this.#o.shedRetryAfterSecs ?? 5)]])
    if (attempt) new Call(calls, request, path).fail('shed', 503, 'server', null)
  }

  #answerStatelessly(
    request: Request,
    flow: Flow,
    status: number,
    headers: readonly (readonly [string, string])[],
  ): void {
    const response = buildResponse(request, status, { toTag: this.#statelessTag, headers })
    this.#o.transport.responseFlow(request, flow, (back) => void back?.send(response))
  }

  /** `onCancel` is told, and decides nothing: the CANCEL has been answered. */
  #notifyCancel(exchange: Exchange): void {
    const { router } = this.#o
    const { request, routeConsumed } = exchange
    const { path } = exchange.flow
    if (!router.handles('cancel', request.method)) return
    const reservation = router.reserve('in-dialog', request.method)
    const elapsedMs = this.#o.clock.now() - exchange.receivedAt
    const job = { kind: 'cancel', request, response: null, path, routeConsumed, elapsedMs } as const
    reservation?.decide(job, (outcome) => {
      if (outcome.ok) exchange.call?.note(outcome.decision.cdr, outcome.decision.authUser)
    })
  }

  /** `b2bua.onInvite` is asked about this one. */
  #takesCalls({ method }: Request): boolean {
    return method === 'INVITE' && this.#o.router.handles('invite', method)
  }

  /** Addressed to this element itself: no user part, our host, and no Route to follow. */
  #isForUs(request: Request): boolean {
    const { uri } = request
    if (uri.includes('@') || request.headers.has('route')) return false
    const parsed = parseUri(uri)
    if (!parsed.ok || !isSipUri(parsed.value)) return false
    return leadsHere(this.#o.own, parsed.value.host, parsed.value.port)
  }
}

/** What `b2bua.onInvite` knows of a call. Whatever comes of it, the record is of the B2BUA's, unless it is handed on. */
function begun({ call, request }: Exchange): CallInfo | undefined {
  if (call === null) return undefined
  call.kind = 'b2bua'
  const replaces = request.headers.has('replaces')
  return { id: call.id, state: 'calling', side: null, referTo: null, replaces }
}
