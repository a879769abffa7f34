import type { Address } from '../base/address.ts'

/** What the bytes at the start of a connection say: the PROXY protocol, version 2, §2.2. */
export type ProxyHeader =
  | { readonly what: 'more' }
  | { readonly what: 'fault'; readonly why: string }
  /** `length` bytes of header; `source` is null when the balancer speaks for itself (LOCAL: a health check). */
  | { readonly what: 'header'; readonly length: number; readonly source: Address | null }

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const FIXED = 16
const LOCAL = 0x20
const PROXY = 0x21
const TCP4 = 0x11
const TCP6 = 0x21
/** Addresses and the extensions (TLVs) behind them. Balancers send some 100 bytes; nobody needs the 65,535 there could be. */
const MAX_REST = 4_096

const more = { what: 'more' } as const
const fault = (why: string): ProxyHeader => ({ what: 'fault', why })

/** Reads what there is of a header. Pure; looks at no more than the header's own bytes. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  const known = Math.min(bytes.length, SIGNATURE.length)
  if (!bytes.subarray(0, known).equals(SIGNATURE.subarray(0, known))) return fault('no PROXY v2 header')
  if (bytes.length < FIXED) return more
  const command = bytes.readUInt8(12)
  const family = bytes.readUInt8(13)
  const rest = bytes.readUInt16BE(14)
  if (command !== LOCAL && command !== PROXY) return fault('an unknown PROXY version or command')
  if (rest > MAX_REST) return fault('a PROXY header that is too long')
  const length = FIXED + rest
  if (bytes.length < length) return more
  if (command === LOCAL) return { what: 'header', length, source: null }
  if (family === TCP4 && rest >= 12) {
    const host = [...bytes.subarray(FIXED, FIXED + 4)].join('.')
    return { what: 'header', length, source: { host, port: bytes.readUInt16BE(FIXED + 8) } }
  }
  if (family === TCP6 && rest >= 36) {
    return {
      what: 'header',
      length,
      source: { host: ipv6(bytes.subarray(FIXED, FIXED + 16)), port: bytes.readUInt16BE(FIXED + 32) },
    }
  }
  return fault('a PROXY header without the address of a TCP client')
}

/** As the system writes it (RFC 5952), so that it equals the address of a direct connection. */
function ipv6(bytes: Buffer): string {
  const mapped = bytes.subarray(0, 10).every((b) => b === 0) && bytes.readUInt16BE(10) === 0xffff
  if (mapped) return [...bytes.subarray(12)].join('.')
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16))
  // URL writes an IPv6 host in the canonical form.
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}
