import { BlockList, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'

/** How long the interfaces are taken as known, ms: addresses come and go, but not with each request. */
const KEEP_MS = 10_000

interface Own {
  readonly host: string
  readonly family: 4 | 6
  readonly internal: boolean
  readonly network: BlockList
}

/** Answers of `ownAddressFor` that are remembered as long. */
const MAX_PEERS = 4_096

let known: readonly Own[] = []
let knownUntil = 0
const byPeer = new Map<string, string | null>()

/** Every address of this machine of one family, loopback too. */
export function ownAddresses(family: 4 | 6): readonly string[] {
  return interfaces().flatMap((own) => (own.family === family ? [own.host] : []))
}

/**
 * The address of this machine that a peer would see: of the interface whose network the peer is in, else the first that
 * is not loopback (link-local last). For a socket bound to every address. Null when there is none of the family.
 */
export function ownAddressFor(peer: string | null, family: 4 | 6): string | null {
  const all = interfaces()
  const key = `${family} ${peer}`
  let found = byPeer.get(key)
  if (found !== undefined) return found
  found = search(
    all.filter((o) => o.family === family),
    peer,
    family,
  )
  if (byPeer.size >= MAX_PEERS) byPeer.clear()
  byPeer.set(key, found)
  return found
}

function search(own: readonly Own[], peer: string | null, family: 4 | 6): string | null {
  // A zone (`fe80::1%eth0`) is no part of the address.
  const address = peer?.split('%', 1)[0] ?? ''
  if (isIP(address) === family) {
    const near = own.find(({ network }) => network.check(address, family === 6 ? 'ipv6' : 'ipv4'))
    if (near !== undefined) return near.host
  }
  const outside = own.filter(({ internal }) => !internal)
  const global = outside.find(({ host }) => !host.startsWith('fe80:'))
  return (global ?? outside[0] ?? own[0])?.host ?? null
}

function interfaces(): readonly Own[] {
  const now = performance.now()
  if (now < knownUntil) return known
  knownUntil = now + KEEP_MS
  byPeer.clear()
  known = Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address, family, internal, cidr }) => {
      const network = new BlockList()
      const type = family === 'IPv6' ? 'ipv6' : 'ipv4'
      const bits = Number(cidr?.split('/')[1] ?? (type === 'ipv6' ? 128 : 32))
      network.addSubnet(address, bits, type)
      return { host: address, family: type === 'ipv6' ? 6 : 4, internal, network } as const
    }),
  )
  return known
}
