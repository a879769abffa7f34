import { createSocket } from 'node:dgram'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { Address } from '../../src/base/address.ts'
import type { NextHops } from '../../src/base/next-hop.ts'
import type { TlsMaterial } from '../../src/net/tls.ts'
import type { Message, Request } from '../../src/sip/message/message.ts'
import { createSpine, type Spine } from '../../src/spine/spine.ts'
import type { Gate } from '../../src/stack/intake.ts'
import type { Flow } from '../../src/stack/transport.ts'
import { TransportLayer, type TransportLimits } from '../../src/stack/transport-layer.ts'
import { countingIdentifiers } from '../support/counting-identifiers.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { until } from '../support/programs.ts'

export interface TransportLab {
  readonly clock: FakeClock
  readonly spine: Spine
  readonly layer: TransportLayer
  readonly udp: Address
  readonly tcp: Address
  readonly got: { readonly message: Message; readonly flow: Flow }[]
  readonly faults: string[]
  readonly closed: (string | null)[]
  /** Flows from which nothing more is read, by the peer's port. */
  readonly deaf: number[]
  /** Requests that did not leave. */
  readonly unsent: Request[]
  /** Lines of the log. */
  readonly lines: string[]
  /** The next request to come up. */
  request(): Promise<{ readonly message: Request; readonly flow: Flow }>
}

/** The transport layer on real loopback sockets, with time in the test's hands. */
export async function transportLab(
  t: TestContext,
  options: {
    limits?: TransportLimits
    tls?: TlsMaterial
    advertise?: { host: string; port: number }
    nextHops?: NextHops
    gate?: Gate
  } = {},
): Promise<TransportLab> {
  const clock = new FakeClock()
  const spine = createSpine(() => undefined)
  const got: { message: Message; flow: Flow }[] = []
  const faults: string[] = []
  const closed: (string | null)[] = []
  const deaf: number[] = []
  const unsent: Request[] = []
  const lines: string[] = []
  spine.logged.subscribe(({ level, text }) => void lines.push(`${level} ${text}`))
  spine.messageFaulted.subscribe((fact) => void faults.push(fact.what))
  const layer = new TransportLayer({
    clock,
    identifiers: countingIdentifiers(),
    spine,
    ...(options.limits ? { limits: options.limits } : {}),
    tls: options.tls ?? null,
    ...(options.nextHops ? { nextHops: options.nextHops } : {}),
    ...(options.gate ? { gate: options.gate } : {}),
    onMessage: (message, flow) => void got.push({ message, flow }),
    onFlowClosed: (_flow, error) => void closed.push(error),
    onFlowDeaf: (flow) => void deaf.push(flow.path.remote.port),
    onUnsent: (request) => void unsent.push(request),
  })
  t.after(() => layer.close())
  const advertise = options.advertise ?? null
  const address = { host: '127.0.0.1', port: 0 }
  const udp = await layer.listen({ protocol: 'udp', address, advertise })
  const tcp = await layer.listen({ protocol: 'tcp', address, advertise })
  let taken = 0
  const request = async (): Promise<{ message: Request; flow: Flow }> => {
    const { message, flow } = await until('a request', () => got[taken])
    taken++
    if (message.kind !== 'request') throw new Error('a response')
    return { message, flow }
  }
  return { clock, spine, layer, udp, tcp, got, faults, closed, deaf, unsent, lines, request }
}

export interface Peer {
  readonly port: number
  readonly received: string[]
  send(text: string): void
}

export async function udpPeer(t: TestContext, to: Address): Promise<Peer> {
  const socket = createSocket('udp4')
  t.after(() => socket.close())
  await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done))
  const received: string[] = []
  socket.on('message', (bytes) => void received.push(bytes.toString('latin1')))
  const { port } = socket.address()
  return { port, received, send: (text) => socket.send(Buffer.from(text, 'latin1'), to.port, to.host) }
}

export async function tcpPeer(
  t: TestContext,
  to: Address,
): Promise<Peer & { readonly socket: Socket; text(): string }> {
  const socket = connect({ host: to.host, port: to.port, allowHalfOpen: true })
  t.after(() => socket.destroy())
  const received: string[] = []
  socket.on('error', () => undefined)
  socket.on('data', (bytes) => void received.push(bytes.toString('latin1')))
  await until('to connect', () => socket.localPort)
  return {
    socket,
    port: socket.localPort ?? 0,
    received,
    text: () => received.join(''),
    send: (text) => void socket.write(Buffer.from(text, 'latin1')),
  }
}

/** An OPTIONS whose only interest is its Via. */
export function options(via: string, more = 'Content-Length: 0\r\n'): string {
  return `OPTIONS sip:a@b SIP/2.0\r\nVia: ${via}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n${more}\r\n`
}

export function response(via: string): string {
  return options(via).replace(/^.*\r\n/, 'SIP/2.0 200 OK\r\n')
}
