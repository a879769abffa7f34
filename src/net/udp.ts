import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import type { Address } from '../base/address.ts'
import { nativeUdp, type Destination, type NativeMemory } from '../base/native-udp.ts'

/** 65,507 bytes: 65,535 less the IPv4 and UDP headers. */
export const MAX_DATAGRAM = 65_507

/** Bursts wait in the kernel while the engine works. The kernel halves or caps this by its own limit. */
const SOCKET_BUFFER_BYTES = 4 << 20

export interface DatagramListener {
  /** `bytes` belong to the listener. */
  onDatagram(bytes: Buffer, host: string, port: number): void
  onError(error: Error): void
}

/** A peer of an endpoint's: made once, sent to often. */
export interface Peer {
  readonly host: string
  readonly port: number
  readonly native: Destination | null
}

/** Every datagram is put together here: the kernel copies it before `send` returns. */
const scratch: NativeMemory = nativeUdp?.memory(1 << 16) ?? {
  bytes: Buffer.allocUnsafeSlow(1 << 16),
  pointer: 0n,
}

/** One bound UDP socket. */
export class UdpEndpoint {
  readonly local: Address
  readonly #socket: Socket
  #closed = false
  /** The socket's descriptor when sends go straight to the kernel. */
  readonly #fd: number | null

  private constructor(socket: Socket, local: Address, fd: number | null) {
    this.#socket = socket
    this.local = local
    this.#fd = fd
  }

  /** Binds. Rejects when the address cannot be had (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
  static open(address: Address, listener: DatagramListener): Promise<UdpEndpoint> {
    const type = isIPv6(address.host) ? 'udp6' : 'udp4'
    const family = type === 'udp6' ? 6 : 4
    const socket = createSocket({
      type,
      ipv6Only: type === 'udp6',
      // Destinations are IP addresses here. Without this, node defers each send by a tick to "resolve" them.
      lookup: (host, _options, done) => done(null, host, family),
    })
    // Refused here, it is refused below as well, with a reason that can be told.
    const fd = nativeUdp?.open(address.host, address.port) ?? null
    return new Promise((resolve, reject) => {
      socket.once('error', reject)
      const bound = (): void => {
        socket.off('error', reject)
        try {
          // Asked for again, what was granted past the limit would be cut back to it.
          if (socket.getRecvBufferSize() < SOCKET_BUFFER_BYTES) socket.setRecvBufferSize(SOCKET_BUFFER_BYTES)
          socket.setSendBufferSize(SOCKET_BUFFER_BYTES)
        } catch {
          // The defaults serve as well, with less room for bursts.
        }
        const local = socket.address()
        socket.on('error', (error) => listener.onError(error))
        socket.on('message', (bytes, from) => listener.onDatagram(bytes, from.address, from.port))
        resolve(new UdpEndpoint(socket, { host: local.address, port: local.port }, fd))
      }
      if (fd === null) socket.bind({ address: address.host, port: address.port, exclusive: true }, bound)
      else socket.bind({ fd, exclusive: true }, bound)
    })
  }

  peer(host: string, port: number): Peer {
    const possible = this.#fd !== null && isPort(port)
    const native = possible ? (nativeUdp?.destination(host, port) ?? null) : null
    return { host, port, native }
  }

  /**
   * Sends a text of one character a byte. Returns its bytes, valid until the next send of any endpoint; null when it
   * cannot be a datagram (too long, or to a port nobody can have) and after `close`: the descriptor may be another's then.
   */
  send(text: string, to: Peer): Uint8Array | null {
    const { length } = text
    if (this.#closed || length > MAX_DATAGRAM || !isPort(to.port)) return null
    const bytes = scratch.bytes.subarray(0, scratch.bytes.write(text, 0, length, 'latin1'))
    const sent =
      this.#fd !== null &&
      to.native !== null &&
      nativeUdp?.sendTo(this.#fd, scratch, length, to.native) === true
    // No room in the kernel: node waits for it, and needs bytes of its own for that.
    if (!sent) this.#socket.send(Buffer.from(bytes), to.port, to.host)
    return bytes
  }

  close(): Promise<void> {
    this.#closed = true
    return new Promise((resolve) => this.#socket.close(() => resolve()))
  }
}

function isPort(port: number): boolean {
  return port > 0 && port < 65_536
}
