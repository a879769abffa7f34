import { createSocket, type Socket } from 'node:dgram'
import type { Address } from '../base/address.ts'

/** 65,507 bytes: 65,535 less the IPv4 and UDP headers. */
export const MAX_DATAGRAM = 65_507

export interface DatagramListener {
  /** `bytes` are valid during the call only. */
  onDatagram(bytes: Buffer, host: string, port: number): void
  /** What had come together has been handed over. */
  onBatch?(): void
  /** A datagram that `send` took did not leave, because nothing can be sent to this peer. Its bytes stay valid. */
  onUnsent?(bytes: Buffer, to: Peer, error: Error): void
  onError(error: Error): void
}

/** A peer of an endpoint's: made once, sent to often. */
export interface Peer {
  readonly host: string
  readonly port: number
}

/** One bound UDP socket. */
export interface UdpEndpoint {
  readonly local: Address
  peer(host: string, port: number): Peer
  /**
   * Sends a text of one character a byte, at the latest when the current callback has ended. Returns its bytes, valid until
   * the next send of any endpoint; null when it cannot be a datagram (too long, or to a port nobody can have) and after
   * `close`.
   */
  send(text: string, to: Peer): Uint8Array | null
  close(): Promise<void>
}

/** Whether it can be one datagram to somebody. */
export function isDatagram({ length }: string, { port }: Peer): boolean {
  return length <= MAX_DATAGRAM && isPort(port)
}

export function isPort(port: number): boolean {
  return port > 0 && port < 65_536
}

/** What says nothing about the peer: the kernel has no room, the socket is closed, or a closed port of perhaps another peer's is heard of. */
const NOT_THE_PEER = new Set([
  'EAGAIN',
  'ENOBUFS',
  'ENOMEM',
  'ECANCELED',
  'ERR_SOCKET_DGRAM_NOT_RUNNING',
  'ECONNREFUSED',
])

/** Sends by dgram, which waits for room in the kernel; what else is wrong it tells the callback alone. */
export function sendByDgram(socket: Socket, bytes: Buffer, to: Peer, listener: DatagramListener): void {
  socket.send(bytes, to.port, to.host, (error: NodeJS.ErrnoException | null) => {
    if (error !== null && !NOT_THE_PEER.has(error.code ?? '')) listener.onUnsent?.(bytes, to, error)
  })
}

/** Destinations are IP addresses here. Without this, node defers each send by a tick to "resolve" them. */
export function udpSocket(family: 4 | 6): Socket {
  return createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    ipv6Only: family === 6,
    lookup: (host, _options, done) => done(null, host, family),
  })
}
