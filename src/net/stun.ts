import { isIPv4 } from 'node:net'
import type { Address } from '../base/address.ts'

/**
 * The STUN server that a SIP port has to be for its keep-alives (RFC 5626 §8, RFC 8489): it answers Binding requests with
 * the address they came from, without authentication, and takes no notice of anything else.
 */

const MAGIC_COOKIE = 0x2112_a442
const HEADER_BYTES = 20
const BINDING_REQUEST = 0x0001
const BINDING_SUCCESS = 0x0101
const BINDING_ERROR = 0x0111
const XOR_MAPPED_ADDRESS = 0x0020
const ERROR_CODE = 0x0009
const UNKNOWN_ATTRIBUTES = 0x000a
/** Attributes that must be understood (0x0000 … 0x7fff) and that ask nothing of a server without credentials. */
const HARMLESS: ReadonlySet<number> = new Set([0x0006, 0x0008, 0x0014, 0x0015, 0x001c, 0x001d, 0x001e])

/**
 * The answer to a datagram, a character a byte; null when it is no STUN request. Never longer than 92 bytes, so that it is
 * no amplifier worth the name.
 */
export function answerStun(bytes: Buffer, from: Address): string | null {
  if (bytes.length < HEADER_BYTES || bytes.readUInt16BE(0) !== BINDING_REQUEST) return null
  if (bytes.readUInt32BE(4) !== MAGIC_COOKIE) return null
  const length = bytes.readUInt16BE(2)
  if (length % 4 !== 0 || length !== bytes.length - HEADER_BYTES) return null
  const unknown = unknownAttributes(bytes)
  if (unknown === null) return null
  const transaction = bytes.subarray(4, HEADER_BYTES)
  const answer =
    unknown.length === 0
      ? message(BINDING_SUCCESS, transaction, [[XOR_MAPPED_ADDRESS, mappedAddress(from, transaction)]])
      : message(BINDING_ERROR, transaction, [
          [ERROR_CODE, Buffer.from([0, 0, 4, 20])],
          [UNKNOWN_ATTRIBUTES, Buffer.from(unknown.flatMap((type) => [type >> 8, type & 0xff]))],
        ])
  return answer.toString('latin1')
}

/** At most sixteen; null when the attributes do not fill the message exactly. */
function unknownAttributes(bytes: Buffer): number[] | null {
  const unknown: number[] = []
  let at = HEADER_BYTES
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return null
    const type = bytes.readUInt16BE(at)
    const length = bytes.readUInt16BE(at + 2)
    at += 4 + Math.ceil(length / 4) * 4
    if (at > bytes.length) return null
    if (type < 0x8000 && !HARMLESS.has(type) && unknown.length < 16) unknown.push(type)
  }
  return unknown
}

function message(type: number, transaction: Buffer, attributes: readonly [number, Buffer][]): Buffer {
  const parts = attributes.map(([kind, value]) => {
    const head = Buffer.alloc(4)
    head.writeUInt16BE(kind, 0)
    head.writeUInt16BE(value.length, 2)
    return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)])
  })
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(4)
  head.writeUInt16BE(type, 0)
  head.writeUInt16BE(body.length, 2)
  return Buffer.concat([head, transaction, body])
}

/** RFC 8489 §14.2: hidden from NATs that rewrite addresses wherever they see them. */
function mappedAddress({ host, port }: Address, transaction: Buffer): Buffer {
  const v4 = isIPv4(host)
  const address = v4 ? Buffer.from(host.split('.').map(Number)) : ipv6Bytes(host)
  const value = Buffer.alloc(4 + address.length)
  value.writeUInt8(v4 ? 1 : 2, 1)
  value.writeUInt16BE(port ^ (MAGIC_COOKIE >>> 16), 2)
  address.forEach((byte, i) => value.writeUInt8(byte ^ (transaction[i] ?? 0), 4 + i))
  return value
}

function ipv6Bytes(text: string): Buffer {
  const [bare = ''] = text.split('%')
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(bare)
  const whole = dotted ? `${dotted[1]}${word(dotted[2], dotted[3])}:${word(dotted[4], dotted[5])}` : bare
  const [left = '', right] = whole.split('::')
  const groups = (half: string): number[] =>
    half === '' ? [] : half.split(':').map((group) => Number.parseInt(group, 16))
  const [before, after] = [groups(left), groups(right ?? '')]
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => 0)
  return Buffer.from([...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]))
}

function word(high: string | undefined, low: string | undefined): string {
  return ((Number(high) << 8) | Number(low)).toString(16)
}
