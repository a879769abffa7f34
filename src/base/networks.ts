import { BlockList, isIP } from 'node:net'

/** A set of networks: IP addresses and CIDR blocks, both families. An IPv4 address mapped into IPv6 counts as IPv4. */
export class Networks {
  readonly #list = new BlockList()

  /** Adds `10.0.0.0/8`, `2001:db8::/32`, or a single address. False: it is neither, and nothing was added. */
  add(text: string): boolean {
    const parsed = parseNetwork(text)
    if (parsed === null) return false
    const family = parsed.address.includes(':') ? 'ipv6' : 'ipv4'
    this.#list.addSubnet(parsed.address, parsed.prefix, family)
    return true
  }

  /** False for what is no IP address. */
  has(ip: string): boolean {
    const plain = unmapped(ip)
    const family = isIP(plain)
    return family !== 0 && this.#list.check(plain, family === 6 ? 'ipv6' : 'ipv4')
  }
}

/** A network of these; the texts have been checked. */
export function networksOf(texts: readonly string[]): Networks {
  const networks = new Networks()
  for (const text of texts) networks.add(text)
  return networks
}

/** Null when it is no IP address with or without a prefix length. */
export function parseNetwork(text: string): { readonly address: string; readonly prefix: number } | null {
  const slash = text.indexOf('/')
  const address = slash < 0 ? text : text.slice(0, slash)
  const family = isIP(address)
  if (family === 0) return null
  const most = family === 6 ? 128 : 32
  if (slash < 0) return { address, prefix: most }
  const length = text.slice(slash + 1)
  if (!/^\d{1,3}$/.test(length) || Number(length) > most) return null
  return { address, prefix: Number(length) }
}

function unmapped(ip: string): string {
  const match = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)
  return match?.[1] ?? ip
}
