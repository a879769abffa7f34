import type { Clock } from '../base/clock.ts'
import { formatAddress, type Path, type Protocol } from '../base/address.ts'
import type { Identifiers } from '../base/identifiers.ts'
import type { Request } from '../sip/message/message.ts'
import { advance, type Forwarding, forward, stamp } from '../sip/proxy/forward.ts'
import { cookieBranch, isLoop, loopCookie } from '../sip/proxy/loop.ts'
import { setBreadth } from '../sip/proxy/max-breadth.ts'
import { leadsHere, type Own } from '../sip/proxy/own.ts'
import { routeUri } from '../sip/proxy/preprocess.ts'
import { hopsLeft } from '../sip/proxy/validate.ts'
import { supports } from '../sip/registrar/outbound.ts'
import type { ClientTransaction, ClientUser, TransactionLayer } from '../stack/transaction-layer.ts'
import type { Spine } from '../spine/spine.ts'
import type { Flow, SentBy, Target, TransportPort } from '../stack/transport.ts'
import type { Way, Ways } from './binding-ways.ts'
import type { GatewayPort } from './branch-watch.ts'
import { editedRequest } from './edits.ts'
import type { Exchange } from './exchange.ts'
import { DEFAULT_FAILOVER, type FailoverTimes, NextTargets } from './next-targets.ts'
import { FlowTokens } from './flow-tokens.ts'
import { ProxiedRequest } from './proxied-request.ts'
import type { Resolver } from './target.ts'
import type { ContactView, Decision, Router, Verdict } from './verdict.ts'

/** RFC 3261 §16.6 step 11: more than three minutes. */
export const DEFAULT_TIMER_C_MS = 181_000

export interface ProxyCoreOptions {
  readonly clock: Clock
  readonly spine: Spine
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
  /** Registered contacts; absent: every URI is only a URI. */
  readonly ways?: Ways
  /** Names for flows in Path and Record-Route; absent: none are named there. */
  readonly flowTokens?: FlowTokens
  readonly failover?: FailoverTimes
}

/** What a branch gets after the wish to send it. */
export interface Launch {
  readonly original: Request
  /** The branch's Request-URI; null leaves it. */
  readonly uri: string | null
  /** A next hop that overrides the Route set. */
  readonly nextHop: string | null
  /** How the contact is reached that `uri` is; null when it is none. */
  readonly way: Way | null
  /** Its share of Max-Breadth (RFC 5393 §5.3). */
  readonly breadth: number
  readonly exchange: Exchange
}

/** The stateful proxy, RFC 3261 §16: drives response contexts over the transaction layer. */
export class ProxyCore {
  readonly clock: Clock
  readonly router: Router
  readonly timerCMs: number
  readonly gateways: GatewayPort | null
  readonly #o: ProxyCoreOptions
  readonly #next: NextTargets
  readonly #hostPorts = new WeakMap<SentBy, string>()

  constructor(options: ProxyCoreOptions) {
    this.#o = options
    this.clock = options.clock
    this.router = options.router
    this.gateways = options.gateways ?? null
    this.timerCMs = options.timerCMs ?? DEFAULT_TIMER_C_MS
    const { clock, spine, resolver, failover = DEFAULT_FAILOVER } = options
    this.#next = new NextTargets({ clock, spine, resolver, failover })
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
    { original, uri, nextHop, way, breadth, exchange }: Launch,
    user: ClientUser,
    wanted: () => boolean,
    then: (result: ClientTransaction | number) => void,
  ): void {
    if (way?.dead === true) return then(430)
    const forwarding = forward(original, uri, nextHop, way?.routes)
    setBreadth(forwarding.request, breadth)
    const edge = uri === null && nextHop === null ? exchange.edge : null
    const fixed = way?.target ?? edge ?? this.#ownRoute(forwarding)
    if (typeof fixed === 'number') return then(fixed)
    const pin = way?.pinned === true || edge !== null
    this.#find(forwarding.nextHop, exchange.request.uri, fixed, (targets) => {
      if (!wanted()) return
      if (typeof targets === 'number') {
        then(targets)
        return
      }
      const { request } = forwarding
      const [only] = targets
      if (targets.length === 1 && only !== undefined) then(this.#send(request, only, user, exchange, pin))
      else {
        const failover = this.#next.failover(request, targets, user, wanted, (copy, target, attempt) =>
          this.#send(copy, target, attempt, exchange, pin),
        )
        then(failover)
        failover.start()
      }
    })
    return undefined
  }

  /** As of `Ways`, when the Request-URI alone says where the request goes. */
  behindGruu(request: Request): ReturnType<Ways['behindGruu']> {
    if (!request.uri.includes(';gr') || request.headers.has('route')) return null
    return this.#o.ways?.behindGruu(request.uri) ?? null
  }

  /** The reference of a registered contact that a target is; null when it is none. */
  referenceOf(uri: string, called: string): string | null {
    return this.#o.ways?.referenceOf(uri, called) ?? null
  }

  /** Null when the contact is none, or no longer. */
  wayTo(reference: string): Way | null {
    return this.#o.ways?.wayTo(reference) ?? null
  }

  deviceOf(reference: string): string | null {
    return this.#o.ways?.deviceOf(reference) ?? null
  }

  /** @param pin the dialog keeps to the flow that this request takes */
  #send(
    request: Request,
    target: Target,
    user: ClientUser,
    exchange: Exchange,
    pin: boolean,
  ): ClientTransaction {
    const branch = cookieBranch(this.#o.identifiers.branch(), exchange.cookie)
    const { path } = exchange.flow
    const at = this.#nameTowards(target, path)
    if (exchange.addPath) request.headers.prepend('Path', this.#path(exchange, target.protocol, at))
    const routes = exchange.recordRoute
      ? this.#recordRoutes(
          { protocol: path.protocol, at: this.#entry(path), user: this.#tokenBack(exchange) },
          { protocol: target.protocol, at, user: pin ? this.#tokenOn(target) : null },
          request.uri.startsWith('sips:') ? 'sips' : 'sip',
        )
      : []
    stamp(request, this.#via(target.protocol, at, branch), routes)
    if (exchange.call !== null) {
      exchange.call.routedTo(target.host, target.port)
      exchange.call.bParty = request.uri
    }
    return this.#o.layer().request(request, leavingBy(target, path), user)
  }

  /**
   * §16.11 for an ACK to a 2xx, already preprocessed: on its way, without state and without an answer when it cannot go.
   * @param path what it came in on
   */
  forwardAck(ack: Request, path: Path, edge: Target | null = null): void {
    if (hopsLeft(ack) <= 0) return
    const cookie = loopCookie(ack)
    const devices = this.behindGruu(ack)
    if (devices !== null) {
      this.#ackDevice(ack, typeof devices === 'number' ? [] : devices, path)
      return
    }
    this.#sendAck(ack, { hop: advance(ack), fixed: edge }, cookie, path)
  }

  /** An ACK whose Request-URI is a GRUU goes where the INVITE went: to the contact that is behind it. */
  #ackDevice(ack: Request, [device]: readonly Pick<ContactView, 'uri' | 'reference'>[], path: Path): void {
    const way = device === undefined ? null : this.wayTo(device.reference)
    if (device === undefined || way === null || way.dead) return
    const cookie = loopCookie(ack)
    const forwarding = forward(ack, device.uri, null, way.routes)
    const fixed = way.target ?? this.#ownRoute(forwarding)
    if (typeof fixed === 'number') return
    this.#sendAck(forwarding.request, { hop: forwarding.nextHop, fixed }, cookie, path)
  }

  #sendAck(
    ack: Request,
    { hop, fixed }: { readonly hop: string; readonly fixed: Target | null },
    cookie: string,
    path: Path,
  ): void {
    this.#find(hop, undefined, fixed, (targets) => {
      const [target] = typeof targets === 'number' ? [] : targets
      if (target === undefined) return
      // A spiral comes back to us with a Route less; what comes back unchanged would until its hops are used up.
      const { own } = this.#o
      if (leadsHere(own, target.host, target.port) && isLoop(ack, cookie, own)) return
      const branch = cookieBranch(this.#o.identifiers.branch(), cookie)
      stamp(ack, this.#via(target.protocol, this.#nameTowards(target, path), branch), [])
      this.#o.transport.reach(leavingBy(target, path), (flow) => void flow?.send(ack))
    })
  }

  /** The targets to try, in this order; or the status of a hop that leads nowhere. */
  #find(
    hop: string,
    called: string | undefined,
    fixed: Target | null,
    then: (targets: readonly Target[] | number) => void,
  ): void {
    if (fixed !== null) return then([fixed])
    return this.#next.find(hop, this.#o.flowFor(hop, called), then)
  }

  /** What we are called where a request leaves: by the listener it came in on, where that fits. */
  #nameTowards({ protocol, host, flow, local }: Target, arrived: Path): SentBy {
    return this.#o.transport.sentBy(protocol, { host, local: flow?.path.local ?? local ?? arrived.local })
  }

  /** What we are called where a request came in. */
  #entry({ protocol, local, remote }: Path): SentBy {
    return this.#o.transport.sentBy(protocol, { host: remote.host, local })
  }

  #via(protocol: Protocol, at: SentBy, branch: string): string {
    return `SIP/2.0/${protocol.toUpperCase()} ${this.#hostPort(at)};branch=${branch}`
  }

  /**
   * A contact whose Path begins with us was registered through us: its token leads to the flow without a detour (one node
   * that is edge and registrar). Takes that Route off.
   */
  #ownRoute(forwarding: Forwarding): Target | null | number {
    const { flowTokens, own } = this.#o
    const first = flowTokens === undefined ? undefined : forwarding.request.headers.first('route')
    const uri = first === undefined ? null : routeUri(first)
    if (flowTokens === undefined || uri?.user == null || !FlowTokens.looksLike(uri.user)) return null
    if (!leadsHere(own, uri.host, uri.port)) return null
    forwarding.request.headers.removeFirst('route')
    const redeemed = flowTokens.redeem(uri.user)
    return redeemed.ok ? redeemed.target : redeemed.status
  }

  /**
   * One value, or two where the transport, the address family or the listener changes (RFC 5658 §4) or both ends are
   * reached by flows of their own (RFC 5626 §5.3): the way in first, the way out on top of it. A sips request gets sips
   * URIs (§16.6 step 4).
   */
  #recordRoutes(inbound: End, outbound: End, scheme: 'sip' | 'sips'): readonly string[] {
    const same = inbound.protocol === outbound.protocol && inbound.at === outbound.at
    if (same && (inbound.user === null || outbound.user === null)) {
      return [this.#route({ ...inbound, user: inbound.user ?? outbound.user }, ';lr', scheme)]
    }
    return [inbound, outbound].map((end) => this.#route(end, ';lr;r2=on', scheme))
  }

  #route({ protocol, at, user }: End, params: string, scheme = 'sip'): string {
    const token = user === null ? '' : `${user}@`
    return `<${scheme}:${token}${this.#hostPort(at)}${transportParam(protocol)}${params}>`
  }

  /** RFC 5626 §5.1: the first hop names the flow, and says so (`ob`) to a phone that asked for it. */
  #path({ request, flow }: Exchange, protocol: Protocol, at: SentBy): string {
    const { flowTokens } = this.#o
    const first = request.headers.count('via') === 1 && flowTokens !== undefined
    if (!first) return this.#route({ protocol, at, user: null }, ';lr')
    const asked =
      supports(request, 'outbound') && /;\s*reg-id\s*=/i.test(request.headers.first('contact') ?? '')
    return this.#route({ protocol, at, user: flowTokens.tokenOf(flow) }, asked ? ';lr;ob' : ';lr')
  }

  /** RFC 5626 §5.3: a phone that wants its dialogs on its flow has `ob` in its Contact, and no proxy stands before us. */
  #tokenBack({ request, flow }: Exchange): string | null {
    const { flowTokens } = this.#o
    if (flowTokens === undefined || request.headers.count('via') !== 1) return null
    return /;ob(?=[;>?=]|$)/i.test(request.headers.first('contact') ?? '') ? flowTokens.tokenOf(flow) : null
  }

  #tokenOn(target: Target): string | null {
    return this.#o.flowTokens?.tokenFor(target) ?? null
  }

  #hostPort(at: SentBy): string {
    const known = this.#hostPorts.get(at)
    if (known !== undefined) return known
    const text = formatAddress(at)
    this.#hostPorts.set(at, text)
    return text
  }
}

/** The listener a datagram came in on also sends what follows from it, where it can reach the target. */
function leavingBy(target: Target, { protocol, local }: Path): Target {
  return target.protocol === 'udp' && protocol === 'udp' && target.local === undefined
    ? { ...target, local }
    : target
}

/** One side of a record-routed dialog. */
interface End {
  readonly protocol: Protocol
  readonly at: SentBy
  /** The token of its flow; null when its requests find their way. */
  readonly user: string | null
}

function transportParam(protocol: Protocol): string {
  return protocol === 'udp' ? '' : `;transport=${protocol}`
}
