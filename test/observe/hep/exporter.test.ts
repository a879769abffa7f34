import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { describe, it, type TestContext } from 'node:test'
import { systemClock } from '../../../src/base/clock.ts'
import { ByteRingReader, ByteRingWriter, createByteRing } from '../../../src/base/byte-ring.ts'
import { decodeHep, HepFramer, type HepPacket } from '../../../src/observe/hep/decode.ts'
import { hepIdentity } from '../../../src/observe/hep/encode.ts'
import { HepExporter, type HepExporterOptions } from '../../../src/observe/hep/exporter.ts'
import { HepTap } from '../../../src/observe/hep/tap.ts'
import { createSpine } from '../../../src/spine/spine.ts'
import { certificate } from '../../support/certificate.ts'
import { scratch, until } from '../../support/cdr.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { crossed } from '../../support/messages-crossed.ts'

function setUp(t: TestContext, changes: Partial<HepExporterOptions> & { port: number }, ringBytes = 4 << 20) {
  const shared = createByteRing(ringBytes)
  const spine = createSpine((_, error) => {
    throw error
  })
  const tap = new HepTap({ spine, ring: new ByteRingWriter(shared) })
  const lines: string[] = []
  const exporter = new HepExporter({
    rings: [new ByteRingReader(shared)],
    clock: systemClock,
    log: (level, text) => void lines.push(`${level} ${text}`),
    identity: hepIdentity('siphon-sbc'),
    host: '127.0.0.1',
    transport: 'udp',
    minBackoffMs: 20,
    maxBackoffMs: 50,
    ...changes,
  })
  t.after(() => exporter.close())
  let n = 0
  const publish = (count: number): void => {
    for (let i = 0; i < count; i++) spine.messageReceived.publish(crossed(`call-${n++}`))
  }
  /** The levels, after a check that they add up to what the tap saw. */
  const levels = () => {
    const l = exporter.levels()
    const { ringFull, sendError, shutdown } = l.dropped
    assert.equal(l.produced, tap.produced)
    assert.equal(l.produced, l.sent + ringFull + sendError + shutdown + l.queued)
    assert.ok(l.queued >= 0)
    return l
  }
  return { exporter, publish, levels, lines }
}

function packet(bytes: Buffer): HepPacket {
  const decoded = decodeHep(bytes)
  assert.ok(decoded.ok, decoded.ok ? '' : decoded.what)
  return decoded.packet
}

async function udpReceiver(t: TestContext, port = 0) {
  const packets: HepPacket[] = []
  const socket = createSocket({ type: 'udp4' })
  socket.on('message', (bytes) => void packets.push(packet(bytes)))
  await new Promise<void>((resolve) => void socket.bind(port, '127.0.0.1', resolve))
  let open = true
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      if (!open) return resolve()
      open = false
      socket.close(resolve)
    })
  t.after(close)
  return { packets, port: socket.address().port, close }
}

async function tcpReceiver(
  t: TestContext,
  behave: (s: Socket, nth: number) => void = () => undefined,
  port = 0,
  tls?: { cert: string; key: string },
) {
  const framers: HepFramer[] = []
  const packets: HepPacket[][] = []
  const sockets: Socket[] = []
  const onConnection = (socket: Socket): void => {
    const framer = new HepFramer()
    const mine: HepPacket[] = []
    framers.push(framer)
    packets.push(mine)
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => void mine.push(...framer.push(bytes).map(packet)))
    behave(socket, sockets.length)
  }
  const server = tls ? createTlsServer(tls, onConnection) : createServer(onConnection)
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
  const close = (): void => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  t.after(close)
  return { framers, packets, sockets, close, port: (server.address() as AddressInfo).port }
}

const ids = (packets: HepPacket[]): Set<string | null> => new Set(packets.map((p) => p.correlation))

describe('HEP over udp', () => {
  it('leaves a few for the next look, and goes on at once when they are more', async (t) => {
    const { port } = await udpReceiver(t)
    const { exporter, publish, levels } = setUp(t, { port, clock: new FakeClock() })
    exporter.start()
    await until(() => levels().connected)
    publish(120)
    assert.equal(exporter.poll(), false)
    await until(() => levels().queued === 40)
    publish(81)
    assert.equal(exporter.poll(), true)
    await until(() => levels().queued === 41)
  })

  it('sends every message once, as it was, at the time it crossed', async (t) => {
    const r = await udpReceiver(t)
    const { exporter, publish, levels } = setUp(t, { port: r.port })
    exporter.start()
    // As traffic comes: a receiver in this same thread cannot read while a burst is sent.
    for (let i = 0; i < 10; i++) {
      publish(20)
      await until(() => r.packets.length === 20 * (i + 1))
    }
    assert.equal(await exporter.flush(5000), true)
    assert.equal(ids(r.packets).size, 200)
    assert.equal(levels().sent, 200)
    assert.equal(levels().connected, true)
    const [first] = r.packets
    assert.equal(first?.nodeName, 'siphon-sbc')
    assert.equal(first?.captureId, 1)
    assert.match(first?.payload.toString() ?? '', /^INVITE sip:bob@example\.com SIP\/2\.0\r\n/)
    assert.ok(Math.abs((first?.at ?? 0) - Date.now()) < 5000)
  })

  it('neither crashes nor loses count when the port is closed, and goes on when it opens', async (t) => {
    const first = await udpReceiver(t)
    await first.close()
    const { exporter, publish, levels, lines } = setUp(t, { port: first.port })
    exporter.start()
    for (let i = 0; i < 10; i++) {
      publish(20)
      await new Promise((resolve) => setTimeout(resolve, 10))
      levels()
    }
    await until(() => levels().errors > 0)
    assert.equal(levels().connected, false)
    assert.equal(lines.length, 1)
    const second = await udpReceiver(t, first.port)
    await new Promise((resolve) => setTimeout(resolve, 50))
    publish(20)
    assert.equal(await exporter.flush(5000), true)
    await until(() => second.packets.some((p) => p.correlation === 'call-219'))
    assert.equal(levels().queued, 0)
  })

  it('asks for the name again until there is an answer, keeps what the ring holds, and counts the rest', async (t) => {
    const r = await udpReceiver(t)
    let asked = 0
    const { exporter, publish, levels } = setUp(
      t,
      {
        port: r.port,
        host: 'homer.example.com',
        lookup: (_, then) => {
          asked++
          if (asked < 3) then(Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' }), '', 4)
          else then(null, '127.0.0.1', 4)
        },
      },
      16 * 1024,
    )
    exporter.start()
    publish(100)
    assert.ok(levels().dropped.ringFull > 0)
    await until(() => levels().queued === 0 && levels().sent > 0)
    await until(() => r.packets.length === levels().sent)
    assert.equal(asked, 3)
  })
})

describe('HEP over tcp', () => {
  it('sends every message once, many to a write', async (t) => {
    const r = await tcpReceiver(t)
    const { exporter, publish, levels } = setUp(t, { port: r.port, transport: 'tcp' })
    exporter.start()
    publish(5000)
    assert.equal(await exporter.flush(5000), true)
    await until(() => r.packets[0]?.length === 5000)
    assert.equal(ids(r.packets[0] ?? []).size, 5000)
    assert.equal(levels().sent, 5000)
  })

  it('starts each new connection at a packet, and keeps its account', async (t) => {
    const r = await tcpReceiver(t, (socket, nth) => {
      if (nth <= 3) socket.once('data', () => socket.resetAndDestroy())
    })
    const { exporter, publish, levels } = setUp(t, { port: r.port, transport: 'tcp' })
    exporter.start()
    for (let i = 0; i < 60; i++) {
      publish(10)
      await new Promise((resolve) => setTimeout(resolve, 5))
      levels()
    }
    assert.equal(await exporter.flush(5000), true)
    await until(() => ids(r.packets.flat()).has('call-599'))
    assert.ok(r.packets.length >= 4)
    assert.ok(r.framers.every((f) => !f.broken))
  })

  it('is bounded by the ring when the collector does not read, and by its own buffer', async (t) => {
    const r = await tcpReceiver(t, (socket) => socket.pause())
    const { exporter, publish, levels, lines } = setUp(t, { port: r.port, transport: 'tcp' }, 256 * 1024)
    exporter.start()
    while (levels().dropped.ringFull < 1000) {
      publish(200)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    assert.ok(levels().queued < 3000, String(levels().queued))
    assert.equal(lines.length, 1)
    for (const socket of r.sockets) socket.resume()
    assert.equal(await exporter.flush(5000), true)
    await until(() => r.packets.flat().length === levels().sent)
  })

  it('counts as dropped at the end what nobody took', async (t) => {
    const r = await tcpReceiver(t)
    r.close()
    const { exporter, publish, levels } = setUp(t, { port: r.port, transport: 'tcp' })
    exporter.start()
    publish(100)
    assert.equal(await exporter.flush(100), false)
    exporter.close()
    assert.deepEqual([levels().dropped.shutdown, levels().queued], [100, 0])
  })
})

describe('HEP over tls', () => {
  it('sends to a collector it trusts, and nothing to one it does not', async (t) => {
    const good = certificate(scratch(t), 'homer', '127.0.0.1')
    if (!good) return t.skip('openssl is not installed')
    const r = await tcpReceiver(t, undefined, 0, good)
    const trusting = setUp(t, { port: r.port, transport: 'tls', tls: { caFile: good.certFile } })
    trusting.exporter.start()
    trusting.publish(200)
    assert.equal(await trusting.exporter.flush(5000), true)
    await until(() => r.packets.flat().length === 200)
    const doubting = setUp(t, { port: r.port, transport: 'tls' })
    doubting.exporter.start()
    doubting.publish(10)
    await until(() => doubting.levels().errors > 0)
    assert.equal(doubting.levels().sent, 0)
    assert.equal(r.packets.flat().length, 200)
  })
})
