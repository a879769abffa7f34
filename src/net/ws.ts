import { isUtf8 } from 'node:buffer'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import type { Address } from '../base/address.ts'
import { SEND_LIMIT_BYTES, type Connection, type ConnectionListener, type Opened } from './connection.ts'
import { localOf } from './tcp.ts'

/** Status codes of RFC 6455 §7.4.1. */
const GOING_AWAY = 1001
/** What `ws` says of a message whose frames announce more than `maxPayload`; it closes with 1009. */
const TOO_LONG = 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'

/** One WebSocket connection of a SIP client (RFC 7118): a message of the one is a message of the other. */
class WsConnection implements Connection {
  readonly local: Address
  readonly remote: Address
  readonly authenticated = false
  readonly #ws: WebSocket
  readonly #socket: Socket
  #why: string | null = null

  constructor(ws: WebSocket, socket: Socket, remote: Address, listener: ConnectionListener) {
    this.#ws = ws
    this.#socket = socket
    this.local = localOf(socket)
    this.remote = remote
    ws.on('message', (data) => {
      if (Buffer.isBuffer(data)) listener.onBytes(this, data)
    })
    ws.on('pong', () => listener.onAlive(this))
    ws.on('error', (error: NodeJS.ErrnoException) => {
      this.#why ??= error.message
      if (error.code === TOO_LONG) listener.onTooLong(this)
    })
    ws.on('close', () => listener.onClosed(this, this.#why))
  }

  get closed(): boolean {
    return this.#ws.readyState !== this.#ws.OPEN || this.#socket.destroyed
  }

  readonly ping = (): void => {
    if (!this.closed) this.#ws.ping()
  }

  send(bytes: Uint8Array): boolean {
    if (this.closed) return false
    if (this.#ws.bufferedAmount + bytes.length > SEND_LIMIT_BYTES) {
      this.destroy('the peer does not read')
      return false
    }
    // RFC 7118 §4.2: a text message must be UTF-8; scripts in browsers expect text where they can have it.
    this.#ws.send(bytes, { binary: !isUtf8(bytes) })
    return true
  }

  end(): void {
    this.#ws.close(GOING_AWAY)
  }

  destroy(why: string | null = null): void {
    this.#why ??= why
    this.#ws.terminate()
  }

  pause(): void {
    this.#ws.pause()
  }

  resume(): void {
    if (this.#ws.isPaused) this.#ws.resume()
  }

  proves(): boolean {
    return false
  }
}

interface Handshake {
  readonly remote: Address
  readonly listener: ConnectionListener
  readonly done: (opened: Opened) => void
}

/** The opening handshake of WebSockets with the subprotocol `sip`, on sockets that somebody else has accepted. */
export class WsHandshakes {
  readonly #server: Server
  readonly #upgrader: WebSocketServer
  readonly #handshakes = new Map<Duplex, Handshake>()

  /** @param maxMessageBytes of one message: a SIP message and nothing else */
  constructor(maxMessageBytes: number) {
    this.#upgrader = new WebSocketServer({
      noServer: true,
      maxPayload: maxMessageBytes,
      perMessageDeflate: false,
      clientTracking: false,
      handleProtocols: () => 'sip',
    })
    this.#server = createServer({ maxHeaderSize: 16_384 }, (_request, response) => {
      // RFC 9110 §15.5.22.
      response.writeHead(426, { Upgrade: 'websocket', Connection: 'close', 'Content-Length': 0 }).end()
    })
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#server.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
    })
  }

  /** Takes a socket through the handshake. Calls back once. */
  accept(
    socket: Socket,
    remote: Address,
    listener: ConnectionListener,
    then: (opened: Opened) => void,
  ): void {
    const handshake: Handshake = { remote, listener, done: then }
    this.#handshakes.set(socket, handshake)
    socket.once('close', () => {
      if (this.#handshakes.delete(socket)) then({ failed: 'closed in the handshake' })
    })
    this.#server.emit('connection', socket)
    if (socket.isPaused()) socket.resume()
  }

  #upgrade(request: IncomingMessage, duplex: Duplex, head: Buffer): void {
    const handshake = this.#handshakes.get(request.socket)
    if (handshake === undefined) {
      duplex.destroy()
      return
    }
    const offered = (request.headers['sec-websocket-protocol'] ?? '')
      .split(',')
      .map((p) => p.trim().toLowerCase())
    if (!offered.includes('sip')) {
      // RFC 7118 §4.1: without the subprotocol it is some other application.
      duplex.end(
        'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\nthe subprotocol sip is required\n',
      )
      return
    }
    this.#upgrader.handleUpgrade(request, duplex, head, (ws) => {
      this.#handshakes.delete(request.socket)
      const connection = new WsConnection(ws, request.socket, handshake.remote, handshake.listener)
      handshake.done({ connection })
    })
  }
}
