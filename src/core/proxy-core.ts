import type { Clock } from '../base/clock.ts'
import { formatAddress, type Protocol } from '../base/address.ts'
import type { Identifiers } from '../base/identifiers.ts'
import type { Request } from '../sip/message/message.ts'
import { advance, forward, stamp } from '../sip/proxy/forward.ts'
import { cookieBranch, loopCookie } from '../sip/proxy/loop.ts'
import { leadsHere, type Own } from '../sip/proxy/own.ts'
import { hopsLeft } from '../sip/proxy/validate.ts'
import type { ClientTransaction, ClientUser, TransactionLayer } from '../stack/transaction-layer.ts'
import type { Flow, Target, TransportPort } from '../stack/transport.ts'
import type { GatewayPort } from './branch-watch.ts'
import { editedRequest } from './edits.ts'
import type { Exchange } from './exchange.ts'
import { ProxiedRequest } from './proxied-request.ts'
import { locate, type Resolver } from './target.ts'
import type { Decision, Router, Verdict } from './verdict.ts'

/** RFC 3261 §16.6 step 11: more than three minutes. */
export const DEFAULT_TIMER_C_MS = 181_000

export interface ProxyCoreOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly transport: TransportPort
  /** The layer that this core is the user of; asked for late, since each needs the other. */
  readonly layer: () => Pick<TransactionLayer, 'request'>
  readonly router: Router
  readonly own: Own
  readonly resolver: Resolver
  /**
   * The connection a registered contact is reached by (RFC 5626); undefined: find a way by its URI. `called` is what was
   * called: anybody may register any URI as a contact, and gets the calls to himself by it, not another's.
   */
  readonly flowFor: (uri: string, called?: string) => Flow | undefined
  readonly timerCMs?: number
  /** Told what became of requests to gateways. */
  readonly gateways?: GatewayPort
}

/** What a branch gets after the wish to send it. */
export interface Launch {
  readonly original: Request
  /** The branch's Request-URI; null leaves it. */
  readonly uri: string | null
  /** A next hop that overrides the Route set. */
  readonly nextHop: string | null
  readonly exchange: Exchange
}

/** The stateful proxy, RFC 3261 §16: drives response contexts over the transaction layer. */
export class ProxyCore {
  readonly clock: Clock
  readonly router: Router
  readonly timerCMs: number
  readonly gateways: GatewayPort | null
  readonly #o: ProxyCoreOptions
  readonly #sentBy = new Map<Protocol, string>()

  constructor(options: ProxyCoreOptions) {
    this.#o = options
    this.clock = options.clock
    this.router = options.router
    this.gateways = options.gateways ?? null
    this.timerCMs = options.timerCMs ?? DEFAULT_TIMER_C_MS
  }

  /** Carries out a `relay` or `fork`. Throws a TypeError when the script's edits are no header text. */
  proxy(exchange: Exchange, decision: Decision, verdict: Extract<Verdict, { do: 'relay' | 'fork' }>): void {
    const original = editedRequest(exchange.request, decision.edits)
    const proxied = new ProxiedRequest(this, exchange, original)
    exchange.proxied = proxied
    proxied.start(verdict)
  }

  /**
   * Sends a branch. `then` gets its client transaction, or the status of a URI that leads nowhere; possibly at once.
   * @param wanted asked again when a name has been resolved: false when the branch was given up meanwhile
   */
  launch(
    { original, uri, nextHop, exchange }: Launch,
    user: ClientUser,
    wanted: () => boolean,
    then: (result: ClientTransaction | number) => void,
  ): void {
    const forwarding = forward(original, uri, nextHop)
    this.#find(forwarding.nextHop, exchange.request.uri, (target) => {
      if (!wanted()) return
      if (typeof target === 'number') {
        then(target)
        return
      }
      const { request } = forwarding
      const branch = cookieBranch(this.#o.identifiers.branch(), exchange.cookie)
      const inbound = exchange.flow.path.protocol
      const routes = exchange.recordRoute ? this.#recordRoutes(inbound, target.protocol) : []
      stamp(request, this.#via(target.protocol, branch), routes)
      exchange.call?.routedTo(target.host, target.port)
      then(this.#o.layer().request(request, target, user))
    })
  }

  /** §16.11 for an ACK to a 2xx, already preprocessed: on its way, without state and without an answer when it cannot go. */
  forwardAck(ack: Request): void {
    if (hopsLeft(ack) <= 0) return
    const cookie = loopCookie(ack)
    this.#find(advance(ack), undefined, (target) => {
      // To ourselves it would only come back until its hops are used up.
      if (typeof target === 'number' || leadsHere(this.#o.own, target.host, target.port)) return
      stamp(ack, this.#via(target.protocol, cookieBranch(this.#o.identifiers.branch(), cookie)), [])
      this.#o.transport.reach(target, (flow) => void flow?.send(ack))
    })
  }

  #find(hop: string, called: string | undefined, then: (target: Target | number) => void): void {
    const flow = this.#o.flowFor(hop, called)
    if (flow !== undefined && !flow.closed) {
      const { protocol, remote } = flow.path
      then({ protocol, host: remote.host, port: remote.port, flow })
      return
    }
    locate(hop, this.#o.resolver, (located) => then(located.ok ? located.target : located.status))
  }

  #via(protocol: Protocol, branch: string): string {
    return `SIP/2.0/${protocol.toUpperCase()} ${this.#hostPort(protocol)};branch=${branch}`
  }

  /** One value, or two where the transport changes (RFC 5658 §4): the way in first, the way out on top of it. */
  #recordRoutes(inbound: Protocol, outbound: Protocol): readonly string[] {
    if (inbound === outbound) return [`<sip:${this.#hostPort(inbound)}${transportParam(inbound)};lr>`]
    return [inbound, outbound].map((p) => `<sip:${this.#hostPort(p)}${transportParam(p)};lr;r2=on>`)
  }

  #hostPort(protocol: Protocol): string {
    const known = this.#sentBy.get(protocol)
    if (known !== undefined) return known
    const text = formatAddress(this.#o.transport.sentBy(protocol))
    this.#sentBy.set(protocol, text)
    return text
  }
}

function transportParam(protocol: Protocol): string {
  return protocol === 'udp' ? '' : `;transport=${protocol}`
}
