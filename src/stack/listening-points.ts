import { isIP } from 'node:net'
import type { Address, Path, Protocol } from '../base/address.ts'
import { ownAddressFor, ownAddresses } from '../net/own-addresses.ts'
import type { SentBy, Toward } from './transport.ts'

/** Where to listen, and what to tell others about it. */
export interface ListenerOptions {
  readonly protocol: Protocol
  readonly address: Address
  /** What goes into Via and Record-Route instead of the address: a host name or an address. */
  readonly advertise: SentBy | null
  /** Networks (CIDR) of load balancers whose PROXY header is believed and demanded; null: none is expected. */
  readonly balancers?: readonly string[] | null
}

/** RFC 3261 §19.1.2, RFC 7118 §5.2.2: of a sent-by or a URI without a port. */
const DEFAULT_PORTS: Readonly<Record<Protocol, number>> = {
  udp: 5060,
  tcp: 5060,
  tls: 5061,
  ws: 80,
  wss: 443,
}

interface Point {
  readonly protocol: Protocol
  readonly local: Address
  readonly advertise: SentBy | null
  readonly v6: boolean
  /** For 0.0.0.0 and ::, by the address a peer is reached from. */
  readonly sentBys: Map<string, SentBy>
  /** The addresses it stands for. */
  readonly hosts: ReadonlySet<string>
}

/** The addresses we listen on, and what we call ourselves by them. */
export class ListeningPoints {
  #points: Point[] = []

  /** @param local the address bound */
  add({ protocol, advertise }: ListenerOptions, local: Address): void {
    const v6 = isV6(local.host)
    const hosts = new Set(isWildcard(local.host) ? ownAddresses(v6 ? 6 : 4) : [local.host])
    this.#points.push({ protocol, local, advertise, v6, sentBys: new Map(), hosts })
  }

  clear(): void {
    this.#points = []
  }

  get list(): readonly { readonly protocol: Protocol; readonly local: Address }[] {
    return this.#points
  }

  has(protocol: Protocol): boolean {
    return this.#points.some((p) => p.protocol === protocol)
  }

  /** Whether host and port of a URI or a Via are ours: an own address, or what we advertise for it. */
  isOurs(host: string, port: number | null): boolean {
    for (const { protocol, local, advertise, hosts } of this.#points) {
      const wanted = port ?? DEFAULT_PORTS[protocol]
      if (advertise !== null && advertise.port === wanted && same(advertise.host, host)) return true
      if (local.port === wanted && (same(local.host, host) || hosts.has(host))) return true
    }
    return false
  }

  /**
   * The listening point that stands for us towards a peer: of the protocol and of the peer's address family, and of
   * these the one that `toward.local` names, else the first.
   */
  pick(protocol: Protocol, toward: Toward): Point | undefined {
    const { host, local } = toward
    const v6 = host === undefined ? (local === undefined ? undefined : isV6(local.host)) : isV6(host)
    let best: Point | undefined
    let score = -1
    for (const point of this.#points) {
      if (point.protocol !== protocol) continue
      const points =
        (v6 === undefined || point.v6 === v6 ? 8 : 0) +
        (local === undefined ? 0 : point.local.port === local.port ? 2 : 0) +
        (local !== undefined && (same(point.local.host, local.host) || point.hosts.has(local.host)) ? 4 : 0)
      if (points > score) [best, score] = [point, points]
    }
    return best
  }

  sentBy(protocol: Protocol, toward: Toward): SentBy {
    const point = this.pick(protocol, toward) ?? this.#points[0]
    if (point === undefined) throw new Error('the transport layer listens nowhere')
    if (point.advertise !== null) return point.advertise
    if (!isWildcard(point.local.host)) return point.local
    const own = ownAddressFor(toward.host ?? null, point.v6 ? 6 : 4) ?? point.local.host
    let sentBy = point.sentBys.get(own)
    if (sentBy === undefined) point.sentBys.set(own, (sentBy = { host: own, port: point.local.port }))
    return sentBy
  }

  /** Our end of the path as peers know it, always an IP address: what is advertised, or the interface's. */
  advertised({ protocol, local, remote }: Path): Address {
    const point = this.#points.find(
      (p) =>
        p.protocol === protocol &&
        p.local.port === local.port &&
        (same(p.local.host, local.host) || p.hosts.has(local.host)),
    )
    if (point?.advertise && isIP(point.advertise.host) !== 0) return point.advertise
    if (!isWildcard(local.host)) return local
    return { host: ownAddressFor(remote.host, isV6(local.host) ? 6 : 4) ?? local.host, port: local.port }
  }
}

export function isV6(host: string): boolean {
  return host.includes(':')
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

/**
 * Equality by content. `===` on a fresh slice puts it into the engine's table of strings first, which costs ten times as
 * much as comparing nine characters.
 */
export function same(a: string, b: string): boolean {
  return a.length === b.length && a.startsWith(b)
}
