import { Chunk } from './encode.ts'

/** A HEP3 packet, read back: for tests and tools. */
export interface HepPacket {
  readonly family: 4 | 6
  /** IP protocol number: 17 UDP, 6 TCP, TLS and WebSocket. */
  readonly ipProtocol: number
  readonly source: { readonly host: string; readonly port: number }
  readonly destination: { readonly host: string; readonly port: number }
  /** Wall-clock milliseconds with a fraction. */
  readonly at: number
  readonly type: number
  readonly captureId: number
  readonly authKey: string | null
  readonly nodeName: string | null
  /** Binary text. */
  readonly correlation: string | null
  readonly payload: Buffer
  /** Length on the wire when the payload was cut, else null. */
  readonly cutFrom: number | null
  /** Chunk types in the order they came. */
  readonly chunks: readonly number[]
}

export type Decoded =
  | { readonly ok: true; readonly packet: HepPacket }
  | { readonly ok: false; readonly what: string }

const fault = (what: string): Decoded => ({ ok: false, what })

/** Strict: every length must agree, every mandatory chunk be there once. */
export function decodeHep(bytes: Uint8Array): Decoded {
  const b = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (b.length < 6 || b.toString('latin1', 0, 4) !== 'HEP3') return fault('not HEP3')
  if (b.readUInt16BE(4) !== b.length) return fault(`length field ${b.readUInt16BE(4)}, packet ${b.length}`)
  const found = new Map<number, Buffer>()
  let at = 6
  while (at < b.length) {
    if (b.length - at < 6) return fault('chunk header cut')
    const length = b.readUInt16BE(at + 4)
    if (length < 6 || at + length > b.length) return fault('chunk length')
    const type = b.readUInt16BE(at + 2)
    if (b.readUInt16BE(at) === 0) {
      if (found.has(type)) return fault(`chunk ${type} twice`)
      found.set(type, b.subarray(at + 6, at + length))
    }
    at += length
  }
  const sizes: [number, number][] = [
    [Chunk.family, 1],
    [Chunk.protocol, 1],
    [Chunk.sourcePort, 2],
    [Chunk.destinationPort, 2],
  ]
  sizes.push([Chunk.seconds, 4], [Chunk.microseconds, 4], [Chunk.type, 1], [Chunk.captureId, 4])
  for (const [type, size] of sizes) {
    if (found.get(type)?.length !== size) return fault(`chunk ${type} missing or not ${size} long`)
  }
  const get = (type: number): Buffer => found.get(type) ?? Buffer.alloc(0)
  const family = get(Chunk.family)[0] === 10 ? 6 : 4
  const source = get(family === 6 ? Chunk.source6 : Chunk.source4)
  const destination = get(family === 6 ? Chunk.destination6 : Chunk.destination4)
  const size = family === 6 ? 16 : 4
  if (source.length !== size || destination.length !== size) return fault('addresses do not fit the family')
  const payload = found.get(Chunk.payload)
  if (!payload) return fault('no payload')
  const cut = /\r\n\[cut by siphon: the message had (\d+) bytes\]$/.exec(
    payload.subarray(-80).toString('latin1'),
  )
  return {
    ok: true,
    packet: {
      family,
      ipProtocol: get(Chunk.protocol)[0] ?? 0,
      source: { host: ipText(source), port: get(Chunk.sourcePort).readUInt16BE() },
      destination: { host: ipText(destination), port: get(Chunk.destinationPort).readUInt16BE() },
      at: get(Chunk.seconds).readUInt32BE() * 1000 + get(Chunk.microseconds).readUInt32BE() / 1000,
      type: get(Chunk.type)[0] ?? 0,
      captureId: get(Chunk.captureId).readUInt32BE(),
      authKey: found.get(Chunk.authKey)?.toString() ?? null,
      nodeName: found.get(Chunk.nodeName)?.toString() ?? null,
      correlation: found.get(Chunk.correlation)?.toString('latin1') ?? null,
      payload,
      cutFrom: cut ? Number(cut[1]) : null,
      chunks: [...found.keys()],
    },
  }
}

function ipText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups: string[] = []
  for (let i = 0; i < 16; i += 2) groups.push(bytes.readUInt16BE(i).toString(16))
  return groups.join(':')
}

/** Cuts a TCP or TLS stream into packets by their length fields. */
export class HepFramer {
  #rest: Buffer = Buffer.alloc(0)
  #broken = false

  /** True after bytes that do not start a packet: the stream cannot be read any further. */
  get broken(): boolean {
    return this.#broken
  }

  push(bytes: Buffer): Buffer[] {
    const out: Buffer[] = []
    if (this.#broken) return out
    let b = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes
    while (b.length >= 6) {
      const length = b.readUInt16BE(4)
      if (b.toString('latin1', 0, 4) !== 'HEP3' || length < 6) {
        this.#broken = true
        return out
      }
      if (b.length < length) break
      out.push(Buffer.from(b.subarray(0, length)))
      b = b.subarray(length)
    }
    this.#rest = Buffer.from(b)
    return out
  }
}
