import type { Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import type { Address } from '../base/address.ts'
import {
  type DatagramListener,
  isDatagram,
  type Peer,
  sendByDgram,
  type UdpEndpoint,
  udpSocket,
} from './udp-endpoint.ts'

/** Bursts wait in the kernel while the engine works. The kernel halves or caps this by its own limit. */
const SOCKET_BUFFER_BYTES = 4 << 20

/** Every datagram is put together here: node copies it before `send` returns. */
const scratch = Buffer.allocUnsafeSlow(1 << 16)

/** By node:dgram, on every platform. */
export class DgramEndpoint implements UdpEndpoint {
  readonly local: Address
  readonly #socket: Socket
  readonly #listener: DatagramListener
  #closed = false

  private constructor(socket: Socket, local: Address, listener: DatagramListener) {
    this.#socket = socket
    this.#listener = listener
    this.local = local
  }

  static open(address: Address, listener: DatagramListener): Promise<UdpEndpoint> {
    const socket = udpSocket(isIPv6(address.host) ? 6 : 4)
    return new Promise((resolve, reject) => {
      socket.once('error', reject)
      socket.bind({ address: address.host, port: address.port, exclusive: true }, () => {
        socket.off('error', reject)
        try {
          socket.setRecvBufferSize(SOCKET_BUFFER_BYTES)
          socket.setSendBufferSize(SOCKET_BUFFER_BYTES)
        } catch {
          // The defaults serve as well, with less room for bursts.
        }
        const local = socket.address()
        socket.on('error', (error) => listener.onError(error))
        socket.on('message', (bytes, from) => {
          listener.onDatagram(bytes, from.address, from.port)
          listener.onBatch?.()
        })
        resolve(new DgramEndpoint(socket, { host: local.address, port: local.port }, listener))
      })
    })
  }

  peer(host: string, port: number): Peer {
    return { host, port }
  }

  send(text: string, to: Peer): Uint8Array | null {
    if (this.#closed || !isDatagram(text, to)) return null
    const bytes = scratch.subarray(0, scratch.write(text, 0, text.length, 'latin1'))
    sendByDgram(this.#socket, Buffer.from(bytes), to, this.#listener)
    return bytes
  }

  close(): Promise<void> {
    this.#closed = true
    return new Promise((resolve) => this.#socket.close(() => resolve()))
  }
}
