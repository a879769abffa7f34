/** An IP address as eight numbers of 16 bits; IPv4 as its IPv4-mapped form (RFC 4291 §2.5.5.2), so that both are compared alike. */
export type Groups = readonly number[]

const V4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/

/** Null when the text is not an IP address. A zone (`%eth0`) is left out. */
export function parseGroups(text: string): Groups | null {
  if (!text.includes(':')) {
    const v4 = parseV4(text)
    return v4 && [0, 0, 0, 0, 0, 0xffff, ...v4]
  }
  const zone = text.indexOf('%')
  const address = zone < 0 ? text : text.slice(0, zone)
  const gap = address.indexOf('::')
  if (gap < 0) {
    const groups = parsePart(address)
    return groups?.length === 8 ? groups : null
  }
  const head = parsePart(address.slice(0, gap))
  const tail = parsePart(address.slice(gap + 2))
  if (head === null || tail === null || head.length + tail.length > 7) return null
  return [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => 0), ...tail]
}

function parsePart(text: string): number[] | null {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16))
    else {
      const v4 = i === parts.length - 1 ? parseV4(part) : null
      if (v4 === null) return null
      groups.push(...v4)
    }
  }
  return groups
}

function parseV4(text: string): [number, number] | null {
  const match = V4.exec(text)
  if (match === null) return null
  const bytes = match.slice(1).map(Number)
  // 010 is 8 to some and 10 to others.
  if (bytes.some((byte, i) => byte > 255 || String(byte) !== match[i + 1])) return null
  const [a = 0, b = 0, c = 0, d = 0] = bytes
  return [a * 256 + b, c * 256 + d]
}

const isMapped = (g: Groups): boolean => g[5] === 0xffff && g.slice(0, 5).every((group) => group === 0)

/** An address and how many of its first bits count. */
export interface Network {
  readonly groups: Groups
  /** 0 … 128; that of an IPv4 network is 96 more than written. */
  readonly bits: number
}

/** `192.0.2.0/24`, `2001:db8::/32`, or a single address. Null when it is neither, or when bits past the prefix are set. */
export function parseNetwork(text: string): Network | null {
  const slash = text.indexOf('/')
  const groups = parseGroups(slash < 0 ? text : text.slice(0, slash))
  if (groups === null) return null
  if (slash < 0) return { groups, bits: 128 }
  const length = text.slice(slash + 1)
  if (!/^\d{1,3}$/.test(length)) return null
  const bits = Number(length) + (text.includes(':') ? 0 : 96)
  if (bits > 128) return null
  const clear = groups.every((group, i) => (group & ~mask(bits, i) & 0xffff) === 0)
  return clear ? { groups, bits } : null
}

export function contains(network: Network, address: Groups): boolean {
  for (let i = 0; i < 8; i++) {
    const m = mask(network.bits, i)
    if (m === 0) return true
    if (((network.groups[i] ?? 0) & m) !== ((address[i] ?? 0) & m)) return false
  }
  return true
}

/** A set of networks. */
export class Networks {
  readonly #networks: readonly Network[]

  /** @param texts as `parseNetwork` takes them; others are left out: whoever reads them says so */
  constructor(texts: readonly string[]) {
    this.#networks = texts.map(parseNetwork).filter((network) => network !== null)
  }

  /** False for what is no IP address. */
  has(host: string): boolean {
    const groups = parseGroups(host)
    return groups !== null && this.#networks.some((network) => contains(network, groups))
  }
}

/** The bits of group `i` that belong to a prefix of `bits`. */
function mask(bits: number, i: number): number {
  const left = Math.min(16, Math.max(0, bits - 16 * i))
  return (0xffff << (16 - left)) & 0xffff
}

/**
 * Who an address is counted as: an IPv4 address itself, an IPv6 address as its /64, because whoever has one has 2^64.
 * Also for a text that already is a source. Anything else is given back.
 */
export function sourceOf(host: string): string {
  // The way of nearly every datagram: nothing is made.
  if (!host.includes(':')) return host
  const groups = parseGroups(host.endsWith('/64') ? host.slice(0, -3) : host)
  if (groups === null) return host
  const [a = 0, b = 0, c = 0, d = 0, , , g = 0, h = 0] = groups
  if (isMapped(groups)) return `${g >> 8}.${g & 255}.${h >> 8}.${h & 255}`
  return `${hex(a)}:${hex(b)}:${hex(c)}:${hex(d)}::/64`
}

function hex(group: number): string {
  return group.toString(16)
}
