import { networkInterfaces } from 'node:os'
import type { Address, Path } from '../../base/address.ts'
import type { ByteRingWriter } from '../../base/byte-ring.ts'
import type { Message } from '../../sip/message/message.ts'
import type { Spine } from '../../spine/spine.ts'
import { addressChunks, MAX_CORRELATION, MAX_PACKET, parseIp } from './encode.ts'

/**
 * The engine's side of tracing: copies each message that crossed a socket into the ring and forgets it.
 *
 * A record is four 32-bit words (seconds, microseconds, length on the wire, address length << 16 | correlation length), the
 * address chunks as HEP has them, the correlation id, and the message. `exporter.ts` reads it.
 */
export const RECORD_HEADER = 16

export interface HepTapOptions {
  readonly spine: Spine
  readonly ring: ByteRingWriter
  /** The A leg's Call-ID for a message of a B leg, as binary text. Without it, each message's own Call-ID. */
  readonly correlationOf?: (message: Message) => string
  /** Our own address on this path as peers see it (`advertise`), asked once for each path. Without it, `path.local`. */
  readonly ownAddress?: (path: Path) => Address
}

interface Ways {
  readonly inward: Uint8Array
  readonly outward: Uint8Array
}

export class HepTap {
  readonly #ring: ByteRingWriter
  readonly #correlationOf: ((message: Message) => string) | undefined
  readonly #ownAddress: ((path: Path) => Address) | undefined
  /** A flow's path is one object for as long as the flow lives. */
  readonly #ways = new WeakMap<Path, Ways>()
  readonly #unsubscribe: readonly (() => void)[]
  #produced = 0

  constructor(options: HepTapOptions) {
    this.#ring = options.ring
    this.#correlationOf = options.correlationOf
    this.#ownAddress = options.ownAddress
    const { spine } = options
    this.#unsubscribe = [
      spine.messageReceived.subscribe((f) =>
        this.#write(f.path, false, f.bytes, f.at, this.#correlation(f.message)),
      ),
      spine.messageSent.subscribe((f) =>
        this.#write(f.path, true, f.bytes, f.at, this.#correlation(f.message)),
      ),
      spine.messageFaulted.subscribe((f) => {
        if (f.bytes !== null) this.#write(f.path, false, f.bytes, f.at, findCallId(f.bytes))
      }),
    ]
  }

  /** Messages seen: each is in the ring now, was taken from it, or was refused by it. */
  get produced(): number {
    return this.#produced
  }

  close(): void {
    for (const end of this.#unsubscribe) end()
  }

  #correlation(message: Message): string {
    return this.#correlationOf ? this.#correlationOf(message) : message.callId
  }

  #write(path: Path, outward: boolean, bytes: Uint8Array, at: number, correlation: string): void {
    this.#produced++
    let ways = this.#ways.get(path)
    if (!ways) {
      ways = this.#waysOf(path)
      this.#ways.set(path, ways)
    }
    const addresses = outward ? ways.outward : ways.inward
    // More could never be sent. The exporter cuts exactly; the length on the wire goes along.
    const payload = bytes.length > MAX_PACKET ? bytes.subarray(0, MAX_PACKET) : bytes
    const correlationLength = Math.min(correlation.length, MAX_CORRELATION)
    const ring = this.#ring
    const start = ring.reserve(RECORD_HEADER + addresses.length + correlationLength + payload.length)
    if (start < 0) return
    const seconds = Math.floor(at / 1000)
    const word = start >> 2
    ring.words[word] = seconds
    ring.words[word + 1] = Math.floor((at - seconds * 1000) * 1000)
    ring.words[word + 2] = bytes.length
    ring.words[word + 3] = (addresses.length << 16) | correlationLength
    let end = start + RECORD_HEADER
    ring.bytes.set(addresses, end)
    end += addresses.length
    // A loop, because a call into C++ costs more than the 20 to 60 characters of a usual Call-ID.
    for (let i = 0; i < correlationLength; i++) ring.bytes[end + i] = correlation.charCodeAt(i)
    ring.bytes.set(payload, end + correlationLength)
    ring.commit()
  }

  #waysOf(path: Path): Ways {
    const remote = usable(path.remote, null)
    const local = usable(this.#ownAddress ? this.#ownAddress(path) : path.local, remote)
    const inward = addressChunks(path.protocol, remote, local)
    const outward = addressChunks(path.protocol, local, remote)
    if (!inward || !outward) throw new Error('an address was not one after it had been made usable')
    return { inward, outward }
  }
}

/**
 * The address itself, or one to show instead when it is a wildcard or a name: loopback towards a loopback peer, else the
 * machine's first outside address. A ladder with 0.0.0.0 in it joins the flows of every node.
 */
function usable(address: Address, peer: Address | null): Address {
  const ip = parseIp(address.host)
  if (ip && ip.some((b) => b !== 0)) return address
  const v6 = address.host.includes(':') && !(peer && !peer.host.includes(':'))
  const loopback = v6 ? '::1' : '127.0.0.1'
  if (peer && (peer.host === '::1' || peer.host.startsWith('127.')))
    return { host: loopback, port: address.port }
  for (const list of Object.values(networkInterfaces())) {
    for (const entry of list ?? []) {
      if (!entry.internal && (entry.family === 'IPv6') === v6)
        return { host: entry.address, port: address.port }
    }
  }
  return { host: loopback, port: address.port }
}

/** The Call-ID of bytes that are not a message: whatever stands after a line's `Call-ID:` or `i:` in the first 16 KiB. */
function findCallId(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 16_384)).toString(
    'latin1',
  )
  return /(?:^|\n)(?:call-id|i)[ \t]*:[ \t]*([^\s]+)/i.exec(text)?.[1] ?? ''
}
