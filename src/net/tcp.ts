import { connect, type Socket } from 'node:net'
import type { Address } from '../base/address.ts'
import {
  CONNECT_TIMEOUT_MS,
  SEND_LIMIT_BYTES,
  type Connection,
  type ConnectionListener,
  type Opened,
} from './connection.ts'

/** What a peer has proven by its certificate. */
export type Proof = Pick<Connection, 'authenticated' | 'proves'>

/** A connection that is a plain stream of bytes: a TCP socket, or the TLS socket on top of one. */
export class StreamConnection implements Connection {
  readonly local: Address
  readonly remote: Address
  readonly ping = null
  readonly #socket: Socket
  readonly #proof: Proof | null
  #closed = false
  #why: string | null = null

  /**
   * @param remote the peer, where the socket's own word is not it (PROXY protocol)
   * @param proof for TLS
   */
  constructor(
    socket: Socket,
    listener: ConnectionListener,
    remote: Address = remoteOf(socket),
    proof: Proof | null = null,
  ) {
    this.#socket = socket
    this.#proof = proof
    this.local = localOf(socket)
    this.remote = remote
    socket.setNoDelay(true)
    socket.on('data', (bytes) => {
      // Never a string: no encoding was set.
      if (typeof bytes !== 'string') listener.onBytes(this, bytes)
    })
    socket.on('error', (error) => {
      this.#why ??= error.message
    })
    // The peer's half-close ends the connection: SIP has no use for one that only we may write to, but for an answer.
    socket.on('end', () => {
      if (!listener.onPeerEnded(this)) socket.end()
    })
    socket.on('close', () => {
      this.#closed = true
      listener.onClosed(this, this.#why)
    })
    // Whoever read a PROXY header from it has paused it.
    if (socket.isPaused()) socket.resume()
  }

  get closed(): boolean {
    return this.#closed || this.#socket.destroyed || !this.#socket.writable
  }

  get authenticated(): boolean {
    return this.#proof?.authenticated ?? false
  }

  send(bytes: Uint8Array): boolean {
    if (this.closed) return false
    if (this.#socket.writableLength + bytes.length > SEND_LIMIT_BYTES) {
      this.destroy('the peer does not read')
      return false
    }
    this.#socket.write(bytes)
    return true
  }

  end(): void {
    this.#socket.end()
  }

  destroy(why: string | null = null): void {
    this.#why ??= why
    this.#socket.destroy()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    if (this.#socket.isPaused()) this.#socket.resume()
  }

  proves(name: string): boolean {
    return this.#proof?.proves(name) ?? false
  }
}

export function localOf(socket: Socket): Address {
  return { host: socket.localAddress ?? '', port: socket.localPort ?? 0 }
}

export function remoteOf(socket: Socket): Address {
  return { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
}

/** Connects within 5 s, or says why not. */
export function connectTcp(to: Address, listener: ConnectionListener, then: (opened: Opened) => void): void {
  const socket = connect({ host: to.host, port: to.port, noDelay: true, allowHalfOpen: true })
  settleOnce(socket, 'connect', then, () => new StreamConnection(socket, listener))
}

/** Waits for the event that says a socket is ready; calls `then` once, with a connection or with why there is none. */
export function settleOnce(
  socket: Socket,
  ready: 'connect' | 'secureConnect',
  then: (opened: Opened) => void,
  make: () => Connection,
): void {
  let settled = false
  const settle = (opened: () => Opened): void => {
    if (settled) return
    settled = true
    clearTimeout(timer)
    then(opened())
  }
  const fail = (why: string): void => settle(() => ({ failed: why }))
  const timer = setTimeout(() => {
    fail('the peer did not answer')
    socket.destroy()
  }, CONNECT_TIMEOUT_MS)
  timer.unref()
  socket.once('error', (error) => fail(error.message))
  socket.once('close', () => fail('closed by the peer'))
  socket.once(ready, () => settle(() => ({ connection: make() })))
}
