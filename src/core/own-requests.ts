import type { Clock } from '../base/clock.ts'
import { formatAddress, type Protocol } from '../base/address.ts'
import type { Identifiers } from '../base/identifiers.ts'
import { HeaderFields, headerKey } from '../sip/message/header-fields.ts'
import { Request, type Response } from '../sip/message/message.ts'
import { stamp } from '../sip/proxy/forward.ts'
import type { OwnRequestEnded } from '../spine/facts.ts'
import type { Spine } from '../spine/spine.ts'
import type { ClientUser, TransactionLayer } from '../stack/transaction-layer.ts'
import type { Target, TransportPort } from '../stack/transport.ts'
import { locate, type Resolver } from './target.ts'

export interface OwnRequestsOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly transport: TransportPort
  /** The layer, asked for late: it needs its user first. */
  readonly layer: () => Pick<TransactionLayer, 'request'>
  readonly resolver: Resolver
  /** The value of User-Agent. */
  readonly userAgent: string
}

/** A request to make. All texts are binary text; header text that would break the message is a TypeError when sent. */
export interface OwnRequest {
  readonly purpose: OwnRequestEnded['purpose']
  readonly method: string
  /** The Request-URI, and the To unless `headers` has one. */
  readonly uri: string
  /** Where to send it; null: where `uri` leads (RFC 3263). */
  readonly nextHop: string | null
  /** From's user part unless `headers` has a From. */
  readonly fromUser: string
  /** What is set besides, or instead of, the fields that a request must have; never Via, Call-ID, CSeq or a tag. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
  readonly contentType: string | null
  /** For a final response, finding the address included. */
  readonly timeoutMs: number
  /**
   * Answers a 401 or 407: the request with credentials, or null to take the challenge as the answer.
   * @param tries how often it has done so for this request
   */
  readonly authenticate?: (challenge: Response, request: Request, tries: number) => Request | null
}

export type OwnRequestResult =
  | { readonly ok: true; readonly response: Response }
  | { readonly ok: false; readonly failure: 'timeout' | 'unreachable'; readonly what: string }

/** Methods for which RFC 3261 §8.1.1.8, RFC 6665 and RFC 3515 want a Contact, and OPTIONS, where it helps. */
const WITH_CONTACT = new Set(['OPTIONS', 'SUBSCRIBE', 'REFER', 'NOTIFY', 'PUBLISH'])
/** Most requests under way: scripts must not fill the memory. */
const MAX_PENDING = 10_000

/**
 * The user agent client that sends requests of our own outside of dialogs (RFC 3261 §8.1): probes, and what scripts send.
 * Never INVITE: an answered one makes a dialog, and that is another's.
 */
export class OwnRequests {
  readonly #o: OwnRequestsOptions
  #pending = 0

  constructor(options: OwnRequestsOptions) {
    this.#o = options
  }

  /** Requests that have no result yet. */
  get pending(): number {
    return this.#pending
  }

  /**
   * Sends it. `then` is called once, possibly at once.
   * Throws a TypeError when a text would break the message, a RangeError when too many are under way.
   */
  send(own: OwnRequest, then: (result: OwnRequestResult) => void): void {
    if (this.#pending >= MAX_PENDING) throw new RangeError(`${MAX_PENDING} requests of our own are under way`)
    // Built before anything is counted: it may throw.
    const request = this.#build(own)
    this.#pending++
    let over = false
    const settle = (result: OwnRequestResult): void => {
      if (over) return
      over = true
      limit.cancel()
      this.#pending--
      const outcome = result.ok ? 'answered' : result.failure
      this.#o.spine.ownRequestEnded.publish({ purpose: own.purpose, outcome })
      then(result)
    }
    const limit = this.#o.clock.startTimer(own.timeoutMs, () =>
      settle({ ok: false, failure: 'timeout', what: `no final response within ${own.timeoutMs} ms` }),
    )
    locate(own.nextHop ?? own.uri, this.#o.resolver, (located) => {
      if (over) return
      if (!located.ok) settle({ ok: false, failure: 'unreachable', what: located.what })
      else this.#attempt(request, located.targets, own, () => over, settle)
    })
  }

  #attempt(
    request: Request,
    [target, ...others]: readonly Target[],
    own: OwnRequest,
    over: () => boolean,
    settle: (result: OwnRequestResult) => void,
    tries = 0,
  ): void {
    if (target === undefined) {
      settle({ ok: false, failure: 'unreachable', what: 'the address cannot be reached' })
      return
    }
    const user: ClientUser = {
      onResponse: (response) => {
        if (response.status < 200 || over()) return
        const challenged = response.status === 401 || response.status === 407
        const again = challenged ? (own.authenticate?.(response, request, tries) ?? null) : null
        if (again === null) settle({ ok: true, response })
        else this.#attempt(this.#next(again, own.method), [target], own, over, settle, tries + 1)
      },
      onEnd: (reason) => {
        if (reason === 'timeout') settle({ ok: false, failure: 'timeout', what: 'no final response' })
        // RFC 3263 §4.3: the next address, with a transaction of its own.
        else if (reason === 'transport' && !over()) this.#attempt(request, others, own, over, settle, tries)
      },
    }
    const copy = request.clone()
    const hostPort = this.#hostPort(target)
    stamp(copy, this.#via(target.protocol, hostPort), [])
    if (WITH_CONTACT.has(copy.method) && !copy.headers.has('contact')) {
      copy.headers.append('Contact', `<sip:${own.fromUser}@${hostPort}${transportOf(target.protocol)}>`)
    }
    this.#o.layer().request(copy, target, user)
  }

  #build({ method, uri, fromUser, headers, body, contentType }: OwnRequest): Request {
    const { identifiers, userAgent } = this.#o
    const request = new Request(method, uri, new HeaderFields(), body)
    const fields = request.headers
    fields.append('Max-Forwards', '70')
    fields.append('From', `<sip:${fromUser}@${formatAddress(this.#o.transport.sentBy('udp'))}>`)
    fields.append('To', `<${uri}>`)
    fields.append('Call-ID', identifiers.callId())
    fields.append('CSeq', `1 ${method}`)
    fields.append('User-Agent', userAgent)
    const replaced = new Set<string>()
    for (const [name, value] of headers) {
      const key = headerKey(name)
      // The first of a name replaces what is there already; further ones add up.
      if (replaced.has(key)) fields.append(name, value)
      else fields.set(name, value)
      replaced.add(key)
    }
    if (contentType !== null) fields.set('Content-Type', contentType)
    fields.set('From', `${fields.first('from') ?? ''};tag=${identifiers.tag()}`)
    return request
  }

  /** §22.2: with credentials it is a new request, with the next CSeq. */
  #next(request: Request, method: string): Request {
    const next = request.clone()
    next.headers.remove('via')
    next.headers.set('CSeq', `${request.cseq.number + 1} ${method}`)
    return next
  }

  #via(protocol: Protocol, hostPort: string): string {
    return `SIP/2.0/${protocol.toUpperCase()} ${hostPort};branch=${this.#o.identifiers.branch()};rport`
  }

  /** What we are called towards a target. */
  #hostPort({ protocol, host, flow, local }: Target): string {
    const from = flow?.path.local ?? local
    return formatAddress(this.#o.transport.sentBy(protocol, { host, ...(from && { local: from }) }))
  }
}

function transportOf(protocol: Protocol): string {
  return protocol === 'udp' ? '' : `;transport=${protocol}`
}
