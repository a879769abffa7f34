import { Networks } from '../base/network.ts'
import type { Path, Protocol } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'
import { type Acceptor, listenStream, type StreamProtocol } from '../net/accept.ts'
import type { Connection, ConnectionListener, Opened } from '../net/connection.ts'
import { connectTcp } from '../net/tcp.ts'
import { TlsContexts, type TlsMaterial } from '../net/tls.ts'
import { WsHandshakes } from '../net/ws.ts'
import type { Limits } from '../sip/message/limits.ts'
import type { Message } from '../sip/message/message.ts'
import type { Framed } from '../sip/message/stream-framer.ts'
import type { DropReason } from '../spine/facts.ts'
import type { Spine } from '../spine/spine.ts'
import type { Admission } from './admission.ts'
import { StreamTurns } from './turns.ts'
import { StreamFlow } from './flows.ts'
import type { Intake } from './intake.ts'
import type { ListenerOptions } from './listening-points.ts'
import { StreamTable, type Stream } from './streams.ts'
import type { Flow, Target } from './transport.ts'

export interface ConnectionsOptions {
  readonly clock: Clock
  readonly spine: Spine
  readonly intake: Intake
  readonly admission: Admission
  readonly limits: Limits
  readonly tls: TlsMaterial | null
  /** Of one that we have begun; `why` names the peer. */
  readonly onHandshakeFailed: (protocol: StreamProtocol, why: string) => void
  readonly onFlowClosed: (flow: Flow, error: string | null) => void
  /** Nothing more will be read from it, though it is still open; perhaps told more than once. */
  readonly onFlowDeaf: (flow: Flow) => void
  readonly onError: (error: Error) => void
}

/** Why a connection was cut, by the words it is cut with. */
const CUT_BY_US: ReadonlyMap<string, DropReason> = new Map([
  ['a message took too long', 'slow_message'],
  ['no message could be read', 'slow_message'],
  ['idle', 'idle'],
  ['silent', 'idle'],
  ['no sign of life', 'idle'],
  ['the peer does not read', 'slow_reader'],
  ['banned', 'banned'],
])

const PONG = Buffer.from('\r\n')
const CR = 13

/** The connection-oriented half of the transport layer: TCP, TLS, and WebSockets over either, §18.2 and RFC 7118. */
export class Connections {
  readonly #o: ConnectionsOptions
  readonly #turns: StreamTurns
  readonly #table: StreamTable
  readonly #tls: TlsContexts
  readonly #ws: WsHandshakes
  readonly #acceptors: Acceptor[] = []
  readonly #connecting = new Map<string, ((flow: Flow | null) => void)[]>()
  readonly #streams = new Map<Connection, Stream>()
  readonly #byFlow = new WeakMap<
    Flow,
    { readonly stream: Stream; readonly connection: Connection; readonly inbound: boolean }
  >()

  /** @throws when the TLS material does not fit together */
  constructor(options: ConnectionsOptions) {
    this.#o = options
    this.#table = new StreamTable(options.clock, options.limits)
    this.#turns = new StreamTurns({
      now: () => options.clock.now(),
      handle: (connection, bytes) => this.#onBytes(connection, bytes),
    })
    this.#tls = new TlsContexts(options.tls ?? undefined)
    this.#ws = new WsHandshakes(options.limits.maxMessageBytes)
  }

  /** Handshakes from now on use this. @throws when it does not fit together; the old one stays then */
  useTls(material: TlsMaterial): void {
    this.#tls.use(material)
  }

  /** Listens; rejects when the address cannot be had. */
  async listen({
    protocol,
    address,
    balancers,
  }: ListenerOptions & { protocol: StreamProtocol }): Promise<Acceptor['local']> {
    const acceptor = await listenStream({
      protocol,
      address,
      balancers: balancers ? membersOf(balancers) : null,
      tls: this.#tls,
      ws: this.#ws,
      porter: this.#o.admission.porter(protocol),
      listener: this.#listener,
      onOpened: (connection) => void this.#register(connection, protocol, true),
      onError: this.#o.onError,
    })
    this.#acceptors.push(acceptor)
    return acceptor.local
  }

  get size(): number {
    return this.#table.size
  }

  count(protocol: Protocol): number {
    return this.#table.count(protocol)
  }

  /** An open connection to the target, or a new one; a WebSocket is never opened by us: its client listens nowhere. */
  reach(target: Target, then: (flow: Flow | null) => void): void {
    const { protocol, host, port, name } = target
    const open = this.#table.to({ protocol, host, port, name })
    if (open && !open.flow.closed) return then(open.flow)
    if (protocol !== 'tcp' && protocol !== 'tls') return then(null)
    const key = `${protocol}|${host}|${port}|${name ?? ''}`
    const waiting = this.#connecting.get(key)
    if (waiting) {
      waiting.push(then)
      return undefined
    }
    this.#connecting.set(key, [then])
    const opened = (result: Opened): void => {
      const flow = 'connection' in result ? this.#register(result.connection, protocol, false).flow : null
      if ('failed' in result && protocol === 'tls') {
        this.#o.onHandshakeFailed(protocol, `${host}:${port}: ${result.failed}`)
      }
      const callbacks = this.#connecting.get(key) ?? []
      this.#connecting.delete(key)
      for (const callback of callbacks) callback(flow)
    }
    if (protocol === 'tls') return this.#tls.connect({ host, port }, name ?? null, this.#listener, opened)
    return connectTcp({ host, port }, this.#listener, opened)
  }

  /**
   * RFC 5923 §5: a peer whose Via has `alias` wants requests for its sent-by port on this connection. A TLS peer gets
   * them when its certificate was verified (§9); the address is always the one it came from.
   */
  heard(message: Message, flow: Flow): void {
    if (message.kind !== 'request' || !flow.reliable) return
    const known = this.#byFlow.get(flow)
    if (known?.stream.framer.deaf) known.stream.flow.owe(message)
    const { via } = message
    if (!via?.params.has('alias')) return
    if (known === undefined || !known.inbound || known.stream.path.protocol.startsWith('ws')) return
    const secure = known.stream.path.protocol === 'tls'
    if (secure && !known.connection.authenticated) return
    this.#table.alias(known.stream, via.port ?? (secure ? 5061 : 5060))
  }

  /** Cuts the connections of these peers: they have been banned. */
  cutFrom(isMeant: (remoteHost: string) => boolean): void {
    for (const stream of this.#table) if (isMeant(stream.path.remote.host)) stream.cut('banned')
  }

  /** Stops listening and closes every connection. */
  async close(): Promise<void> {
    const acceptors = this.#acceptors.splice(0)
    for (const stream of this.#table) stream.cut('the server stops')
    await Promise.all(acceptors.map((acceptor) => acceptor.close()))
  }

  #register(connection: Connection, protocol: StreamProtocol, inbound: boolean): Stream {
    const path: Path = { protocol, local: connection.local, remote: connection.remote }
    const flow = new StreamFlow(path, this.#o, connection)
    const stream = this.#table.add(flow, path, {
      cut: (why) => connection.destroy(why),
      end: () => connection.end(),
      ping: connection.ping,
      stalled: () => void this.#onFramed(stream, stream.framer.stalled(), connection),
      serves: (name = connection.remote.host) =>
        protocol !== 'tls' ||
        // The peer's very socket, by its address: nobody else is to be had there.
        (inbound && name === connection.remote.host) ||
        connection.proves(name),
    })
    this.#streams.set(connection, stream)
    this.#byFlow.set(flow, { stream, connection, inbound })
    this.#o.spine.flowOpened.publish({ path, error: null })
    return stream
  }

  readonly #listener: ConnectionListener = {
    onBytes: (connection, bytes) => this.#turns.take(connection, bytes),
    onPeerEnded: (connection) => {
      const stream = this.#streams.get(connection)
      return stream !== undefined && this.#table.ended(stream)
    },
    onAlive: (connection) => {
      const stream = this.#streams.get(connection)
      if (stream !== undefined) this.#table.alive(stream)
    },
    onTooLong: (connection) => {
      const stream = this.#streams.get(connection)
      if (stream !== undefined) this.#o.intake.onUnread(stream.flow)
    },
    onClosed: (connection, error) => {
      const stream = this.#streams.get(connection)
      if (!stream) return
      this.#streams.delete(connection)
      this.#table.remove(stream)
      const reason = error === null ? undefined : CUT_BY_US.get(error)
      if (reason) this.#o.spine.dropped.publish({ reason, protocol: stream.path.protocol })
      this.#o.spine.flowClosed.publish({ path: stream.path, error })
      this.#o.onFlowClosed(stream.flow, error)
    },
  }

  #onBytes(connection: Connection, bytes: Buffer): void {
    const stream = this.#streams.get(connection)
    if (stream === undefined) return
    if (connection.ping === null) this.#onStreamBytes(stream, bytes, connection)
    else this.#onFrame(stream, bytes, connection)
  }

  #pong(connection: Connection): void {
    connection.send(PONG)
    this.#o.spine.keptAlive.publish({ method: 'crlf', outcome: 'answered' })
  }

  /** RFC 7118 §5: a message of a WebSocket is one of SIP, or a keep-alive (RFC 5626 §3.5.1). */
  #onFrame(stream: Stream, bytes: Buffer, connection: Connection): void {
    if (bytes.length <= 4 && bytes.every((b, i) => b === (i % 2 === 0 ? CR : 10))) {
      if (bytes.length === 4) this.#pong(connection)
      this.#table.alive(stream)
      return
    }
    const { protocol, remote } = stream.path
    if (!this.#o.intake.screen(bytes, remote, protocol)) return
    stream.spoken = this.#o.intake.onWhole(bytes, stream.flow) || stream.spoken
    this.#table.heard(stream, true)
  }

  #onStreamBytes(stream: Stream, bytes: Buffer, connection: Connection): void {
    if (stream.givenUpAt !== null) return
    const completed = this.#onFramed(stream, stream.framer.push(bytes), connection)
    this.#table.heard(stream, completed)
  }

  /** True when a message has ended in it. */
  #onFramed(stream: Stream, all: readonly Framed[], connection: Connection): boolean {
    let completed = false
    for (const framed of all) {
      if (framed.what === 'keepalive') {
        this.#pong(connection)
        continue
      }
      completed = true
      const last = framed.what === 'message' && framed.last === true
      // Before anybody looks for a way to its sender.
      if (last) this.#table.deafen(stream)
      const raw = Buffer.from(framed.text, 'latin1')
      const { protocol, remote } = stream.path
      const screened = this.#o.intake.screen(raw, remote, protocol)
      if (framed.what === 'fault') {
        if (screened) this.#o.intake.onUnframed(framed.text, raw, stream.flow, framed.fault)
        this.#table.giveUp(stream, stream.spoken)
        continue
      }
      if (!screened) {
        // Nothing is answered, and nothing more is read: it is of no use.
        if (last) this.#table.giveUp(stream, stream.spoken)
        continue
      }
      stream.spoken = true
      this.#o.intake.onText(framed.text, raw, stream.flow)
    }
    // After what was read: the last message may be the answer that somebody waits for.
    if (stream.framer.deaf) this.#o.onFlowDeaf(stream.flow)
    return completed
  }
}

function membersOf(cidrs: readonly string[]): (host: string) => boolean {
  const networks = new Networks(cidrs)
  return (host) => networks.has(host)
}
