import type { Clock } from '../base/clock.ts'
import { formatAddress, type Path, type Protocol } from '../base/address.ts'
import type { Identifiers } from '../base/identifiers.ts'
import type { Request } from '../sip/message/message.ts'
import { advance, forward, stamp } from '../sip/proxy/forward.ts'
import { cookieBranch, loopCookie } from '../sip/proxy/loop.ts'
import { leadsHere, type Own } from '../sip/proxy/own.ts'
import { hopsLeft } from '../sip/proxy/validate.ts'
import type { ClientTransaction, ClientUser, TransactionLayer } from '../stack/transaction-layer.ts'
import type { Flow, SentBy, Target, TransportPort } from '../stack/transport.ts'
import { fits, needsItsConnection } from './connection-only.ts'
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
  readonly #o: ProxyCoreOptions
  readonly #hostPorts = new WeakMap<SentBy, string>()

  constructor(options: ProxyCoreOptions) {
    this.#o = options
    this.clock = options.clock
    this.router = options.router
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
      const { path } = exchange.flow
      const end = this.#endTowards(target, path)
      const routes = exchange.recordRoute ? this.#recordRoutes(path, target.protocol, end, request) : []
      stamp(request, this.#via(target.protocol, end, branch), routes)
      exchange.call?.routedTo(target.host, target.port)
      then(this.#o.layer().request(request, leavingBy(target, path), user))
    })
  }

  /**
   * §16.11 for an ACK to a 2xx, already preprocessed: on its way, without state and without an answer when it cannot go.
   * @param path what it came in on
   */
  forwardAck(ack: Request, path: Path): void {
    if (hopsLeft(ack) <= 0) return
    const cookie = loopCookie(ack)
    this.#find(advance(ack), undefined, (target) => {
      // To ourselves it would only come back until its hops are used up.
      if (typeof target === 'number' || leadsHere(this.#o.own, target.host, target.port)) return
      const branch = cookieBranch(this.#o.identifiers.branch(), cookie)
      stamp(ack, this.#via(target.protocol, this.#endTowards(target, path), branch), [])
      this.#o.transport.reach(leavingBy(target, path), (flow) => void flow?.send(ack))
    })
  }

  #find(hop: string, called: string | undefined, then: (target: Target | number) => void): void {
    const flow = this.#o.flowFor(hop, called)
    if (flow !== undefined && !flow.closed && fits(hop, flow)) {
      const { protocol, remote } = flow.path
      then({ protocol, host: remote.host, port: remote.port, flow })
      return
    }
    // 480: there is nobody listening where it could be called back.
    if (needsItsConnection(hop)) then(480)
    else locate(hop, this.#o.resolver, (located) => then(located.ok ? located.target : located.status))
  }

  /** What we are called where a request leaves: by the listener it came in on, where that fits. */
  #endTowards({ protocol, host, flow }: Target, arrived: Path): SentBy {
    return this.#o.transport.sentBy(protocol, { host, local: flow?.path.local ?? arrived.local })
  }

  #via(protocol: Protocol, end: SentBy, branch: string): string {
    return `SIP/2.0/${protocol.toUpperCase()} ${this.#hostPort(end)};branch=${branch}`
  }

  /**
   * One value, or two where the transport, the address family or the listener changes (RFC 5658 §4): the way in first,
   * the way out on top of it. A sips request gets sips URIs (§16.6 step 4).
   */
  #recordRoutes(
    { protocol: inbound, local, remote }: Path,
    outbound: Protocol,
    end: SentBy,
    { uri }: Request,
  ): readonly string[] {
    const scheme = uri.startsWith('sips:') ? 'sips' : 'sip'
    const entry = this.#o.transport.sentBy(inbound, { host: remote.host, local })
    const value = (protocol: Protocol, { params, at }: { params: string; at: SentBy }): string =>
      `<${scheme}:${this.#hostPort(at)}${transportParam(protocol)};lr${params}>`
    if (inbound === outbound && entry === end) return [value(inbound, { params: '', at: entry })]
    return [value(inbound, { params: ';r2=on', at: entry }), value(outbound, { params: ';r2=on', at: end })]
  }

  #hostPort(end: SentBy): string {
    const known = this.#hostPorts.get(end)
    if (known !== undefined) return known
    const text = formatAddress(end)
    this.#hostPorts.set(end, text)
    return text
  }
}

/** The listener a datagram came in on also sends what follows from it, where it can reach the target. */
function leavingBy(target: Target, { protocol, local }: Path): Target {
  return target.protocol === 'udp' && protocol === 'udp' && target.local === undefined
    ? { ...target, local }
    : target
}

function transportParam(protocol: Protocol): string {
  return protocol === 'udp' ? '' : `;transport=${protocol}`
}
