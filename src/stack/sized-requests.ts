import type { Clock } from '../base/clock.ts'
import { formatAddress } from '../base/address.ts'
import type { Request, Response } from '../sip/message/message.ts'
import { formatVia } from '../sip/message/via.ts'
import type { EndReason } from '../sip/transaction/types.ts'
import type { ClientTransaction, ClientUser, TransactionLayer } from './transaction-layer.ts'
import type { Target, TransportPort } from './transport.ts'

export interface SizedRequestsOptions {
  readonly clock: Clock
  readonly layer: Pick<TransactionLayer, 'request'>
  readonly transport: Pick<TransportPort, 'sentBy'>
  /** Bytes; longer requests go by TCP. Null: none do. */
  readonly limit: number | null
  /** False when we take no TCP connections: a peer must be able to come back to us by what the Via says. */
  readonly mayUseTcp: boolean
}

/** How long a peer that took no TCP is not asked again, ms. */
const REFUSED_FOR_MS = 600_000
const MAX_REFUSALS = 4_096

/**
 * RFC 3261 §18.1.1: a request near the path MTU goes by TCP, whatever transport was chosen for it, because its fragments
 * are lost more easily, and together; a peer that takes no TCP gets it by UDP after all. To those who send requests it is
 * the transaction layer.
 */
export class SizedRequests {
  readonly #o: SizedRequestsOptions
  /** Peers that took no TCP, and until when that is believed. */
  readonly #refused = new Map<string, number>()

  constructor(options: SizedRequestsOptions) {
    this.#o = options
  }

  /** As `TransactionLayer.request`. */
  request(request: Request, target: Target, user: ClientUser): ClientTransaction {
    const { limit, mayUseTcp, layer, clock } = this.#o
    const fits = limit === null || !mayUseTcp || target.protocol !== 'udp' || lengthOf(request) <= limit
    if (fits || target.flow !== undefined) return layer.request(request, target, user)
    const peer = formatAddress(target)
    if ((this.#refused.get(peer) ?? 0) > clock.now()) return layer.request(request, target, user)
    return new ByTcpFirst(layer, request, this.#byTcp(request, target), target, user, () =>
      this.#remember(peer),
    )
  }

  #byTcp(request: Request, target: Target): Request {
    const copy = request.clone()
    const { via } = copy
    if (via === undefined) return copy
    const { host } = target
    const end = this.#o.transport.sentBy('tcp', { host, ...(target.local ? { local: target.local } : {}) })
    copy.headers.replaceFirst('via', formatVia({ ...via, protocol: 'TCP', host: end.host, port: end.port }))
    return copy
  }

  #remember(peer: string): void {
    if (this.#refused.size >= MAX_REFUSALS) this.#refused.clear()
    this.#refused.set(peer, this.#o.clock.now() + REFUSED_FOR_MS)
  }
}

/** One request that is tried by TCP, and by UDP when there was no connection to be had or it broke without an answer. */
class ByTcpFirst implements ClientTransaction, ClientUser {
  readonly #layer: Pick<TransactionLayer, 'request'>
  readonly #plain: Request
  readonly #target: Target
  readonly #user: ClientUser
  readonly #onRefused: () => void
  #current: ClientTransaction
  #second: ClientTransaction | null = null
  #retried = false
  #answered = false
  #cancelled = false

  constructor(
    layer: Pick<TransactionLayer, 'request'>,
    plain: Request,
    byTcp: Request,
    target: Target,
    user: ClientUser,
    onRefused: () => void,
  ) {
    this.#layer = layer
    this.#plain = plain
    this.#target = target
    this.#user = user
    this.#onRefused = onRefused
    const first = layer.request(byTcp, { ...target, protocol: 'tcp' }, this)
    // It may have failed already.
    this.#current = this.#second ?? first
  }

  get request(): Request {
    return this.#current.request
  }

  get branch(): string {
    return this.#current.branch
  }

  get state(): ClientTransaction['state'] {
    return this.#current.state
  }

  get flow(): ClientTransaction['flow'] {
    return this.#current.flow
  }

  cancel(): void {
    this.#cancelled = true
    this.#current.cancel()
  }

  onResponse(response: Response): void {
    this.#answered = true
    this.#user.onResponse(response, this)
  }

  onEnd(reason: EndReason): void {
    if (reason !== 'transport' || this.#answered || this.#cancelled || this.#retried) {
      this.#user.onEnd(reason, this)
      return
    }
    this.#retried = true
    this.#onRefused()
    // The same branch: should the first one have got there after all, this is its repetition (§17.2.3).
    this.#second = this.#layer.request(this.#plain, this.#target, this)
    this.#current = this.#second
  }
}

/** Of the request on the wire, near enough: without a Content-Length that is yet to be added. */
function lengthOf({ method, uri, headers, body }: Request): number {
  let length = method.length + uri.length + 14 + body.length
  for (const { name, value } of headers.fields) length += name.length + value.length + 4
  return length
}
