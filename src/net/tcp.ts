import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Address } from '../base/address.ts'

/** Bytes that may wait for a peer that does not read; past it the connection is cut, and nobody else waits (RFC 3261 §18). */
const SEND_LIMIT_BYTES = 1 << 20

const CONNECT_TIMEOUT_MS = 5_000

export interface StreamListener {
  onBytes(connection: StreamConnection, bytes: Buffer): void
  /** Once, with why: null for an orderly end. */
  onClosed(connection: StreamConnection, error: string | null): void
}

/** One TCP connection, opened by us or by the peer. */
export class StreamConnection {
  readonly local: Address
  readonly remote: Address
  readonly #socket: Socket
  #closed = false
  #why: string | null = null

  constructor(socket: Socket, listener: StreamListener) {
    this.#socket = socket
    this.local = { host: socket.localAddress ?? '', port: socket.localPort ?? 0 }
    this.remote = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
    socket.setNoDelay(true)
    socket.on('data', (bytes) => {
      // Never a string: no encoding was set.
      if (typeof bytes !== 'string') listener.onBytes(this, bytes)
    })
    socket.on('error', (error) => {
      this.#why ??= error.message
    })
    // The peer's half-close ends the connection: SIP has no use for one that only we may write to.
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      this.#closed = true
      listener.onClosed(this, this.#why)
    })
  }

  /** Nothing can be sent any more. */
  get closed(): boolean {
    return this.#closed || this.#socket.destroyed || !this.#socket.writable
  }

  /** False when the connection is gone, or is cut now because its send buffer is over the limit. */
  send(bytes: Uint8Array): boolean {
    if (this.closed) return false
    if (this.#socket.writableLength + bytes.length > SEND_LIMIT_BYTES) {
      this.destroy('the peer does not read')
      return false
    }
    this.#socket.write(bytes)
    return true
  }

  /** Sends what is queued, then closes. */
  end(): void {
    this.#socket.end()
  }

  destroy(why: string | null = null): void {
    this.#why ??= why
    this.#socket.destroy()
  }
}

export interface TcpAcceptor {
  readonly local: Address
  close(): Promise<void>
}

/**
 * Listens. Rejects when the address cannot be had.
 * @param admit asked for each connection; false closes it at once
 */
export function listenTcp(
  address: Address,
  admit: (remoteHost: string) => boolean,
  accept: (socket: Socket) => void,
  onError: (error: Error) => void,
): Promise<TcpAcceptor> {
  const server: Server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    if (!admit(socket.remoteAddress ?? '')) {
      socket.destroy()
      return
    }
    accept(socket)
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: address.host, port: address.port, ipv6Only: true, backlog: 1024 }, () => {
      server.off('error', reject)
      server.on('error', onError)
      const bound = server.address()
      if (bound === null || typeof bound === 'string') throw new Error('a TCP server without an address')
      resolve({
        local: { host: bound.address, port: bound.port },
        close: () => new Promise((done) => server.close(() => done())),
      })
    })
  })
}

/** Connects within 5 s, else calls back with null. */
export function connectTcp(
  to: Address,
  listener: StreamListener,
  then: (c: StreamConnection | null) => void,
): void {
  const socket = connect({ host: to.host, port: to.port, noDelay: true, allowHalfOpen: true })
  let settled = false
  const settle = (connection: StreamConnection | null): void => {
    if (settled) return
    settled = true
    socket.setTimeout(0)
    then(connection)
  }
  socket.setTimeout(CONNECT_TIMEOUT_MS, () => {
    if (!settled) socket.destroy()
    settle(null)
  })
  const failed = (): void => settle(null)
  socket.once('error', failed)
  socket.once('close', failed)
  socket.once('connect', () => {
    socket.off('close', failed)
    settle(new StreamConnection(socket, listener))
  })
}
