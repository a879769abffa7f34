import type { Address, Protocol } from '../../base/address.ts'

/**
 * HEP version 3, the encapsulation that Homer, sngrep and Kamailio's sipcapture read: `HEP3`, a length, and chunks of
 * vendor (0), type, length (its own six bytes included) and value, all integers big-endian.
 */
export const Chunk = {
  family: 1,
  protocol: 2,
  source4: 3,
  destination4: 4,
  source6: 5,
  destination6: 6,
  sourcePort: 7,
  destinationPort: 8,
  seconds: 9,
  microseconds: 10,
  type: 11,
  captureId: 12,
  authKey: 14,
  payload: 15,
  correlation: 17,
  nodeName: 19,
} as const

/** The largest UDP payload over IPv4. Stream receivers (heplify-server) also close on anything longer. */
export const MAX_PACKET = 65_507
/** A Call-ID may be as long as a message; a correlation id longer than this is cut. */
export const MAX_CORRELATION = 512
const CHUNK_HEADER = 6
const TYPE_SIP = 1
const AF_INET = 2
const AF_INET6 = 10

/** Four or sixteen bytes, or null for what is not an IP address (a zone like `%eth0` is dropped). */
export function parseIp(host: string): Uint8Array | null {
  if (!host.includes(':')) return parseIpv4(host)
  const text = host.split('%', 1)[0] ?? ''
  const halves = text.split('::')
  if (halves.length > 2) return null
  const head = groups(halves[0] ?? '')
  const tail = groups(halves[1] ?? '')
  if (!head || !tail) return null
  const given = head.length + tail.length
  if (halves.length === 2 ? given > 14 : given !== 16) return null
  const bytes = new Uint8Array(16)
  bytes.set(head, 0)
  bytes.set(tail, 16 - tail.length)
  return bytes
}

function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split('.')
  if (parts.length !== 4) return null
  const bytes = new Uint8Array(4)
  for (const [i, part] of parts.entries()) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return null
    bytes[i] = Number(part)
  }
  return bytes
}

function groups(text: string): number[] | null {
  if (text === '') return []
  const out: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (part.includes('.')) {
      const v4 = i === parts.length - 1 ? parseIpv4(part) : null
      if (!v4) return null
      out.push(...v4)
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null
      const group = Number.parseInt(part, 16)
      out.push(group >> 8, group & 255)
    }
  }
  return out
}

function mapped(v4: Uint8Array): Uint8Array {
  const v6 = new Uint8Array(16)
  v6[10] = 255
  v6[11] = 255
  v6.set(v4, 12)
  return v6
}

/**
 * Chunks 1–8 for one way of one path: made once for each flow and copied into every packet. When one address is IPv4 and
 * the other IPv6, the former is written mapped (`::ffff:a.b.c.d`), so that family and both addresses agree. Null when
 * an address is not an IP address.
 */
export function addressChunks(protocol: Protocol, source: Address, destination: Address): Uint8Array | null {
  let from = parseIp(source.host)
  let to = parseIp(destination.host)
  if (!from || !to) return null
  if (from.length !== to.length) {
    if (from.length === 4) from = mapped(from)
    else to = mapped(to)
  }
  const v6 = from.length === 16
  const out = Buffer.alloc(2 * (CHUNK_HEADER + 1) + 2 * (CHUNK_HEADER + from.length) + 2 * (CHUNK_HEADER + 2))
  let at = chunkHeader(out, 0, Chunk.family, 1)
  out[at++] = v6 ? AF_INET6 : AF_INET
  at = chunkHeader(out, at, Chunk.protocol, 1)
  out[at++] = protocol === 'udp' ? 17 : 6
  at = chunkHeader(out, at, v6 ? Chunk.source6 : Chunk.source4, from.length)
  out.set(from, at)
  at = chunkHeader(out, at + from.length, v6 ? Chunk.destination6 : Chunk.destination4, to.length)
  out.set(to, at)
  at = chunkHeader(out, at + to.length, Chunk.sourcePort, 2)
  out.writeUInt16BE(source.port & 0xffff, at)
  at = chunkHeader(out, at + 2, Chunk.destinationPort, 2)
  out.writeUInt16BE(destination.port & 0xffff, at)
  return out
}

function chunkHeader(out: Buffer, at: number, type: number, length: number): number {
  out.writeUInt32BE(type, at)
  out.writeUInt16BE(length + CHUNK_HEADER, at + 4)
  return at + CHUNK_HEADER
}

/** Who speaks, the same in every packet of a node. */
export interface HepIdentity {
  /** Chunk 12, 0 … 2^32-1. */
  readonly captureId: number
  /** Chunk 19; none when empty. Up to 256 bytes of UTF-8. */
  readonly nodeName: string
  /** Chunk 14; none when null. Up to 256 bytes of UTF-8. */
  readonly authKey: string | null
}

/**
 * From configuration: an `agent_id` that is a decimal number is the capture id as well as the node name; any other text is the
 * node name of capture id 1, unless a capture id is given.
 */
export function hepIdentity(agentId: string, captureId?: number, authKey?: string | null): HepIdentity {
  const numeric = /^\d{1,10}$/.test(agentId) && Number(agentId) <= 0xffffffff ? Number(agentId) : 1
  return { captureId: captureId ?? numeric, nodeName: agentId, authKey: authKey ?? null }
}

/** One message to encode. Ranges are of `from`, which may be shared memory. */
export interface HepFields {
  from: Buffer
  seconds: number
  microseconds: number
  addressStart: number
  correlationStart: number
  payloadStart: number
  payloadEnd: number
  /** Bytes that the message had on the wire, when more than the payload given; else the payload's length. */
  originalLength: number
}

/** Writes packets of one identity. What does not change is laid down once and copied. */
export class HepEncoder {
  /** Chunks 9–12, 14 and 19, time and all: the time is patched after the copy. */
  readonly #fixed: Buffer
  /** Bytes that a packet has besides addresses, correlation id and payload. */
  readonly #overhead: number

  constructor(identity: HepIdentity) {
    const name = Buffer.from(identity.nodeName).subarray(0, 256)
    const key = identity.authKey === null ? null : Buffer.from(identity.authKey).subarray(0, 256)
    const out = Buffer.alloc(
      10 + 10 + 7 + 10 + (key ? 6 + key.length : 0) + (name.length > 0 ? 6 + name.length : 0),
    )
    let at = chunkHeader(out, 0, Chunk.seconds, 4) + 4
    at = chunkHeader(out, at, Chunk.microseconds, 4) + 4
    at = chunkHeader(out, at, Chunk.type, 1)
    out[at++] = TYPE_SIP
    at = chunkHeader(out, at, Chunk.captureId, 4)
    at = out.writeUInt32BE(identity.captureId >>> 0, at)
    if (key) {
      at = chunkHeader(out, at, Chunk.authKey, key.length)
      out.set(key, at)
      at += key.length
    }
    if (name.length > 0) {
      at = chunkHeader(out, at, Chunk.nodeName, name.length)
      out.set(name, at)
    }
    this.#fixed = out
    this.#overhead = 6 + out.length + 2 * CHUNK_HEADER
  }

  /** No packet of these fields is longer. */
  maxLength(fields: HepFields): number {
    return Math.min(MAX_PACKET, this.#overhead + fields.payloadEnd - fields.addressStart)
  }

  /**
   * Writes one packet to `out` at `at`, where `maxLength` bytes are free, and returns its end. A payload that would make the
   * packet longer than 65,507 bytes is cut, and ends in a line that says so, with the length it had.
   */
  encode(out: Buffer, at: number, fields: HepFields): number {
    const { from, addressStart, correlationStart, payloadStart } = fields
    out.writeUInt32BE(0x48455033, at)
    let end = at + 6
    end += from.copy(out, end, addressStart, correlationStart)
    out.set(this.#fixed, end)
    out.writeUInt32BE(fields.seconds >>> 0, end + 6)
    out.writeUInt32BE(fields.microseconds >>> 0, end + 16)
    end += this.#fixed.length
    if (payloadStart > correlationStart) {
      end = chunkHeader(out, end, Chunk.correlation, payloadStart - correlationStart)
      end += from.copy(out, end, correlationStart, payloadStart)
    }
    const given = fields.payloadEnd - payloadStart
    const room = MAX_PACKET - (end - at) - CHUNK_HEADER
    const whole = given <= room && fields.originalLength <= given
    const mark = whole ? '' : cutMark(fields.originalLength)
    const kept = Math.min(given, room - mark.length)
    end = chunkHeader(out, end, Chunk.payload, kept + mark.length)
    end += from.copy(out, end, payloadStart, payloadStart + kept)
    if (!whole) end += out.write(mark, end, 'latin1')
    out.writeUInt16BE(end - at, at + 4)
    return end
  }
}

/** The end of a payload that was cut: readable wherever the message is shown. */
export function cutMark(originalLength: number): string {
  return `\r\n[cut by siphon: the message had ${originalLength} bytes]`
}
