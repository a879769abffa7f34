import { createServer, type Socket } from 'node:net'
import type { Address } from '../base/address.ts'
import type { Connection, ConnectionListener, Opened } from './connection.ts'
import { readProxyHeader } from './proxy-protocol.ts'
import { remoteOf, StreamConnection } from './tcp.ts'
import { proofOf, type TlsContexts } from './tls.ts'
import type { WsHandshakes } from './ws.ts'

/** All that happens before a connection is one: TLS, the WebSocket's opening, a balancer's header. Ms. */
export const HANDSHAKE_TIMEOUT_MS = 5_000

export type StreamProtocol = 'tcp' | 'tls' | 'ws' | 'wss'

/** Who decides about sockets from the moment they are accepted, and counts them. */
export interface Porter {
  /** A socket from this host; null: from a load balancer, the client is not known yet. Null closes it at once. */
  enter(host: string | null): Visit | null
  /** Somebody who is no load balancer came to where only those may. */
  stranger(): void
}

/** One accepted socket. */
export interface Visit {
  /** The balancer says whose it is. False closes it at once. */
  comesFrom(host: string): boolean
  /** The handshakes are through. */
  admitted(): void
  /** It came to nothing. */
  failed(step: 'handshake' | 'proxy', why: string): void
  /** The socket has closed. */
  left(): void
}

export interface AcceptOptions {
  readonly protocol: StreamProtocol
  readonly address: Address
  /** Null: no PROXY header is expected. Otherwise from whom one is believed; others are turned away. */
  readonly balancers: ((host: string) => boolean) | null
  readonly tls: TlsContexts
  readonly ws: WsHandshakes
  readonly porter: Porter
  readonly listener: ConnectionListener
  readonly onOpened: (connection: Connection) => void
  readonly onError: (error: Error) => void
}

export interface Acceptor {
  readonly local: Address
  close(): Promise<void>
}

/** Listens for connections of one protocol. Rejects when the address cannot be had. */
export function listenStream(options: AcceptOptions): Promise<Acceptor> {
  const { address, onError } = options
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => accepted(socket, options))
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // IPv4 and IPv6 are listeners of their own: each knows by what address it is reached.
    server.listen({ host: address.host, port: address.port, ipv6Only: true, backlog: 1024 }, () => {
      server.off('error', reject)
      server.on('error', onError)
      const bound = server.address()
      if (bound === null || typeof bound === 'string') throw new Error('a server without an address')
      resolve({
        local: { host: bound.address, port: bound.port },
        close: () => new Promise((done) => server.close(() => done())),
      })
    })
  })
}

function accepted(socket: Socket, o: AcceptOptions): void {
  const from = remoteOf(socket)
  // The peer may be gone already.
  if (from.host === '' || (o.balancers !== null && !o.balancers(from.host))) {
    if (from.host !== '') o.porter.stranger()
    socket.destroy()
    return
  }
  const visit = o.porter.enter(o.balancers === null ? from.host : null)
  if (visit === null) {
    socket.destroy()
    return
  }
  socket.once('close', () => visit.left())
  if (o.protocol === 'tcp' && o.balancers === null) {
    visit.admitted()
    o.onOpened(new StreamConnection(socket, o.listener, from))
    return
  }
  handshakes(socket, from, visit, o)
}

function handshakes(socket: Socket, from: Address, visit: Visit, o: AcceptOptions): void {
  let over = false
  const timer = setTimeout(() => fail('handshake', 'it took too long'), HANDSHAKE_TIMEOUT_MS)
  timer.unref()
  const fail = (step: 'handshake' | 'proxy', why: string): void => {
    if (over) return
    over = true
    clearTimeout(timer)
    visit.failed(step, why)
    socket.destroy()
  }
  const opened = (result: Opened): void => {
    if ('failed' in result) return fail('handshake', result.failed)
    // Too late: it has been counted as failed.
    if (over) return result.connection.destroy()
    over = true
    clearTimeout(timer)
    visit.admitted()
    return o.onOpened(result.connection)
  }
  socket.on('error', (error) => fail('handshake', error.message))
  socket.once('close', () => fail('handshake', 'closed in the handshake'))
  if (o.balancers === null) return secure(socket, from, o, opened)
  return proxied(socket, (source) => {
    if (typeof source === 'string') return fail('proxy', source)
    const remote = source ?? from
    if (visit.comesFrom(remote.host)) return secure(socket, remote, o, opened)
    over = true
    clearTimeout(timer)
    return void socket.destroy()
  })
}

/** What is left of the handshakes when the peer is known. */
function secure(socket: Socket, remote: Address, o: AcceptOptions, then: (opened: Opened) => void): void {
  const { protocol, tls, ws, listener } = o
  if (protocol === 'tcp') return then({ connection: new StreamConnection(socket, listener, remote) })
  if (protocol === 'ws') return ws.accept(socket, remote, listener, then)
  return tls.accept(socket, (result) => {
    if (typeof result === 'string') return then({ failed: result })
    if (protocol === 'wss') return ws.accept(result, remote, listener, then)
    return then({ connection: new StreamConnection(result, listener, remote, proofOf(result)) })
  })
}

/** Reads the PROXY header. Calls back once: with the client, with null when the balancer speaks for itself, or with a fault. */
function proxied(socket: Socket, then: (source: Address | null | string) => void): void {
  let bytes: Buffer = Buffer.alloc(0)
  const onData = (chunk: Buffer): void => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    const read = readProxyHeader(bytes)
    if (read.what === 'more') return
    socket.off('data', onData)
    if (read.what === 'fault') return then(read.why)
    socket.pause()
    const rest = bytes.subarray(read.length)
    if (rest.length > 0) socket.unshift(rest)
    then(read.source)
  }
  socket.on('data', onData)
}
