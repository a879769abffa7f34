import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { message, PEER, streamLab as lab } from './stream-lab.ts'

describe('deadlines of stream connections', () => {
  it('cuts a peer that sends one byte a second at the deadline of the message, 30 s and at most one sweep', () => {
    const { clock, open } = lab()
    const peer = open()
    for (const byte of message) {
      peer.hear(byte)
      clock.advance(1_000)
      if (peer.log.length > 0) break
    }
    assert.deepEqual(peer.log, ['35 a message took too long'])
  })

  it('counts the deadline from the first byte of each message: a busy peer whose reads end amid messages stays', () => {
    const { clock, open } = lab()
    const peer = open()
    peer.hear(message.slice(0, 10))
    for (let second = 0; second < 120; second++) {
      clock.advance(1_000)
      peer.hear(message.slice(10) + message.slice(0, 10))
    }
    assert.deepEqual(peer.log, [])
    clock.advance(40_000)
    assert.match(peer.log[0] ?? '', /^15\d a message took too long$/)
  })

  it('cuts a connection that never carried a message after two minutes, keep-alives or not', () => {
    const { clock, open } = lab()
    const silent = open('192.0.2.1')
    const pinging = open('192.0.2.2')
    for (let second = 0; second < 130; second++) {
      pinging.hear('\r\n\r\n')
      clock.advance(1_000)
    }
    assert.deepEqual(silent.log, ['125 silent'])
    assert.deepEqual(pinging.log, ['125 silent'])
  })

  it('cuts one that did after fifteen minutes without a byte; keep-alives keep it', () => {
    const { clock, open } = lab()
    const idle = open('192.0.2.1')
    const phone = open('192.0.2.2')
    idle.hear(message)
    phone.hear(message)
    for (let minute = 0; minute < 30; minute++) {
      clock.advance(60_000)
      phone.hear('\r\n\r\n')
    }
    assert.deepEqual(idle.log, ['905 idle'])
    assert.deepEqual(phone.log, [])
  })

  it('gives a stream up in steps: a second for answers, the end of our side, five seconds for the peer to end its own', () => {
    const { clock, table, open } = lab()
    const peer = open()
    clock.advance(2_000)
    table.giveUp(peer.stream, true)
    table.giveUp(peer.stream, true)
    assert.equal(table.to(PEER), undefined)
    for (let second = 0; second < 20 && table.size > 0; second++) {
      peer.hear('more of it')
      clock.advance(1_000)
    }
    assert.deepEqual(peer.log, ['3 ended', '10 no message could be read'])
    assert.equal(clock.pendingTimers, 0)
  })

  it('ends a stream that is given up at once when no answer is owed', () => {
    const { table, open } = lab()
    const peer = open()
    table.giveUp(peer.stream, false)
    assert.deepEqual(peer.log, ['0 ended'])
  })
})

describe('a head that stops coming', () => {
  it('is looked at half a second after its last byte, once', () => {
    const { clock, open } = lab()
    const peer = open()
    peer.hear(message.slice(0, 10))
    clock.advance(300)
    peer.hear(message.slice(10, 20))
    clock.advance(499)
    assert.deepEqual(peer.stalls, [])
    clock.advance(1)
    assert.deepEqual(peer.stalls, [0.8])
    peer.hear(message.slice(20, 30))
    clock.advance(5_000)
    assert.deepEqual(peer.stalls, [0.8])
    peer.hear(message.slice(30) + message.slice(0, 10))
    clock.advance(5_000)
    assert.deepEqual(peer.stalls, [0.8, 6.3])
  })

  it('is told from one that comes slowly, and from a body that does', () => {
    const { clock, open } = lab()
    const slow = open('192.0.2.1')
    const body = open('192.0.2.2')
    body.hear('OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 5\r\n\r\nhell')
    for (const byte of message.repeat(2).slice(0, 60)) {
      slow.hear(byte)
      clock.advance(400)
    }
    assert.deepEqual([slow.stalls, body.stalls], [[], []])
  })

  it('has one timer however many bytes it comes in, none when it is whole, given up or gone; a whole message has none', () => {
    const { clock, table, open } = lab()
    const peer = open()
    const sweep = clock.pendingTimers
    peer.hear(message.repeat(3))
    assert.equal(clock.pendingTimers, sweep)
    for (const byte of message.slice(0, -1)) peer.hear(byte)
    assert.equal(clock.pendingTimers, sweep + 1)
    peer.hear(message.slice(-1))
    assert.equal(clock.pendingTimers, sweep)
    peer.hear(message.slice(0, 10))
    table.giveUp(peer.stream, false)
    assert.equal(clock.pendingTimers, sweep)
    const other = open('192.0.2.2')
    other.hear(message.slice(0, 10))
    table.remove(other.stream)
    assert.equal(clock.pendingTimers, sweep)
    // It was cut for what came in.
    other.hear(message.slice(10, 20))
    table.giveUp(other.stream, true)
    assert.equal(clock.pendingTimers, sweep)
    assert.deepEqual(other.log, [])
  })
})

describe('the table of stream connections', () => {
  it('counts by protocol and in all, and leaves no timer and no entry behind', () => {
    const { clock, table, open } = lab()
    const streams = [open('192.0.2.1', 1), open('192.0.2.1', 2), open('192.0.2.2', 1)].map((o) => o.stream)
    assert.deepEqual([table.size, table.count('tcp'), table.count('tls')], [3, 3, 0])
    for (const stream of streams) {
      table.remove(stream)
      table.remove(stream)
    }
    assert.deepEqual([table.size, table.count('tcp'), table.count('tls')], [0, 0, 0])
    assert.equal(clock.pendingTimers, 0)
  })

  it('finds a connection by its peer; a newer one of the same peer outlives the end of the older', () => {
    const { table, open } = lab()
    const older = open().stream
    const newer = open().stream
    table.remove(older)
    assert.equal(table.to(PEER), newer)
    table.remove(newer)
    assert.equal(table.to(PEER), undefined)
  })
})
