import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { syslogMessage } from '../../../src/observe/cdr/syslog-message.ts'
import { callRecord } from '../../support/call-record.ts'
import { accept, levelsOf, pipeline, scratch, until } from '../../support/cdr.ts'
import { certificate } from '../../support/certificate.ts'

/** Cuts octet-counted frames; fails on anything else. */
function frames(bytes: Buffer): string[] {
  const out: string[] = []
  for (let at = 0; at < bytes.length;) {
    const head = /^(\d+) /.exec(bytes.toString('latin1', at, at + 8))
    assert.ok(head, `no frame at ${at}`)
    const start = at + head[0].length
    const end = start + Number(head[1])
    if (end > bytes.length) break
    out.push(bytes.toString('utf8', start, end))
    at = end
  }
  return out
}

const idOf = (message: string): string =>
  (JSON.parse(message.slice(message.indexOf('{'))) as { id: string }).id

type Behaviour = (socket: Socket, nth: number) => void

async function tcpCollector(
  t: TestContext,
  behave: Behaviour = () => undefined,
  port = 0,
  tls?: { cert: string; key: string },
) {
  const connections: Buffer[][] = []
  const sockets: Socket[] = []
  const onConnection = (socket: Socket): void => {
    const chunks: Buffer[] = []
    connections.push(chunks)
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => void chunks.push(chunk))
    behave(socket, connections.length)
  }
  const server = tls ? createTlsServer(tls, onConnection) : createServer(onConnection)
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const messages = (): string[] => connections.flatMap((chunks) => frames(Buffer.concat(chunks)))
  return { connections, sockets, messages, server, port: (server.address() as AddressInfo).port }
}

const options = (port: number, transport: 'udp' | 'tcp' | 'tls') =>
  ({ kind: 'syslog', host: '127.0.0.1', port, transport }) as const

describe('a syslog message', () => {
  it('is RFC 5424 with the JSON as its text', () => {
    const entry = { id: 'a', line: '{"id":"ë"}', at: Date.UTC(2026, 0, 2, 3, 4, 5, 6), failures: 0 }
    const text = syslogMessage(entry, { hostname: 'node 1\n', procId: '42' }).toString()
    assert.equal(text, '<134>1 2026-01-02T03:04:05.006Z node_1_ siphon 42 CDR - {"id":"ë"}')
  })
})

describe('syslog over tcp', () => {
  it('counts octets, so that nothing in a record can forge another', async (t) => {
    const c = await tcpCollector(t)
    const { pipeline: p } = pipeline(t, [options(c.port, 'tcp')])
    await p.start()
    accept(p, 0, 500)
    p.accept(callRecord({ id: 'evil', userAgent: 'x\r\n<134>1 - - - - - - {"id":"forged"}' }))
    assert.equal(await p.flush(5000), true)
    await until(() => c.messages().length === 501)
    assert.deepEqual(c.messages().map(idOf), [...Array.from({ length: 500 }, (_, i) => `r-${i}`), 'evil'])
    assert.equal(levelsOf(p).delivered, 501)
  })

  it('connects again after a reset, and starts at a frame', async (t) => {
    const c = await tcpCollector(t, (socket, nth) => {
      if (nth <= 2) socket.once('data', () => socket.resetAndDestroy())
    })
    const { pipeline: p } = pipeline(t, [options(c.port, 'tcp')])
    await p.start()
    for (let i = 0; i < 100; i++) {
      accept(p, i, 1)
      await new Promise((resolve) => setTimeout(resolve, 3))
    }
    await until(() => levelsOf(p).queued === 0 && c.connections.length >= 3)
    await until(() => c.messages().map(idOf).includes('r-99'))
    for (const chunks of c.connections) frames(Buffer.concat(chunks))
  })

  it('is bounded when the collector does not read, gives it up, and sends all again to one that does', async (t) => {
    let reading = false
    const c = await tcpCollector(t, (socket) => {
      if (!reading) socket.pause()
    })
    const { pipeline: p } = pipeline(t, [options(c.port, 'tcp')], { channelSize: 30_000, stallMs: 300 })
    await p.start()
    const big = 'x'.repeat(2000)
    let n = 0
    // More than the kernel's buffers hold.
    while (levelsOf(p).queued < 5000) {
      for (let i = 0; i < 500; i++) p.accept(callRecord({ id: `r-${n++}`, userAgent: big }))
      await new Promise((resolve) => setTimeout(resolve, 1))
      assert.ok(n < 30_000)
    }
    const before = levelsOf(p).delivered
    reading = true
    await until(() => levelsOf(p).queued === 0, 10_000)
    assert.ok(c.connections.length >= 2)
    const second = frames(Buffer.concat(c.connections.at(-1) ?? [])).map(idOf)
    await until(() =>
      frames(Buffer.concat(c.connections.at(-1) ?? []))
        .map(idOf)
        .includes(`r-${n - 1}`),
    )
    assert.equal(second[0], `r-${before}`)
  })
})

describe('syslog over tls', () => {
  it('delivers to a collector it trusts and sends nothing to one it does not', async (t) => {
    const dir = scratch(t)
    const good = certificate(dir, 'good', '127.0.0.1')
    if (!good) return t.skip('openssl is not installed')
    const c = await tcpCollector(t, undefined, 0, good)
    const trusting = pipeline(t, [{ ...options(c.port, 'tls'), tls: { caFile: good.certFile } }])
    await trusting.pipeline.start()
    accept(trusting.pipeline, 0, 20)
    assert.equal(await trusting.pipeline.flush(5000), true)
    await until(() => c.messages().length === 20)

    const doubting = pipeline(t, [options(c.port, 'tls')])
    await doubting.pipeline.start()
    accept(doubting.pipeline, 100, 20)
    await until(() => doubting.lines.some((l) => /SELF_SIGNED|self-signed/i.test(l)))
    assert.equal(levelsOf(doubting.pipeline).queued, 20)
    assert.equal(c.messages().length, 20)
  })
})

describe('syslog over udp', () => {
  async function udpCollector(t: TestContext, port = 0) {
    const messages: string[] = []
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 })
    socket.on('message', (bytes) => void messages.push(bytes.toString()))
    await new Promise<void>((resolve) => void socket.bind(port, '127.0.0.1', resolve))
    let open = true
    const close = (): Promise<void> =>
      new Promise((resolve) => {
        if (open) socket.close(resolve)
        else resolve()
        open = false
      })
    t.after(close)
    return { messages, port: socket.address().port, close }
  }

  it('sends one record a datagram', async (t) => {
    const c = await udpCollector(t)
    const { pipeline: p } = pipeline(t, [options(c.port, 'udp')])
    await p.start()
    accept(p, 0, 200)
    assert.equal(await p.flush(5000), true)
    await until(() => c.messages.length === 200)
    assert.deepEqual(
      c.messages.map(idOf),
      Array.from({ length: 200 }, (_, i) => `r-${i}`),
    )
    assert.equal(levelsOf(p).delivered, 200)
  })

  it('keeps records while the port is closed, and sends them when it opens', async (t) => {
    const first = await udpCollector(t)
    const { port } = first
    await first.close()
    const { pipeline: p } = pipeline(t, [options(port, 'udp')], { channelSize: 50 })
    await p.start()
    accept(p, 0, 60)
    await until(() => levelsOf(p).retries >= 3)
    assert.deepEqual([levelsOf(p).queued, levelsOf(p).dropped], [50, 10])
    const second = await udpCollector(t, port)
    await until(() => levelsOf(p).queued === 0)
    assert.equal(second.messages.length, 50)
  })

  it('sets aside what no datagram can hold', async (t) => {
    const c = await udpCollector(t)
    const dead = join(scratch(t), 'dead.jsonl')
    const { pipeline: p } = pipeline(t, [options(c.port, 'udp')], { deadLetterPath: dead })
    await p.start()
    p.accept(callRecord({ id: 'big', extra: JSON.stringify({ x: 'y'.repeat(70_000) }) }))
    p.accept(callRecord({ id: 'almost', extra: JSON.stringify({ x: 'ë'.repeat(30_000) }) }))
    assert.equal(await p.flush(5000), true)
    assert.deepEqual([levelsOf(p).delivered, levelsOf(p).dead], [1, 1])
    assert.match(readFileSync(dead, 'utf8'), /"reason":"longer than a datagram"/)
  })
})
