import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { connect, createServer, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { nativeUdp } from '../../src/base/native-udp.ts'
import { listenStream, type Porter } from '../../src/net/accept.ts'
import type { Connection, ConnectionListener, Opened } from '../../src/net/connection.ts'
import { connectTcp } from '../../src/net/tcp.ts'
import { TlsContexts } from '../../src/net/tls.ts'
import { MAX_DATAGRAM, openUdp } from '../../src/net/udp.ts'
import { WsHandshakes } from '../../src/net/ws.ts'
import { until } from '../support/programs.ts'

const loopback = { host: '127.0.0.1', port: 0 }

/** Lets everybody in, or nobody. */
const porter = (open: boolean): Porter => ({
  stranger: () => undefined,
  enter: () =>
    open
      ? { comesFrom: () => true, admitted: () => undefined, failed: () => undefined, left: () => undefined }
      : null,
})

function listenTcp(
  open: boolean,
  onOpened: (connection: Connection) => void,
  listener = keeping(),
  address = loopback,
) {
  return listenStream({
    protocol: 'tcp',
    address,
    balancers: null,
    tls: new TlsContexts(),
    ws: new WsHandshakes(65_535),
    porter: porter(open),
    listener,
    onOpened,
    onError: (error) => assert.fail(error),
  })
}

function keeping(): ConnectionListener & { bytes: string; closed: (string | null)[] } {
  const kept = {
    bytes: '',
    closed: [] as (string | null)[],
    onBytes: (_: Connection, bytes: Buffer) => void (kept.bytes += bytes.toString('latin1')),
    onPeerEnded: () => false,
    onAlive: () => undefined,
    onTooLong: () => undefined,
    onClosed: (_: Connection, why: string | null) => void kept.closed.push(why),
  }
  return kept
}

/** An acceptor, a peer connected to it, and our end. */
async function pair(t: TestContext) {
  const listener = keeping()
  const accepted: Connection[] = []
  const acceptor = await listenTcp(true, (connection) => void accepted.push(connection), listener)
  const peer: Socket = connect({ ...acceptor.local, allowHalfOpen: true })
  peer.on('error', () => undefined)
  const connection = await until('the connection', () => accepted[0])
  t.after(async () => {
    peer.destroy()
    connection.destroy()
    await acceptor.close()
  })
  return { peer, connection, listener }
}

describe('stream connections', () => {
  it('carry bytes both ways, and know both addresses', async (t) => {
    const { peer, connection, listener } = await pair(t)
    assert.deepEqual(connection.remote, { host: '127.0.0.1', port: peer.localPort })
    assert.deepEqual(connection.local, { host: '127.0.0.1', port: peer.remotePort })
    let answer = ''
    peer.on('data', (bytes) => (answer += bytes.toString('latin1')))
    peer.write('ping')
    await until('ping', () => listener.bytes === 'ping')
    assert.equal(connection.send(Buffer.from('pong')), true)
    await until('pong', () => answer === 'pong')
  })

  it('end with the peer, in order and without an error', async (t) => {
    const { peer, connection, listener } = await pair(t)
    peer.resume()
    peer.end()
    await until('the end', () => listener.closed.length === 1)
    assert.deepEqual(listener.closed, [null])
    assert.equal(connection.closed, true)
    assert.equal(connection.send(Buffer.from('late')), false)
  })

  it('send what is queued before they end', async (t) => {
    const { peer, connection } = await pair(t)
    let received = 0
    peer.on('data', (bytes) => (received += bytes.length))
    connection.send(Buffer.alloc(900_000))
    connection.end()
    assert.equal(connection.closed, true)
    await until('the end', () => peer.readableEnded)
    assert.equal(received, 900_000)
  })

  it('are cut when more than 1 MB waits for a peer that does not read', async (t) => {
    const { peer, connection, listener } = await pair(t)
    peer.pause()
    const piece = Buffer.alloc(64_000)
    let taken = 0
    while (connection.send(piece) && taken < 1_000) {
      taken++
      if (taken % 10 === 0) await new Promise((done) => setImmediate(done))
    }
    assert.ok(taken >= 16 && taken < 1_000, String(taken))
    // At once, not when the socket has said so.
    assert.equal(connection.closed, true)
    await until('the cut', () => listener.closed.length === 1)
    assert.deepEqual(listener.closed, ['the peer does not read'])
  })

  it('tell the first reason only, once', async (t) => {
    const { connection, listener } = await pair(t)
    connection.destroy('idle')
    connection.destroy('another')
    await until('the end', () => listener.closed.length > 0)
    assert.deepEqual(listener.closed, ['idle'])
  })

  it('are not made for a source that is not admitted', async () => {
    const acceptor = await listenTcp(false, () => assert.fail('accepted'))
    const peer = connect(acceptor.local)
    peer.on('error', () => undefined)
    await until('the refusal', () => peer.closed)
    await acceptor.close()
  })

  it('opened by us call back once: with the connection, or with null when nobody listens', async () => {
    const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1')
    await until('to listen', () => server.listening)
    const { port } = server.address() as { port: number }
    const listener = keeping()
    const calls: Opened[] = []
    connectTcp({ host: '127.0.0.1', port }, listener, (opened) => void calls.push(opened))
    await until('the end', () => listener.closed.length === 1)
    assert.equal(calls.length, 1)
    const [first] = calls
    assert.equal(first && 'connection' in first && first.connection.remote.port, port)
    await new Promise((done) => server.close(done))
    connectTcp({ host: '127.0.0.1', port }, listener, (opened) => void calls.push(opened))
    await until('the failure', () => calls.length === 2)
    assert.match(JSON.stringify(calls[1]), /ECONNREFUSED/)
  })

  it('reject an address that is taken', async () => {
    const first = await listenTcp(true, () => undefined)
    await assert.rejects(
      listenTcp(true, () => undefined, keeping(), first.local),
      /EADDRINUSE/,
    )
    await first.close()
  })
})

describe('datagrams', () => {
  it('go both ways, with the source told', async () => {
    const got: string[] = []
    const endpoint = await openUdp(loopback, {
      onDatagram: (bytes, host, port) => void got.push(`${bytes.toString()} ${host} ${port}`),
      onError: (error) => assert.fail(error),
    })
    const peer = createSocket('udp4')
    let answer = ''
    peer.on('message', (bytes) => (answer = bytes.toString()))
    peer.send('ping', endpoint.local.port, '127.0.0.1')
    await until('ping', () => got.length === 1)
    const { port } = peer.address()
    assert.deepEqual(got, [`ping 127.0.0.1 ${port}`])
    const sent = endpoint.send('pong', endpoint.peer('127.0.0.1', port))
    assert.equal(Buffer.from(sent ?? []).toString('latin1'), 'pong')
    await until('pong', () => answer === 'pong')
    peer.close()
    await endpoint.close()
  })

  it('that cannot be sent are refused at once: too long, a port nobody has, after the end', async () => {
    const endpoint = await openUdp(loopback, {
      onDatagram: () => undefined,
      onError: (error) => assert.fail(error),
    })
    const nine = endpoint.peer('127.0.0.1', 9)
    assert.equal(endpoint.send('x'.repeat(MAX_DATAGRAM + 1), nine), null)
    assert.equal(endpoint.send('x', endpoint.peer('127.0.0.1', 0)), null)
    assert.equal(endpoint.send('x', endpoint.peer('127.0.0.1', 65_536)), null)
    // What the kernel refuses (a broadcast) is lost like any datagram: it throws nothing and ends nothing.
    assert.equal(endpoint.send('x', endpoint.peer('255.255.255.255', 9))?.length, 1)
    await endpoint.close()
    assert.equal(endpoint.send('x', nine), null)
  })

  it('reject an address that is taken', async () => {
    const none = { onDatagram: () => undefined, onError: () => undefined }
    const first = await openUdp(loopback, none)
    await assert.rejects(openUdp(first.local, none), /EADDRINUSE/)
    await first.close()
  })
})

describe('datagrams in numbers', () => {
  const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => `datagram ${i}`)

  it('all arrive, in order, while few come and while many do, and in one piece at the largest', async (t) => {
    const got: string[] = []
    let batches = 0
    const endpoint = await openUdp(loopback, {
      onDatagram: (bytes) => void got.push(bytes.toString('latin1')),
      onBatch: () => void batches++,
      onError: (error) => assert.fail(error),
    })
    const peer = createSocket('udp4')
    t.after(async () => {
      peer.close()
      await endpoint.close()
    })
    const sendAll = async (texts: readonly string[]): Promise<void> => {
      got.length = 0
      for (const text of texts) peer.send(text, endpoint.local.port, '127.0.0.1')
      await until('them all', () => got.length === texts.length)
    }
    // Busy: looked at each millisecond. Then calm again, then busy again.
    for (const round of [1, 2]) {
      const texts = numbers(200).map((text) => `${round} ${text}`)
      batches = 0
      await sendAll(texts)
      assert.deepEqual(got, texts)
      assert.ok(nativeUdp === null ? batches === 200 : batches < 200, `${batches} batches`)
      await new Promise((done) => setTimeout(done, 150))
      await sendAll([`${round} alone`])
      assert.deepEqual(got, [`${round} alone`])
    }
    const largest = 'x'.repeat(MAX_DATAGRAM)
    await sendAll([largest])
    assert.equal(got[0] === largest, true)
  })

  it('sent together all go, to their own peers, more than fit into one burst too', async () => {
    const endpoint = await openUdp(loopback, {
      onDatagram: () => undefined,
      onError: (error) => assert.fail(error),
    })
    const peers = await Promise.all(
      [0, 1].map(async () => {
        const got: string[] = []
        const peer = await openUdp(loopback, {
          onDatagram: (bytes) => void got.push(bytes.toString('latin1')),
          onError: (error) => assert.fail(error),
        })
        return { got, peer, to: endpoint.peer(peer.local.host, peer.local.port) }
      }),
    )
    const texts = numbers(300)
    texts.forEach((text, i) => {
      const to = peers[i % 2]?.to
      if (to !== undefined) assert.equal(endpoint.send(text, to)?.length, text.length)
    })
    await until('them all', () => peers.every(({ got }) => got.length === 150))
    peers.forEach(({ got }, which) =>
      assert.deepEqual(
        got,
        texts.filter((_, i) => i % 2 === which),
      ),
    )
    await Promise.all([endpoint.close(), ...peers.map(({ peer }) => peer.close())])
  })

  it('that nobody can be sent are told, and those sent together with them go', async (t) => {
    const unsent: string[] = []
    const got: string[] = []
    const endpoint = await openUdp(loopback, {
      onDatagram: (bytes) => void got.push(bytes.toString('latin1')),
      onUnsent: (bytes, to, error) =>
        void unsent.push(`${bytes.toString('latin1')} ${to.host}: ${error.message}`),
      onError: (error) => assert.fail(error),
    })
    t.after(() => endpoint.close())
    const good = endpoint.peer('127.0.0.1', endpoint.local.port)
    // The kernel lets no socket send there that has not asked for it.
    const bad = endpoint.peer('255.255.255.255', 5060)
    for (const text of ['1', '2', '3']) {
      assert.ok(endpoint.send(text, good))
      assert.ok(endpoint.send(text, bad))
    }
    await until('what can be sent', () => got.length === 3)
    await until('what cannot', () => unsent.length === 3)
    assert.deepEqual(got, ['1', '2', '3'])
    for (const [i, line] of unsent.entries())
      assert.match(line, new RegExp(`^${i + 1} 255.255.255.255: send E\\w+ `))
  })

  it('given to a kernel without room wait for it', async () => {
    // Nobody reads at the other end, so that its buffer fills; what the sender's kernel takes is not lost by the sender.
    const endpoint = await openUdp(loopback, {
      onDatagram: () => undefined,
      onUnsent: (_bytes, _to, error) => assert.fail(error),
      onError: (error) => assert.fail(error),
    })
    const to = endpoint.peer('127.0.0.1', endpoint.local.port)
    for (let i = 0; i < 500; i++) assert.equal(endpoint.send('y'.repeat(20_000), to)?.length, 20_000)
    await endpoint.close()
  })
})
