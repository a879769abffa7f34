import { type Address, formatAddress, type Path, type Protocol } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import { Looks } from '../base/looks.ts'
import { RareLog } from '../base/rare-log.ts'
import type { HopTarget, NextHops } from '../base/next-hop.ts'
import type { StreamProtocol } from '../net/accept.ts'
import type { TlsMaterial } from '../net/tls.ts'
import { defaultLimits } from '../sip/message/limits.ts'
import { parseMessage } from '../sip/message/parse.ts'
import type { Message, Request } from '../sip/message/message.ts'
import type { LogLine } from '../spine/facts.ts'
import type { Spine } from '../spine/spine.ts'
import { Admission, defaultTransportLimits, type TransportLimits } from './admission.ts'
import { Connections } from './connections.ts'
import { Datagrams } from './datagrams.ts'
import { type Gate, Intake } from './intake.ts'
import { sentByHop } from './sent-by.ts'
import { isV6, type ListenerOptions, ListeningPoints } from './listening-points.ts'
import {
  type Flow,
  type SentBy,
  takesAnswers,
  type Target,
  type Toward,
  type TransportPort,
} from './transport.ts'

export { defaultTransportLimits, type TransportLimits } from './admission.ts'
export type { Gate } from './intake.ts'
export type { ListenerOptions } from './listening-points.ts'

export interface TransportLayerOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly limits?: TransportLimits
  /** Certificates; null or absent: TLS only as a client, towards servers with public ones. */
  readonly tls?: TlsMaterial | null
  /** Without it, everybody may. */
  readonly gate?: Gate
  /** For responses whose connection is gone (RFC 3263 §5); without it they follow the source address only. */
  readonly nextHops?: NextHops
  /** Every whole, valid message, requests with their top Via stamped (§18.2.1, RFC 3581 §4). */
  readonly onMessage: (message: Message, flow: Flow) => void
  readonly onFlowClosed: (flow: Flow, error: string | null) => void
  /** No answer can come on it any more, though one of ours may still go out; perhaps told more than once. */
  readonly onFlowDeaf?: (flow: Flow) => void
  /** A request did not leave: its datagram cannot be sent to where it was to go (§18.4). */
  readonly onUnsent?: (request: Request) => void
  /** Of the thread, for datagrams when they are many. Without them, the layer's own. */
  readonly looks?: Looks
  /** Datagrams that had come together have all been passed to `onMessage`. */
  readonly onBatch?: () => void
}

/** RFC 3261 §18: sockets to messages and back, Via stamping, response routing, connection reuse. */
export class TransportLayer implements TransportPort {
  readonly #o: TransportLayerOptions
  readonly #points = new ListeningPoints()
  readonly #datagrams: Datagrams
  readonly #connections: Connections
  readonly #rare: RareLog

  /** @throws when the TLS material does not fit together */
  constructor(options: TransportLayerOptions) {
    this.#o = options
    const { clock, identifiers, spine } = options
    const limits = options.limits?.message ?? defaultLimits
    const intake = new Intake({
      clock,
      identifiers,
      spine,
      limits,
      gate: options.gate ?? null,
      isOurs: (host, port) => this.isOurs(host, port),
      responseFlow: (request, arrivedOn, then) => this.responseFlow(request, arrivedOn, then),
      onMessage: (message, flow) => {
        if (flow.reliable) this.#connections.heard(message, flow)
        options.onMessage(message, flow)
      },
    })
    const admission = new Admission({
      limits: options.limits ?? defaultTransportLimits,
      admit: (host, protocol) => options.gate?.admit(host, protocol) ?? true,
      onRefused: (protocol, reason) => spine.dropped.publish({ protocol, reason }),
      onHandshakeFailed: (protocol, why, source) => this.#handshakeFailed('debug', protocol, why, source),
    })
    this.#rare = new RareLog(clock, (level, text) => this.#log(level, text))
    this.#datagrams = new Datagrams({
      clock,
      spine,
      intake,
      looks: options.looks ?? new Looks(),
      onBatch: options.onBatch ?? (() => undefined),
      onUnsent: (bytes, to, error) => this.#unsent(bytes, to, error),
      onError: (error) => this.#log('error', `udp: ${error.message}`),
    })
    this.#connections = new Connections({
      clock,
      spine,
      intake,
      admission,
      limits,
      tls: options.tls ?? null,
      onHandshakeFailed: (protocol, why) => this.#handshakeFailed('warn', protocol, why, null),
      onFlowClosed: options.onFlowClosed,
      onFlowDeaf: options.onFlowDeaf ?? (() => undefined),
      onError: (error) => this.#log('error', `listener: ${error.message}`),
    })
  }

  /** Opens a listener; rejects when its address cannot be had. Returns the address bound (port 0 becomes a real one). */
  async listen(options: ListenerOptions): Promise<Address> {
    const { protocol, address } = options
    const local =
      protocol === 'udp'
        ? await this.#datagrams.listen(address)
        : await this.#connections.listen({ ...options, protocol })
    this.#points.add(options, local)
    return local
  }

  /** New certificates: connections in progress stay. @throws when they do not fit together; the old ones serve on then */
  useTls(material: TlsMaterial): void {
    this.#connections.useTls(material)
  }

  /** Open connections by protocol. */
  get connections(): Readonly<Record<StreamProtocol, number>> {
    const count = (protocol: StreamProtocol): number => this.#connections.count(protocol)
    return { tcp: count('tcp'), tls: count('tls'), ws: count('ws'), wss: count('wss') }
  }

  /** Open connections, all together. */
  get connectionCount(): number {
    return this.#connections.size
  }

  /** Whether host and port of a URI or a Via are ours: an own address, or what we advertise for it. */
  isOurs(host: string, port: number | null): boolean {
    return this.#points.isOurs(host, port)
  }

  get listeners(): readonly { readonly protocol: Protocol; readonly local: Address }[] {
    return this.#points.list
  }

  sentBy(protocol: Protocol, toward: Toward = {}): SentBy {
    return this.#points.sentBy(protocol, toward)
  }

  /** Our end of the path as peers know it: what is advertised for its listener, where that is an address. */
  advertised(path: Path): Address {
    return this.#points.advertised(path)
  }

  reach(target: Target, then: (flow: Flow | null) => void): void {
    if (target.flow && !target.flow.closed) return then(target.flow)
    if (target.protocol !== 'udp') return this.#connections.reach(target, then)
    return then(this.#datagramFlow(target.host, target.port, target.local))
  }

  responseFlow(request: Request, arrivedOn: Flow, then: (flow: Flow | null) => void): void {
    const via = request.via
    const { protocol, remote, local } = arrivedOn.path
    if (arrivedOn.reliable) {
      const open = takesAnswers(arrivedOn)
      if (open || !via) return then(open ? arrivedOn : null)
      // §18.2.2: the connection is gone; try the source address at the port the Via names.
      const port = via.port ?? (protocol === 'tls' ? 5061 : 5060)
      const name = protocol === 'tls' ? { name: via.host } : {}
      return this.#connections.reach({ protocol, host: remote.host, port, ...name }, (flow) => {
        const hop = flow === null ? sentByHop(via) : null
        if (hop === null || this.#o.nextHops === undefined) return then(flow)
        return this.#o.nextHops.find(hop, (found) =>
          this.#firstOf(found.ok ? found.targets : [], via.host, then),
        )
      })
    }
    // NOTE: a maddr in the Via is not obeyed (§18.2.2 first bullet): it would let anybody aim our responses.
    const port = via?.params.has('rport') ? remote.port : (via?.port ?? 5060)
    if (port === remote.port) return then(arrivedOn)
    return then(this.#datagrams.flow(local, remote.host, port))
  }

  /** Connects to the first of the targets that can be reached; the certificate must name `name` (RFC 5922 §4). */
  #firstOf(targets: readonly HopTarget[], name: string, then: (flow: Flow | null) => void): void {
    const [next, ...others] = targets
    if (next === undefined) return then(null)
    const target = next.protocol === 'tls' ? { ...next, name } : next
    return this.reach(target, (flow) => (flow === null ? this.#firstOf(others, name, then) : then(flow)))
  }

  /** Cuts the connections of these peers: they have been banned. */
  cutFrom(isMeant: (remoteHost: string) => boolean): void {
    this.#connections.cutFrom(isMeant)
  }

  /** Stops listening and closes every connection. */
  async close(): Promise<void> {
    this.#points.clear()
    await Promise.all([this.#datagrams.close(), this.#connections.close()])
  }

  #datagramFlow(host: string, port: number, local: Address | undefined): Flow | null {
    const point = this.#points.pick('udp', local === undefined ? { host } : { host, local })
    if (point === undefined || point.v6 !== isV6(host)) return null
    return this.#datagrams.flow(point.local, host, port)
  }

  /** A network that is down refuses every datagram: the log hears of each kind of error now and then. */
  #unsent(bytes: Buffer, to: Address, error: NodeJS.ErrnoException): void {
    const code = error.code ?? error.message
    this.#rare.say(code, 'warn', `udp: cannot send to ${formatAddress(to)}: ${code}`)
    const result = parseMessage(bytes.toString('latin1'), this.#o.limits?.message ?? defaultLimits)
    if (result.ok && result.message.kind === 'request') this.#o.onUnsent?.(result.message)
  }

  /** Peers that do not get in are many and not ours to mend; that we do not get in somewhere is. */
  #handshakeFailed(
    level: 'debug' | 'warn',
    protocol: StreamProtocol,
    why: string,
    source: string | null,
  ): void {
    this.#o.spine.handshakeFailed.publish({ protocol, why, source })
    this.#log(level, `${protocol} handshake failed: ${why}`)
  }

  #log(level: LogLine['level'], text: string): void {
    const { spine, clock } = this.#o
    spine.logged.publish({ level, module: 'transport', text, fields: null, at: clock.wallTime() })
  }
}
