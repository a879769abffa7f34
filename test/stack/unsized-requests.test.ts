import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import type { Timer } from '../../src/base/clock.ts'
import { buildResponse } from '../../src/sip/message/build.ts'
import type { Request } from '../../src/sip/message/message.ts'
import type { Flow } from '../../src/stack/transport.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { until } from '../support/programs.ts'
import { message, PEER, streamLab as lab } from './stream-lab.ts'
import { options, tcpPeer, transportLab, udpPeer } from './transport-lab.ts'

const ok = (request: Request) => buildResponse(request, 200, { toTag: 't' })

const unsized =
  'OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\nbody'

/** Its timers fire late: the loop was busy with something else. */
class LateClock extends FakeClock {
  late = 0

  override startTimer(ms: number, fire: () => void): Timer {
    return super.startTimer(ms + this.late, fire)
  }
}

describe('a body without Content-Length', () => {
  it('is whole half a second after its last byte, however it came; its head has no silence of its own', () => {
    const { clock, open } = lab()
    const peer = open()
    for (const byte of unsized) {
      peer.hear(byte)
      clock.advance(10)
    }
    // A pause within the head has been looked at already; the end of the body is another thing.
    const other = open('192.0.2.2')
    other.hear(unsized.slice(0, 10))
    clock.advance(1_000)
    assert.deepEqual(other.stalls.length, 1)
    other.hear(unsized.slice(10, -4))
    for (const byte of 'body') {
      clock.advance(499)
      other.hear(byte)
    }
    const end = clock.now() / 1000
    clock.advance(60_000)
    assert.deepEqual(peer.stalls, [(unsized.length - 1) / 100 + 0.5])
    assert.deepEqual(other.stalls.slice(1), [end + 0.5])
  })

  it('leaves one timer while it comes and none after, and its connection open till it is idle; requests do not take it', () => {
    const { clock, table, open } = lab()
    const peer = open()
    const sweep = clock.pendingTimers
    peer.hear(message)
    assert.equal(table.to(PEER), peer.stream)
    for (const byte of unsized) peer.hear(byte)
    assert.equal(clock.pendingTimers, sweep + 1)
    clock.advance(500)
    assert.equal(clock.pendingTimers, sweep)
    assert.equal(table.to(PEER), undefined)
    table.alias(peer.stream, 5060)
    assert.equal(table.to({ ...PEER, port: 5060 }), undefined)
    assert.deepEqual([peer.stream.flow.closed, peer.stream.flow.answers], [true, true])
    clock.advance(1_000_000)
    assert.deepEqual(peer.log, ['905 idle'])
    assert.equal(clock.pendingTimers, 0)
  })

  it('that drips is cut at the deadline of a message', () => {
    const { clock, open } = lab()
    const peer = open()
    peer.hear(unsized)
    while (peer.log.length === 0 && clock.now() < 60_000) {
      clock.advance(400)
      peer.hear('x')
    }
    assert.deepEqual([peer.stalls, peer.log], [[], ['35 a message took too long']])
    assert.equal(clock.pendingTimers, 0)
  })

  it('is not ended by a silence that was ours: what came in meanwhile is read first', () => {
    const clock = new LateClock()
    const peer = lab(clock).open()
    clock.late = 400
    peer.hear(unsized)
    clock.late = 0
    clock.advance(900)
    peer.hear('more')
    assert.deepEqual(peer.stalls, [])
    clock.advance(499)
    assert.deepEqual(peer.stalls, [])
    clock.advance(1)
    assert.deepEqual(peer.stalls, [1.4])
    // But we are not put off again and again.
    const other = lab(clock).open()
    clock.late = 400
    other.hear(unsized)
    clock.advance(2_000)
    assert.equal(other.stalls.length, 1)
  })

  it('is whole when the peer sends no more; the connection is kept as long as an answer can take', () => {
    const { clock, table, open } = lab()
    const peer = open()
    peer.hear(unsized)
    clock.advance(100)
    assert.equal(table.ended(peer.stream), true)
    assert.deepEqual(peer.stalls, [0.1])
    // And where silence had ended it before.
    const other = open('192.0.2.2')
    other.hear(unsized)
    clock.advance(500)
    assert.equal(table.ended(other.stream), true)
    clock.advance(300_000)
    assert.deepEqual([peer.log, other.log], [['205 idle'], ['205 idle']])
    assert.deepEqual([peer.stalls, other.stalls], [[0.1], [0.6]])
    assert.equal(clock.pendingTimers, 0)
  })

  it('is the only thing for which a half-closed connection is kept', () => {
    const { table, open } = lab()
    for (const text of ['', message, message.slice(0, 20), `${message.slice(0, -5)}9\r\n\r\nbody`]) {
      const peer = open()
      peer.hear(text)
      assert.equal(table.ended(peer.stream), false, text)
      assert.deepEqual(peer.stalls, [])
    }
    const givenUp = open()
    givenUp.hear(unsized)
    table.giveUp(givenUp.stream, true)
    assert.equal(table.ended(givenUp.stream), false)
    const gone = open()
    gone.hear(unsized)
    table.remove(gone.stream)
    assert.equal(table.ended(gone.stream), false)
  })
})

describe('RFC 2543: a request on a stream without Content-Length', () => {
  const unsized = (sentBy = '127.0.0.1'): string => options(`SIP/2.0/TCP ${sentBy}`, '') + 'hello'

  /** One has come in and has been waited for. */
  const taken = async (t: TestContext, sentBy?: string) => {
    const lab = await transportLab(t)
    const peer = await tcpPeer(t, lab.tcp)
    peer.send(unsized(sentBy))
    await until('it to be waited for', () => lab.clock.pendingTimers === 2)
    lab.clock.advance(499)
    assert.deepEqual(lab.got, [])
    lab.clock.advance(1)
    const { message, flow } = await lab.request()
    assert.equal(message.body, 'hello')
    assert.equal(lab.clock.pendingTimers, 1)
    return { lab, peer, message, flow }
  }

  it('is whole after half a second of silence, and answered where it came from', async (t) => {
    const { lab, peer, message, flow } = await taken(t)
    lab.clock.advance(60_000)
    lab.layer.responseFlow(message, flow, (back) => assert.equal(back, flow))
    assert.equal(flow.send(ok(message)), true)
    await until('200', () => peer.text().startsWith('SIP/2.0 200 OK\r\n'))
    assert.deepEqual([lab.faults, lab.closed], [[], []])
  })

  it('has its connection ended by the next byte, whatever that is: nothing is read as SIP, no ping answered', async (t) => {
    for (const more of [options('SIP/2.0/TCP 127.0.0.1'), '\r\n\r\n']) {
      const { lab, peer, message, flow } = await taken(t)
      peer.send(more)
      await until('the fault', () => lab.faults.length === 1)
      assert.deepEqual(lab.faults, ['more after a message without content-length'])
      // As after any fault in the framing there is a second for what is owed.
      flow.send(ok(message))
      lab.clock.advance(1_000)
      await until('the end', () => peer.socket.readableEnded)
      assert.match(peer.text(), /^SIP\/2\.0 200 OK\r\n/)
      assert.equal(peer.text().split('SIP/2.0 ').length, 2)
      assert.equal(lab.got.length, 1)
      peer.socket.end()
      await until('the connection to be gone', () => lab.layer.connections.tcp === 0)
      assert.equal(lab.clock.pendingTimers, 0)
    }
  })

  it('is the last thing that is read from its connection, which is told after it', async (t) => {
    const { lab, peer, flow } = await taken(t)
    assert.deepEqual([lab.deaf, flow.closed, lab.closed], [[peer.port], true, []])
    const [broken, good] = [await tcpPeer(t, lab.tcp), await tcpPeer(t, lab.tcp)]
    good.send(options('SIP/2.0/TCP 127.0.0.1'))
    broken.send(`${options('SIP/2.0/TCP 127.0.0.1')}OPTIONS sip:a SIP/2.0\r\nContent-Length: x\r\n\r\n`)
    await until('the fault', () => lab.faults.length === 1)
    await until('those before it', () => lab.got.length === 3)
    assert.deepEqual(lab.deaf, [peer.port, broken.port])
  })

  it('takes no request of ours on its connection: nobody would hear the answer', async (t) => {
    const server = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
    t.after(() => server.close())
    await until('to listen', () => server.listening)
    const { port } = server.address() as { port: number }
    const { lab, peer, message, flow } = await taken(t, `127.0.0.1:${port};alias`)
    assert.equal(flow.send(message), false)
    assert.equal(flow.ping?.('\r\n\r\n'), false)
    const target = { protocol: 'tcp', host: '127.0.0.1', port, flow } as const
    const other = await new Promise<Flow | null>((done) => lab.layer.reach(target, done))
    assert.ok(other !== null && other !== flow)
    assert.equal(other.path.remote.port, port)
    assert.equal(peer.text(), '')
  })

  it('is whole when the peer half-closes, and its answer still goes there', async (t) => {
    const lab = await transportLab(t)
    const peer = await tcpPeer(t, lab.tcp)
    peer.socket.end(unsized())
    const { message, flow } = await lab.request()
    assert.equal(message.body, 'hello')
    assert.equal(lab.clock.now(), 0)
    lab.clock.advance(100_000)
    assert.equal(flow.send(ok(message)), true)
    await until('200', () => peer.text().startsWith('SIP/2.0 200 OK\r\n'))
    await until('the connection to be gone', () => lab.layer.connections.tcp === 0)
    assert.deepEqual([lab.closed, lab.clock.pendingTimers], [[null], 0])
  })

  it('keeps no connection when the peer half-closes after the answer, nor for an ACK', async (t) => {
    const { lab, peer, message, flow } = await taken(t)
    flow.send(ok(message))
    peer.socket.end()
    await until('the connection to be gone', () => lab.layer.connections.tcp === 0)
    const other = await tcpPeer(t, lab.tcp)
    other.socket.end(unsized().replaceAll('OPTIONS', 'ACK'))
    await lab.request()
    await until('the other to be gone', () => lab.closed.length === 2)
    assert.deepEqual([lab.closed, lab.clock.pendingTimers], [[null, null], 0])
  })

  it('from a source whose messages are dropped costs the connection', async (t) => {
    const lab = await transportLab(t, { gate: { admit: () => true, screen: () => false } })
    const peer = await tcpPeer(t, lab.tcp)
    peer.send(unsized())
    await until('it to be waited for', () => lab.clock.pendingTimers === 2)
    lab.clock.advance(500)
    await until('the end', () => peer.socket.readableEnded)
    assert.deepEqual([peer.text(), lab.faults, lab.got], ['', [], []])
  })

  it('goes on with its length', async (t) => {
    const { lab, message } = await taken(t)
    const next = await udpPeer(t, lab.udp)
    const target = { protocol: 'udp', host: '127.0.0.1', port: next.port } as const
    lab.layer.reach(target, (flow) => flow?.send(message))
    const text = await until('it', () => next.received[0])
    assert.match(text, /\r\nContent-Length: 5\r\n\r\nhello$/)
  })
})
