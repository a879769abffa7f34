import type { Socket } from 'node:net'
import { isIP } from 'node:net'
import type { Address, Path, Protocol } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'
import type { HopTarget, NextHops } from '../base/next-hop.ts'
import type { Identifiers } from '../base/identifiers.ts'
import { connectTcp, listenTcp, StreamConnection, type StreamListener, type TcpAcceptor } from '../net/tcp.ts'
import { answerStun } from '../net/stun.ts'
import { UdpEndpoint } from '../net/udp.ts'
import { buildResponse } from '../sip/message/build.ts'
import type { Fault } from '../sip/message/fault.ts'
import { defaultLimits, type Limits } from '../sip/message/limits.ts'
import type { Message, Request } from '../sip/message/message.ts'
import { parseMessage } from '../sip/message/parse.ts'
import { formatVia, type Via } from '../sip/message/via.ts'
import type { DropReason } from '../spine/facts.ts'
import type { Spine } from '../spine/spine.ts'
import { sentByHop } from './sent-by.ts'
import { DatagramFlow, StreamFlow } from './flows.ts'
import { StreamTable, type Stream } from './streams.ts'
import type { Flow, Target, TransportPort } from './transport.ts'

/** Where to listen, and what to tell others about it. */
export interface ListenerOptions {
  readonly protocol: 'udp' | 'tcp'
  readonly address: Address
  /** What goes into Via and Record-Route instead of the address: a host, or null. */
  readonly advertise: { readonly host: string; readonly port: number } | null
}

export interface TransportLimits {
  readonly maxConnections: number
  /** See `sourceOf`: of an IPv6 address, its /64. */
  readonly maxConnectionsPerSource: number
  /** What one message may cost. */
  readonly message?: Limits
}

/** Who may send to us. Asked before anything is parsed; what it refuses it has counted. */
export interface Gate {
  admit(host: string, protocol: Protocol): boolean
  /** @param bytes a datagram, or one whole message of a stream */
  screen(bytes: Buffer, host: string, protocol: Protocol): boolean
}

export const defaultTransportLimits: TransportLimits = {
  maxConnections: 16_384,
  maxConnectionsPerSource: 2_048,
}

/** Datagram flows are remembered so that observers can know a path by identity. */
const FLOWS_REMEMBERED = 4_096

export interface TransportLayerOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly limits?: TransportLimits
  /** Without it, everybody may. */
  readonly gate?: Gate
  /** For responses whose connection is gone (RFC 3263 §5); without it they follow the source address only. */
  readonly nextHops?: NextHops
  /** Every whole, valid message, requests with their top Via stamped (§18.2.1, RFC 3581 §4). */
  readonly onMessage: (message: Message, flow: Flow) => void
  readonly onFlowClosed: (flow: Flow, error: string | null) => void
}

interface Listener {
  readonly options: ListenerOptions
  readonly local: Address
  readonly sentBy: { readonly host: string; readonly port: number }
  readonly udp: UdpEndpoint | null
  readonly tcp: TcpAcceptor | null
}

/** RFC 3261 §18: sockets to messages and back, Via stamping, response routing, connection reuse. */
export class TransportLayer implements TransportPort {
  readonly #o: TransportLayerOptions
  readonly #limits: TransportLimits
  readonly #messageLimits: Limits
  readonly #listeners: Listener[] = []
  readonly #streams: StreamTable
  readonly #connecting = new Map<string, ((flow: Flow | null) => void)[]>()
  /** By `peerHash`: a number is found without making a text. Those that share one are compared. */
  #flows = new Map<number, DatagramFlow[]>()
  #flowCount = 0

  constructor(options: TransportLayerOptions) {
    this.#o = options
    this.#limits = options.limits ?? defaultTransportLimits
    this.#messageLimits = this.#limits.message ?? defaultLimits
    this.#streams = new StreamTable(options.clock, this.#messageLimits)
  }

  /** Opens a listener; rejects when its address cannot be had. Returns the address bound (port 0 becomes a real one). */
  async listen(options: ListenerOptions): Promise<Address> {
    const udp = options.protocol === 'udp' ? await this.#openUdp(options.address) : null
    const tcp =
      options.protocol === 'tcp'
        ? await listenTcp(
            options.address,
            (host) => this.#admit(host, 'tcp'),
            (socket) => this.#accept(socket),
            (error) => this.#log(`listener: ${error.message}`),
          )
        : null
    const local = (udp ?? tcp)?.local
    if (!local) throw new Error('a listener without an address')
    const sentBy = options.advertise ?? local
    this.#listeners.push({ options, local, sentBy, udp, tcp })
    return local
  }

  get connections(): { readonly tcp: number } {
    return { tcp: this.#streams.size }
  }

  /** Whether host and port of a URI or a Via are ours: an own address, or what we advertise for it. */
  isOurs(host: string, port: number | null): boolean {
    const p = port ?? 5060
    for (const { sentBy, local } of this.#listeners) {
      if (sentBy.port === p && same(sentBy.host, host)) return true
      if (local.port === p && same(local.host, host)) return true
    }
    return false
  }

  get listeners(): readonly { readonly protocol: 'udp' | 'tcp'; readonly local: Address }[] {
    return this.#listeners.map((l) => ({ protocol: l.options.protocol, local: l.local }))
  }

  sentBy(protocol: Protocol): { readonly host: string; readonly port: number } {
    const own = this.#listeners.find((l) => l.options.protocol === protocol) ?? this.#listeners[0]
    if (!own) throw new Error('the transport layer listens nowhere')
    return own.sentBy
  }

  /** Our end of the path as peers know it: what is advertised for its listener, where that is an address. */
  advertised(path: Path): Address {
    const { protocol, local } = path
    const own = this.#listeners.find(
      (l) => l.options.protocol === protocol && l.local.port === local.port && l.options.advertise !== null,
    )
    return own && isIP(own.sentBy.host) !== 0 ? own.sentBy : local
  }

  reach(target: Target, then: (flow: Flow | null) => void): void {
    if (target.flow && !target.flow.closed) return then(target.flow)
    if (target.protocol === 'udp') {
      return then(this.#datagramFlowTo(target.host, target.port, target.from ?? null))
    }
    if (target.protocol === 'tcp') return this.#streamTo(target.host, target.port, then)
    return then(null)
  }

  responseFlow(request: Request, arrivedOn: Flow, then: (flow: Flow | null) => void): void {
    const via = request.via
    if (arrivedOn.reliable) {
      if (!arrivedOn.closed || !via) return then(arrivedOn.closed ? null : arrivedOn)
      // §18.2.2: the connection is gone; try the source address at the port the Via names.
      return this.#streamTo(arrivedOn.path.remote.host, via.port ?? 5060, (flow) => {
        const hop = flow === null ? sentByHop(via) : null
        if (hop === null || this.#o.nextHops === undefined) return then(flow)
        return this.#o.nextHops.find(hop, (found) => this.#firstOf(found.ok ? found.targets : [], then))
      })
    }
    // NOTE: a maddr in the Via is not obeyed (§18.2.2 first bullet): it would let anybody aim our responses.
    const { remote, local } = arrivedOn.path
    const port = via?.params.has('rport') ? remote.port : (via?.port ?? 5060)
    if (port === remote.port) return then(arrivedOn)
    return then(this.#datagramFlowTo(remote.host, port, local))
  }

  /** Cuts the connections of these peers: they have been banned. */
  cutFrom(isMeant: (remoteHost: string) => boolean): void {
    for (const stream of this.#streams) if (isMeant(stream.path.remote.host)) stream.cut('banned')
  }

  /** Connects to the first of the targets that can be reached. */
  #firstOf(targets: readonly HopTarget[], then: (flow: Flow | null) => void): void {
    const [next, ...others] = targets
    if (next === undefined) return then(null)
    return this.reach(next, (flow) => (flow === null ? this.#firstOf(others, then) : then(flow)))
  }

  /** Stops listening and closes every connection. */
  async close(): Promise<void> {
    const listeners = this.#listeners.splice(0)
    for (const stream of this.#streams) stream.cut('the server stops')
    await Promise.all(listeners.map((l) => l.udp?.close() ?? l.tcp?.close()))
  }

  // Datagrams

  #openUdp(address: Address): Promise<UdpEndpoint> {
    let local: Address = address
    const opened = UdpEndpoint.open(address, {
      onDatagram: (bytes, host, port) => this.#onDatagram(bytes, host, port, local),
      onError: (error) => this.#log(`udp: ${error.message}`),
    })
    void opened.then((endpoint) => (local = endpoint.local)).catch(() => undefined)
    return opened
  }

  #onDatagram(bytes: Buffer, host: string, port: number, local: Address): void {
    if (this.#o.gate?.screen(bytes, host, 'udp') === false) return
    const first = bytes[0]
    // Keep-alives: CRLF (RFC 5626 §3.5.1 over UDP by common practice), or nothing at all.
    if (first === undefined || (bytes.length <= 4 && (first === 13 || first === 0))) return
    // RFC 5626 §8: no SIP message begins with two zero bits.
    if (first < 2 && this.#answerStun(bytes, host, port, local)) return
    const flow = this.#datagramFlow(host, port, local)
    const result = parseMessage(bytes.toString('latin1'), this.#messageLimits)
    if (!result.ok) {
      this.#onFault(flow, bytes, result.fault, result.answerable)
      return
    }
    this.#onMessage(result.message, bytes, flow)
  }

  #answerStun(bytes: Buffer, host: string, port: number, local: Address): boolean {
    const answer = answerStun(bytes, { host, port })
    if (answer === null) return false
    const { spine } = this.#o
    const answered = this.#datagramFlow(host, port, local).ping(answer)
    spine.keptAlive.publish({ method: 'stun', outcome: answered ? 'answered' : 'failed' })
    return true
  }

  #datagramFlowTo(host: string, port: number, local: Address | null): DatagramFlow | null {
    // Both are IP addresses, so a colon tells.
    const v6 = host.includes(':')
    const usable = (l: Listener): boolean => l.udp !== null && l.local.host.includes(':') === v6
    const own =
      (local && this.#listeners.find((l) => usable(l) && isSame(l.local, local))) ??
      this.#listeners.find(usable)
    return own ? this.#datagramFlow(host, port, own.local) : null
  }

  #datagramFlow(host: string, port: number, local: Address): DatagramFlow {
    const hash = peerHash(host, port)
    let flows = this.#flows.get(hash)
    if (flows !== undefined) {
      for (const flow of flows) {
        const { path } = flow
        if (path.local === local && path.remote.port === port && same(path.remote.host, host)) return flow
      }
    }
    const endpoint = this.#listeners.find((l) => l.local === local)?.udp ?? null
    const peer = endpoint?.peer(host, port)
    const flow = new DatagramFlow({ protocol: 'udp', local, remote: { host, port } }, this.#o, (text) =>
      endpoint && peer ? endpoint.send(text, peer) : null,
    )
    // Forgotten all at once: a flow costs nothing to make again, and a flood from many addresses nothing to remember.
    if (this.#flowCount >= FLOWS_REMEMBERED) {
      this.#flows.clear()
      this.#flowCount = 0
      flows = undefined
    }
    if (flows === undefined) this.#flows.set(hash, [flow])
    else flows.push(flow)
    this.#flowCount++
    return flow
  }

  // Streams

  #admit(host: string, protocol: Protocol): boolean {
    if (this.#o.gate?.admit(host, protocol) === false) return false
    const { maxConnections, maxConnectionsPerSource } = this.#limits
    const perSource = this.#streams.countFrom(host) >= maxConnectionsPerSource
    if (!perSource && this.#streams.size < maxConnections) return true
    const reason = perSource ? 'connections_per_source' : 'connections'
    this.#o.spine.dropped.publish({ reason, protocol })
    return false
  }

  #accept(socket: Socket): void {
    const connection = new StreamConnection(socket, this.#streamListener())
    this.#register(connection)
  }

  #register(connection: StreamConnection): Stream {
    const path: Path = { protocol: 'tcp', local: connection.local, remote: connection.remote }
    const flow = new StreamFlow(path, this.#o, connection)
    const stream = this.#streams.add(flow, path, {
      cut: (why) => connection.destroy(why),
      end: () => connection.end(),
    })
    this.#byConnection.set(connection, stream)
    this.#o.spine.flowOpened.publish({ path, error: null })
    return stream
  }

  readonly #byConnection = new Map<StreamConnection, Stream>()

  #streamListener(): StreamListener {
    return {
      onBytes: (connection, bytes) => {
        const stream = this.#byConnection.get(connection)
        if (stream) this.#onStreamBytes(stream, bytes, connection)
      },
      onClosed: (connection, error) => {
        const stream = this.#byConnection.get(connection)
        if (!stream) return
        this.#byConnection.delete(connection)
        this.#streams.remove(stream)
        const reason = error === null ? undefined : CUT_BY_US.get(error)
        if (reason) this.#o.spine.dropped.publish({ reason, protocol: stream.path.protocol })
        this.#o.spine.flowClosed.publish({ path: stream.path, error })
        this.#o.onFlowClosed(stream.flow, error)
      },
    }
  }

  #onStreamBytes(stream: Stream, bytes: Buffer, connection: StreamConnection): void {
    if (stream.givenUpAt !== null) return
    let completed = false
    for (const framed of stream.framer.push(bytes)) {
      if (framed.what === 'keepalive') {
        connection.send(PONG)
        this.#o.spine.keptAlive.publish({ method: 'crlf', outcome: 'answered' })
        continue
      }
      completed = true
      const raw = Buffer.from(framed.text, 'latin1')
      const { protocol, remote } = stream.path
      if (this.#o.gate?.screen(raw, remote.host, protocol) === false) continue
      const result = parseMessage(framed.text, this.#messageLimits)
      if (framed.what === 'fault') {
        this.#onFault(
          stream.flow,
          raw,
          framed.fault,
          result.ok ? asRequest(result.message) : result.answerable,
        )
        this.#streams.giveUp(stream, stream.spoken)
        continue
      }
      stream.spoken = true
      if (result.ok) this.#onMessage(result.message, raw, stream.flow)
      else this.#onFault(stream.flow, raw, result.fault, result.answerable)
    }
    this.#streams.heard(stream, completed)
  }

  #streamTo(host: string, port: number, then: (flow: Flow | null) => void): void {
    const open = this.#streams.to(host, port)
    if (open && !open.flow.closed) return then(open.flow)
    const key = `${host}|${port}`
    const waiting = this.#connecting.get(key)
    if (waiting) {
      waiting.push(then)
      return undefined
    }
    this.#connecting.set(key, [then])
    return connectTcp({ host, port }, this.#streamListener(), (connection) => {
      const flow = connection ? this.#register(connection).flow : null
      const callbacks = this.#connecting.get(key) ?? []
      this.#connecting.delete(key)
      for (const callback of callbacks) callback(flow)
    })
  }

  // Messages

  #onMessage(message: Message, bytes: Uint8Array, flow: Flow): void {
    const { spine, clock } = this.#o
    if (spine.messageReceived.active) {
      spine.messageReceived.publish({ path: flow.path, bytes, message, at: clock.wallTime() })
    }
    const via = message.via
    if (!via) return
    if (message.kind === 'request') stamp(message, via, flow.path.remote)
    // §18.1.2: a response whose top Via is not ours was not meant for us.
    else if (!this.isOurs(via.host, via.port)) return
    this.#o.onMessage(message, flow)
  }

  /** §8.2, RFC 4475 §3: a request that can be answered is, without state; everything is counted and traced. */
  #onFault(flow: Flow, bytes: Uint8Array, fault: Fault, answerable: Request | null): void {
    const { spine, clock, identifiers } = this.#o
    spine.messageFaulted.publish({ path: flow.path, bytes, what: fault.what, at: clock.wallTime() })
    if (!answerable || answerable.method === 'ACK') return
    const via = answerable.via
    if (!via) return
    stamp(answerable, via, flow.path.remote)
    this.responseFlow(answerable, flow, (back) => {
      back?.send(buildResponse(answerable, fault.status, { reason: fault.what, toTag: identifiers.tag() }))
    })
  }

  #log(text: string): void {
    const { spine, clock } = this.#o
    spine.logged.publish({ level: 'error', module: 'transport', text, fields: null, at: clock.wallTime() })
  }
}

/**
 * Equality by content. `===` on a fresh slice puts it into the engine's table of strings first, which costs ten times as
 * much as comparing nine characters.
 */
function same(a: string, b: string): boolean {
  return a.length === b.length && a.startsWith(b)
}

/** By content: an address that was kept in a file is not the listener's own object. */
function isSame(a: Address, b: Address): boolean {
  return a === b || (a.port === b.port && a.host === b.host)
}

function peerHash(host: string, port: number): number {
  let hash = port
  for (let i = 0; i < host.length; i++) hash = (Math.imul(hash, 31) + host.charCodeAt(i)) | 0
  return hash
}

const PONG = Buffer.from('\r\n')

/** Why a connection was cut, by the words it is cut with. */
const CUT_BY_US: ReadonlyMap<string, DropReason> = new Map([
  ['a message took too long', 'slow_message'],
  ['no message could be read', 'slow_message'],
  ['idle', 'idle'],
  ['silent', 'idle'],
  ['the peer does not read', 'slow_reader'],
  ['banned', 'banned'],
])

function asRequest(message: Message): Request | null {
  return message.kind === 'request' ? message : null
}

/** §18.2.1 and RFC 3581 §4: what the peer says of itself is overwritten by what we saw. */
function stamp(request: Request, via: Via, source: Address): void {
  const rport = via.params.has('rport')
  const differs = via.host !== source.host
  if (!rport && !differs && !via.params.has('received')) return
  if (rport) via.params.set('rport', String(source.port))
  if (rport || differs) via.params.set('received', source.host)
  else via.params.delete('received')
  request.headers.replaceFirst('via', formatVia(via))
}
