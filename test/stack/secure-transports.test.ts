import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { connect as connectPlain } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { WebSocket } from 'ws'
import type { Address, Protocol } from '../../src/base/address.ts'
import { clientOnly, type TlsMaterial } from '../../src/net/tls.ts'
import { buildResponse } from '../../src/sip/message/build.ts'
import { defaultLimits } from '../../src/sip/message/limits.ts'
import type { Request } from '../../src/sip/message/message.ts'
import { defaultTransportLimits } from '../../src/stack/transport-layer.ts'
import type { Flow, Target } from '../../src/stack/transport.ts'
import { certificate } from '../support/certificate.ts'
import { missing, until } from '../support/programs.ts'
import { options, transportLab, type TransportLab } from './transport-lab.ts'

const skip = missing('openssl')
const folder = mkdtempSync(join(tmpdir(), 'siphon-tls-'))
const made = (name: string) => {
  const files = certificate(folder, name, '127.0.0.1')
  if (files === null) throw new Error('openssl')
  return { certificate: files.cert, privateKey: files.key }
}
const ours = skip ? { certificate: '', privateKey: '' } : made('a.example')
const other = skip ? ours : made('b.example')
const peers = skip ? ours : made('peer.example')
const material: TlsMaterial = { ...clientOnly, standard: ours, named: [{ ...other, names: ['b.example'] }] }

const loopback = { host: '127.0.0.1', port: 0 }
const open = (lab: TransportLab, protocol: Protocol, more: object = {}): Promise<Address> =>
  lab.layer.listen({ protocol, address: loopback, advertise: null, ...more })
const ok = (request: Request) => buildResponse(request, 200, { toTag: 't' })
const reach = (lab: TransportLab, target: Target): Promise<Flow | null> =>
  new Promise((done) => lab.layer.reach(target, done))

/** Both kinds of fact as they came: `tls`, `tcp proxy_protocol`. */
function refusals(lab: TransportLab): string[] {
  const seen: string[] = []
  lab.spine.handshakeFailed.subscribe(({ protocol }) => void seen.push(protocol))
  lab.spine.dropped.subscribe(({ protocol, reason }) => void seen.push(`${protocol} ${reason}`))
  return seen
}

async function tlsPeer(
  t: TestContext,
  to: Address,
  more: object = {},
): Promise<TLSSocket & { text: () => string }> {
  const socket = connect({ ...to, rejectUnauthorized: false, ...more })
  t.after(() => socket.destroy())
  socket.on('error', () => undefined)
  let text = ''
  socket.on('data', (bytes) => (text += bytes.toString('latin1')))
  await until('the handshake', () => socket.getCipher()?.name !== undefined || socket.destroyed)
  return Object.assign(socket, { text: () => text })
}

const nameOf = (socket: TLSSocket) => socket.getPeerCertificate().subject?.CN

describe('TLS', { skip }, () => {
  it('carries messages both ways; the path says tls', async (t) => {
    const lab = await transportLab(t, { tls: material })
    const peer = await tlsPeer(t, await open(lab, 'tls'))
    peer.write(options('SIP/2.0/TLS 127.0.0.1'))
    const { message, flow } = await lab.request()
    assert.equal(flow.path.protocol, 'tls')
    assert.deepEqual(lab.layer.connections, { tcp: 0, tls: 1, ws: 0, wss: 0 })
    flow.send(ok(message))
    await until('200', () => peer.text().startsWith('SIP/2.0 200 OK'))
    peer.destroy()
    await until('the end', () => lab.layer.connectionCount === 0)
  })

  it('RFC 2543: a half-close ends a body without Content-Length; the answer still goes out', async (t) => {
    const lab = await transportLab(t, { tls: material })
    const peer = await tlsPeer(t, await open(lab, 'tls'), { allowHalfOpen: true })
    peer.end(`${options('SIP/2.0/TLS 127.0.0.1', '')}hello`)
    const { message, flow } = await lab.request()
    assert.equal(message.body, 'hello')
    flow.send(ok(message))
    await until('200', () => peer.text().startsWith('SIP/2.0 200 OK'))
  })

  it('shows the certificate that is asked for, and the standard one to all others', async (t) => {
    const lab = await transportLab(t, { tls: material })
    const to = await open(lab, 'tls')
    assert.equal(nameOf(await tlsPeer(t, to, { servername: 'b.example' })), 'b.example')
    assert.equal(nameOf(await tlsPeer(t, to, { servername: 'c.example' })), 'a.example')
    assert.equal(nameOf(await tlsPeer(t, to)), 'a.example')
  })

  it('takes new certificates while connections are open; those that do not fit leave the old ones', async (t) => {
    const lab = await transportLab(t, { tls: material })
    const to = await open(lab, 'tls')
    const before = await tlsPeer(t, to)
    lab.layer.useTls({ ...material, standard: peers, named: [] })
    assert.equal(nameOf(await tlsPeer(t, to)), 'peer.example')
    assert.equal(nameOf(await tlsPeer(t, to, { servername: 'b.example' })), 'peer.example')
    before.write(options('SIP/2.0/TLS 127.0.0.1'))
    await lab.request()
    assert.throws(() =>
      lab.layer.useTls({ ...material, standard: { ...ours, privateKey: other.privateKey } }),
    )
    assert.equal(nameOf(await tlsPeer(t, to)), 'peer.example')
  })

  it('below the lowest version, and what is no TLS at all, are failed handshakes', async (t) => {
    const lab = await transportLab(t, { tls: { ...material, minVersion: 'TLSv1.3' } })
    const seen = refusals(lab)
    const to = await open(lab, 'tls')
    const old = await tlsPeer(t, to, { maxVersion: 'TLSv1.2' })
    await until('the refusal', () => old.destroyed)
    const plain = connectPlain(to)
    t.after(() => plain.destroy())
    plain.on('error', () => undefined)
    plain.write(options('SIP/2.0/TCP 127.0.0.1'))
    await until('both to be counted', () => seen.length === 2)
    assert.deepEqual(seen, ['tls', 'tls'])
    assert.equal(lab.layer.connectionCount, 0)
  })

  it('with verify_client lets in only who has a certificate of the authority', async (t) => {
    const tls = { ...material, verifyClient: true, clientCa: peers.certificate }
    const lab = await transportLab(t, { tls })
    const seen = refusals(lab)
    const to = await open(lab, 'tls')
    const stranger = await tlsPeer(t, to)
    await until('the refusal', () => stranger.destroyed)
    const known = await tlsPeer(t, to, { cert: peers.certificate, key: peers.privateKey })
    known.write(options('SIP/2.0/TLS 127.0.0.1'))
    await lab.request()
    assert.deepEqual(seen, ['tls'])
  })

  it('RFC 5923: an alias is taken from who has shown a certificate, and from nobody else', async (t) => {
    const lab = await transportLab(t, { tls: { ...material, clientCa: peers.certificate } })
    const to = await open(lab, 'tls')
    const target: Target = { protocol: 'tls', host: '127.0.0.1', port: 1, name: 'peer.example' }
    const stranger = await tlsPeer(t, to)
    stranger.write(options('SIP/2.0/TLS 127.0.0.1:1;alias'))
    await lab.request()
    assert.equal(await reach(lab, target), null)
    const known = await tlsPeer(t, to, { cert: peers.certificate, key: peers.privateKey })
    known.write(options('SIP/2.0/TLS 127.0.0.1:1;alias'))
    const { flow } = await lab.request()
    assert.equal(await reach(lab, target), flow)
    // Its certificate is not for this one.
    assert.equal(await reach(lab, { ...target, name: 'bank.example' }), null)
  })

  it('as a client believes the authority it was given, for the name that was called', async (t) => {
    const lab = await transportLab(t, { tls: { ...material, ca: peers.certificate } })
    const server = createServer({ cert: peers.certificate, key: peers.privateKey }, (socket) => {
      socket.on('error', () => undefined)
    })
    server.listen(0, '127.0.0.1')
    t.after(() => server.close())
    await until('to listen', () => server.listening)
    const { port } = server.address() as { port: number }
    const target: Target = { protocol: 'tls', host: '127.0.0.1', port }
    assert.equal(await reach(lab, { ...target, name: 'bank.example' }), null)
    const flow = await reach(lab, { ...target, name: 'peer.example' })
    assert.equal(flow?.path.protocol, 'tls')
    assert.equal(await reach(lab, { ...target, name: 'peer.example' }), flow)
    assert.equal(await reach(lab, { ...target, name: 'bank.example' }), null)
  })
})

describe('WebSockets (RFC 7118)', () => {
  const dial = async (t: TestContext, url: string, protocols: string[] = ['sip']) => {
    const ws = new WebSocket(url, protocols, { rejectUnauthorized: false })
    t.after(() => ws.terminate())
    const got: { text: string; binary: boolean }[] = []
    let failed = ''
    ws.on('message', (data, binary) => {
      if (Buffer.isBuffer(data)) got.push({ text: data.toString('latin1'), binary })
    })
    ws.on('error', (error) => (failed = error.message))
    await until('an answer', () => ws.readyState === ws.OPEN || failed !== '')
    return { ws, got, failed: () => failed }
  }

  it('carry one SIP message each, as text or binary, without a Content-Length', async (t) => {
    const lab = await transportLab(t)
    const { port } = await open(lab, 'ws')
    const { ws, got } = await dial(t, `ws://127.0.0.1:${port}`)
    assert.equal(ws.protocol, 'sip')
    for (const binary of [false, true]) {
      ws.send(Buffer.from(options('SIP/2.0/WS x.invalid;branch=z9hG4bK1', '')), { binary })
      const { message, flow } = await lab.request()
      assert.equal(flow.path.protocol, 'ws')
      assert.equal(message.via?.params.get('received'), '127.0.0.1')
      flow.send(ok(message))
    }
    await until('both answers', () => got.length === 2)
    assert.match(got[0]?.text ?? '', /^SIP\/2\.0 200 OK\r\n/)
    assert.equal(got[0]?.binary, false)
  })

  it('keep bytes that are no UTF-8 in a binary message', async (t) => {
    const lab = await transportLab(t)
    const { port } = await open(lab, 'ws')
    const { ws, got } = await dial(t, `ws://127.0.0.1:${port}`)
    ws.send(options('SIP/2.0/WS x.invalid'))
    const { message, flow } = await lab.request()
    flow.send(buildResponse(message, 200, { body: '\xff\xfe', headers: [['Content-Type', 'a/b']] }))
    await until('the answer', () => got.length === 1)
    assert.equal(got[0]?.binary, true)
    assert.ok(got[0]?.text.endsWith('\xff\xfe'))
  })

  it('answer a CRLF ping with a CRLF', async (t) => {
    const lab = await transportLab(t)
    const { port } = await open(lab, 'ws')
    const { ws, got } = await dial(t, `ws://127.0.0.1:${port}`)
    ws.send('\r\n\r\n')
    await until('the pong', () => got[0]?.text === '\r\n')
    assert.deepEqual(lab.faults, [])
  })

  it('need the subprotocol sip: 400; and an upgrade: 426', async (t) => {
    const lab = await transportLab(t)
    const seen = refusals(lab)
    const { port } = await open(lab, 'ws')
    assert.match((await dial(t, `ws://127.0.0.1:${port}`, ['xmpp'])).failed(), /400/)
    assert.match((await dial(t, `ws://127.0.0.1:${port}`, [])).failed(), /400/)
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 426)
    await until('all to be counted', () => seen.length === 3)
  })

  it('end on a message longer than any of SIP', async (t) => {
    const lab = await transportLab(t)
    const { port } = await open(lab, 'ws')
    const { ws } = await dial(t, `ws://127.0.0.1:${port}`)
    const code = new Promise((closed) => ws.once('close', closed))
    ws.send('x'.repeat(70_000))
    assert.equal(await code, 1009)
    await until('to be gone', () => lab.layer.connections.ws === 0)
    assert.deepEqual(lab.faults, ['the message is too long'])
  })

  it('take messages as long as the configuration allows, and no longer ones', async (t) => {
    for (const protocol of skip ? (['ws'] as const) : (['ws', 'wss'] as const)) {
      const message = { ...defaultLimits, maxMessageBytes: 200_000 }
      const lab = await transportLab(t, { limits: { ...defaultTransportLimits, message }, tls: material })
      const { port } = await open(lab, protocol)
      const { ws } = await dial(t, `${protocol}://127.0.0.1:${port}`)
      ws.send(`${options('SIP/2.0/WS x.invalid', '')}${'x'.repeat(100_000)}`)
      assert.equal((await lab.request()).message.body.length, 100_000)
      ws.send('x'.repeat(200_001))
      await until('the fault', () => lab.faults.length === 1)
      await until('to be gone', () => lab.layer.connectionCount === 0)
    }
  })

  it('are never dialled: who is gone cannot be reached', async (t) => {
    const lab = await transportLab(t)
    const to = await open(lab, 'ws')
    const { ws } = await dial(t, `ws://127.0.0.1:${to.port}`)
    ws.send(options('SIP/2.0/WS x.invalid'))
    const { flow } = await lab.request()
    const target: Target = { ...flow.path.remote, protocol: 'ws' }
    assert.equal(await reach(lab, target), flow)
    ws.terminate()
    await until('the end', () => lab.closed.length === 1)
    assert.equal(await reach(lab, target), null)
    assert.equal(await reach(lab, { ...to, protocol: 'ws' }), null)
  })

  it('are pinged when they are silent, and cut when no pong comes', async (t) => {
    const lab = await transportLab(t)
    const { port } = await open(lab, 'ws')
    const { ws } = await dial(t, `ws://127.0.0.1:${port}`)
    let pings = 0
    ws.on('ping', () => pings++)
    ws.send(options('SIP/2.0/WS x.invalid'))
    await lab.request()
    lab.clock.advance(35_000)
    await until('the ping', () => pings > 0)
    // The pong counts as life; without another one the connection goes.
    ws.pause()
    lab.clock.advance(70_000)
    await until('the cut', () => lab.closed.length === 1)
    assert.deepEqual(lab.closed, ['no sign of life'])
  })

  it('work over TLS as well', { skip }, async (t) => {
    const lab = await transportLab(t, { tls: material })
    const { port } = await open(lab, 'wss')
    const { ws, got } = await dial(t, `wss://127.0.0.1:${port}`)
    ws.send(options('SIP/2.0/WSS x.invalid'))
    const { message, flow } = await lab.request()
    assert.equal(flow.path.protocol, 'wss')
    flow.send(ok(message))
    await until('the answer', () => got.length === 1)
  })
})

describe('PROXY protocol v2', () => {
  const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
  const header = (source: readonly number[], port: number): Buffer => {
    const addresses = Buffer.from([...source, 127, 0, 0, 1, port >> 8, port & 255, 0x13, 0xc4])
    return Buffer.concat([SIGNATURE, Buffer.from([0x21, 0x11, 0, addresses.length]), addresses])
  }
  const dial = (t: TestContext, to: Address) => {
    const socket = connectPlain(to)
    t.after(() => socket.destroy())
    socket.on('error', () => undefined)
    return socket
  }
  const balanced = { balancers: ['127.0.0.0/8'] }

  for (const pieces of [1, 40]) {
    it(`gives the connection the client's address, header and message in ${pieces} piece(s)`, async (t) => {
      const lab = await transportLab(t)
      const socket = dial(t, await open(lab, 'tcp', balanced))
      const bytes = Buffer.concat([
        header([192, 0, 2, 7], 4_000),
        Buffer.from(options('SIP/2.0/TCP phone.example')),
      ])
      const size = Math.ceil(bytes.length / pieces)
      for (let at = 0; at < bytes.length; at += size) {
        socket.write(bytes.subarray(at, at + size))
        await new Promise((done) => setImmediate(done))
      }
      const { message, flow } = await lab.request()
      assert.deepEqual(flow.path.remote, { host: '192.0.2.7', port: 4_000 })
      assert.equal(message.via?.params.get('received'), '192.0.2.7')
    })
  }

  it('comes before the TLS handshake', { skip }, async (t) => {
    const lab = await transportLab(t, { tls: material })
    const raw = dial(t, await open(lab, 'tls', balanced))
    raw.write(header([192, 0, 2, 7], 4_000))
    const socket = connect({ socket: raw, rejectUnauthorized: false })
    socket.on('error', () => undefined)
    socket.write(options('SIP/2.0/TLS phone.example'))
    assert.equal((await lab.request()).flow.path.remote.host, '192.0.2.7')
  })

  it('and before that of a WebSocket', async (t) => {
    const lab = await transportLab(t)
    const to = await open(lab, 'ws', balanced)
    const ws = new WebSocket(`ws://127.0.0.1:${to.port}`, 'sip', {
      createConnection: () => {
        const socket = dial(t, to)
        socket.write(header([192, 0, 2, 7], 4_000))
        return socket
      },
    })
    t.after(() => ws.terminate())
    await until('to open', () => ws.readyState === ws.OPEN)
    ws.send(options('SIP/2.0/WS x.invalid'))
    assert.equal((await lab.request()).flow.path.remote.host, '192.0.2.7')
  })

  it('that is none closes the connection and is counted; nobody else than the balancers may speak it', async (t) => {
    const lab = await transportLab(t)
    const seen = refusals(lab)
    const bad = dial(t, await open(lab, 'tcp', balanced))
    bad.write(options('SIP/2.0/TCP 127.0.0.1'))
    await until('the end', () => bad.closed)
    await until('to be counted', () => seen.length === 1)
    const foreign = dial(t, await open(lab, 'tcp', { balancers: ['192.0.2.0/24'] }))
    foreign.write(header([192, 0, 2, 7], 1))
    await until('the end', () => foreign.closed)
    await until('to be counted', () => seen.length === 2)
    assert.deepEqual(seen, ['tcp proxy_protocol', 'tcp proxy_protocol'])
  })

  it('limits the clients, not the balancer', async (t) => {
    const limits = { maxConnections: 100, maxConnectionsPerSource: 1, maxHandshakes: 100 }
    const lab = await transportLab(t, { limits })
    const to = await open(lab, 'tcp', balanced)
    const seen = refusals(lab)
    for (const last of [1, 2, 3]) dial(t, to).write(header([192, 0, 2, last], 4_000))
    await until('three', () => lab.layer.connections.tcp === 3)
    const again = dial(t, to)
    again.write(header([192, 0, 2, 3], 4_001))
    await until('the refusal', () => again.closed)
    assert.deepEqual(seen, ['tcp connections_per_source'])
  })
})
