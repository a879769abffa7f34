import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import type { Hop, HopTarget, NextHops } from '../../src/base/next-hop.ts'
import { buildResponse } from '../../src/sip/message/build.ts'
import type { Request } from '../../src/sip/message/message.ts'
import type { Flow } from '../../src/stack/transport.ts'
import { until } from '../support/programs.ts'
import { options, response, tcpPeer, transportLab, udpPeer } from './transport-lab.ts'

const ok = (request: Request) => buildResponse(request, 200, { toTag: 't' })

describe('RFC 3261 §18.2.1, RFC 3581 §4: the top Via says what we saw', () => {
  for (const [what, via, stamped] of [
    ['nothing is added when it tells the truth', '127.0.0.1;branch=z9hG4bK1', '127.0.0.1;branch=z9hG4bK1'],
    [
      'received when the host differs',
      'phone.example;branch=z9hG4bK1',
      'phone.example;branch=z9hG4bK1;received=127.0.0.1',
    ],
    [
      'rport and received when rport is asked for',
      '127.0.0.1;rport;branch=z9hG4bK1',
      '127.0.0.1;rport=PORT;branch=z9hG4bK1;received=127.0.0.1',
    ],
    [
      'a value the peer gave to rport is overwritten',
      '127.0.0.1;rport=9;branch=z9hG4bK1',
      '127.0.0.1;rport=PORT;branch=z9hG4bK1;received=127.0.0.1',
    ],
    ['a received the peer gave is overwritten', 'x.example;received=9.9.9.9', 'x.example;received=127.0.0.1'],
    ['or taken out', '127.0.0.1;received=9.9.9.9;branch=z9hG4bK1', '127.0.0.1;branch=z9hG4bK1'],
  ] as const) {
    it(what, async (t) => {
      const lab = await transportLab(t)
      const peer = await udpPeer(t, lab.udp)
      peer.send(options(`SIP/2.0/UDP ${via}`))
      const { message } = await lab.request()
      assert.equal(message.headers.first('via'), `SIP/2.0/UDP ${stamped.replace('PORT', String(peer.port))}`)
    })
  }
})

describe('RFC 3261 §18.4: a datagram that does not leave', () => {
  it('is told of when it is a request, and written down now and then', async (t) => {
    const lab = await transportLab(t)
    const peer = await udpPeer(t, lab.udp)
    peer.send(options('SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK7'))
    const { message } = await lab.request()
    // The kernel lets no socket send there that has not asked for it.
    const target = { protocol: 'udp', host: '255.255.255.255', port: 5060 } as const
    const flow = await new Promise<Flow | null>((done) => lab.layer.reach(target, done))
    assert.equal(flow?.send(ok(message)), true)
    assert.equal(flow?.ping?.('\r\n\r\n'), true)
    assert.equal(flow?.send(message), true)
    const [unsent] = await until('the request', () => (lab.unsent.length > 0 ? lab.unsent : undefined))
    assert.equal(unsent?.via?.params.get('branch'), 'z9hG4bK7')
    assert.equal(lab.unsent.length, 1)
    assert.equal(lab.lines.length, 1)
    assert.match(lab.lines[0] ?? '', /^warn udp: cannot send to 255\.255\.255\.255:5060: E[A-Z]+$/)
    lab.clock.advance(10_000)
    flow?.send(message)
    await until('the next line', () => lab.lines.length === 2)
    assert.match(lab.lines[1] ?? '', /\(and 2 more since the last line\)$/)
  })
})

describe('RFC 3261 §18.2.2: where responses go', () => {
  const route = async (lab: Awaited<ReturnType<typeof transportLab>>): Promise<Flow | null> => {
    const { message, flow } = await lab.request()
    return new Promise((done) => lab.layer.responseFlow(message, flow, done))
  }

  it('over UDP to the source address: at the source port with rport, else at the port of the Via, else at 5060', async (t) => {
    const lab = await transportLab(t)
    const peer = await udpPeer(t, lab.udp)
    for (const [sentBy, port] of [
      ['phone.example:5099;rport', peer.port],
      ['phone.example:5099', 5099],
      ['phone.example', 5060],
    ] as const) {
      peer.send(options(`SIP/2.0/UDP ${sentBy}`))
      const flow = await route(lab)
      assert.deepEqual(flow?.path.remote, { host: '127.0.0.1', port })
      assert.deepEqual(flow?.path.local, lab.udp)
    }
  })

  it('a maddr does not aim them at somebody else', async (t) => {
    const lab = await transportLab(t)
    const peer = await udpPeer(t, lab.udp)
    peer.send(options('SIP/2.0/UDP phone.example:5099;maddr=192.0.2.7'))
    assert.equal((await route(lab))?.path.remote.host, '127.0.0.1')
  })

  it('over TCP on the connection of the request', async (t) => {
    const lab = await transportLab(t)
    const peer = await tcpPeer(t, lab.tcp)
    peer.send(options('SIP/2.0/TCP phone.example:5099'))
    const { message, flow } = await lab.request()
    lab.layer.responseFlow(message, flow, (back) => assert.equal(back, flow))
    flow.send(ok(message))
    await until('the response', () => peer.text().startsWith('SIP/2.0 200 OK\r\n'))
  })

  it('when that is gone, on a new one to the source address at the port of the Via', async (t) => {
    const lab = await transportLab(t)
    const server = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
    t.after(() => server.close())
    await until('to listen', () => server.listening)
    const { port } = server.address() as { port: number }
    const peer = await tcpPeer(t, lab.tcp)
    peer.send(options(`SIP/2.0/TCP phone.example:${port}`))
    const { message, flow } = await lab.request()
    peer.socket.destroy()
    await until('the end', () => lab.closed.length === 1)
    const back = await new Promise<Flow | null>((done) => lab.layer.responseFlow(message, flow, done))
    assert.deepEqual(back?.path.remote, { host: '127.0.0.1', port })
    assert.notEqual(back, flow)
  })
})

describe('RFC 3263 §5: a response whose connection is gone and whose source takes no new one', () => {
  const gone = async (t: TestContext, sentBy: string) => {
    const server = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
    t.after(() => server.close())
    await until('to listen', () => server.listening)
    const { port } = server.address() as { port: number }
    const asked: Hop[] = []
    const nextHops: NextHops = {
      find: (hop, then) => {
        asked.push(hop)
        const at = (to: number): HopTarget => ({ protocol: 'tcp', host: '127.0.0.1', port: to })
        // The first is closed.
        then({ ok: true, targets: [at(1), at(port)] })
      },
    }
    const lab = await transportLab(t, { nextHops })
    const peer = await tcpPeer(t, lab.tcp)
    peer.send(options(`SIP/2.0/TCP ${sentBy}`))
    const { message, flow } = await lab.request()
    peer.socket.destroy()
    await until('the end', () => lab.closed.length === 1)
    const back = await new Promise<Flow | null>((done) => lab.layer.responseFlow(message, flow, done))
    return { asked, port, back }
  }

  it('goes to the first that can be reached of what the sent-by names', async (t) => {
    const { asked, port, back } = await gone(t, 'phone.example:1')
    assert.deepEqual(asked, [{ host: 'phone.example', port: 1, protocol: 'tcp', secure: false }])
    assert.deepEqual(back?.path.remote, { host: '127.0.0.1', port })
  })

  it('goes nowhere when the sent-by is an address: nobody aims our responses at another', async (t) => {
    const { asked, back } = await gone(t, '127.0.0.9:1')
    assert.deepEqual([asked, back], [[], null])
  })
})

describe('RFC 3261 §18.1.2: responses', () => {
  it('whose top Via is not ours are dropped; an address we advertise is ours', async (t) => {
    const lab = await transportLab(t, { advertise: { host: 'sip.example', port: 5060 } })
    const peer = await udpPeer(t, lab.udp)
    peer.send(response('SIP/2.0/UDP other.example;branch=z9hG4bKother'))
    peer.send(response(`SIP/2.0/UDP 127.0.0.1:${lab.udp.port + 1};branch=z9hG4bKport`))
    peer.send(response(`SIP/2.0/UDP 127.0.0.1:${lab.udp.port};branch=z9hG4bKbound`))
    peer.send(response('SIP/2.0/UDP sip.example;branch=z9hG4bKadvertised'))
    await until('two responses', () => lab.got.length === 2)
    assert.deepEqual(
      lab.got.map(({ message }) => message.via?.params.get('branch')),
      ['z9hG4bKbound', 'z9hG4bKadvertised'],
    )
  })
})

describe('what is no valid message', () => {
  const bad = options('SIP/2.0/UDP x.example;rport').replace('1 OPTIONS', 'one OPTIONS')

  it('is published, and answered with 400 without state', async (t) => {
    const lab = await transportLab(t)
    const peer = await udpPeer(t, lab.udp)
    peer.send(bad)
    const answer = await until('the answer', () => peer.received[0])
    assert.match(answer, /^SIP\/2\.0 400 /)
    assert.match(
      answer,
      new RegExp(`Via: SIP/2\\.0/UDP x\\.example;rport=${peer.port};received=127\\.0\\.0\\.1\r\n`),
    )
    assert.match(answer, /CSeq: one OPTIONS\r\n/)
    assert.equal(lab.faults.length, 1)
    assert.equal(lab.got.length, 0)
  })

  it('is only published when it is an ACK, a response, or cannot be answered', async (t) => {
    const lab = await transportLab(t)
    const peer = await udpPeer(t, lab.udp)
    peer.send(bad.replaceAll('OPTIONS', 'ACK'))
    peer.send(bad.replace('OPTIONS sip:a@b SIP/2.0', 'SIP/2.0 200 OK'))
    peer.send(bad.replace(/Via: .*\r\n/, ''))
    peer.send('\x16\x03\x01\x02\x00\x01')
    await until('four faults', () => lab.faults.length === 4)
    peer.send(options('SIP/2.0/UDP 127.0.0.1'))
    await lab.request()
    assert.deepEqual(peer.received, [])
  })

  it('on a stream: a message that can be framed costs its answer only, one that cannot costs the connection', async (t) => {
    const lab = await transportLab(t)
    const peer = await tcpPeer(t, lab.tcp)
    peer.send(bad)
    await until('400', () => peer.text().includes('SIP/2.0 400 '))
    peer.send(options('SIP/2.0/TCP 127.0.0.1'))
    const { message, flow } = await lab.request()
    peer.send(options('SIP/2.0/TCP 127.0.0.1', 'l: -1\r\n'))
    await until('another 400', () => peer.text().split('SIP/2.0 400 ').length === 3)
    // What came before is still answered; what comes after is not heard.
    assert.equal(flow.send(ok(message)), true)
    peer.send(options('SIP/2.0/TCP 127.0.0.1'))
    await until('200', () => peer.text().includes('SIP/2.0 200 OK'))
    lab.clock.advance(1_000)
    await until('the end', () => peer.socket.readableEnded)
    assert.equal(lab.got.length, 1)
    peer.socket.end()
    await until('the connection to be gone', () => lab.layer.connections.tcp === 0)
  })

  it('on a stream: from a source whose messages are dropped it gets no answer and costs the connection', async (t) => {
    const lab = await transportLab(t, { gate: { admit: () => true, screen: () => false } })
    const peer = await tcpPeer(t, lab.tcp)
    peer.send(options('SIP/2.0/TCP 127.0.0.1', 'l: -1\r\n'))
    await until('the end', () => peer.socket.readableEnded)
    assert.equal(peer.text(), '')
    assert.deepEqual(lab.faults, [])
  })

  /** The empty line at its end has been forgotten. */
  const unended = (method: string): string =>
    options('SIP/2.0/TCP 127.0.0.1', '')
      .replaceAll('OPTIONS', method)
      .replace('From: ', 'From: Bell, Alexander ')
      .replace(/\r\n\r\n$/, '\r\nl: 0\r\n')

  for (const [method, answer] of [
    ['OPTIONS', /^SIP\/2\.0 400 From: [^]*\r\n\r\n$/],
    ['ACK', /^$/],
  ] as const) {
    it(`on a stream: a broken ${method} that does not end costs the connection soon`, async (t) => {
      const lab = await transportLab(t)
      const peer = await tcpPeer(t, lab.tcp)
      peer.send('\r\n\r\n')
      await until('the pong', () => peer.text() === '\r\n')
      peer.send(unended(method))
      await until('the head to be waited for', () => lab.clock.pendingTimers === 2)
      lab.clock.advance(499)
      assert.deepEqual(lab.faults, [])
      lab.clock.advance(1)
      await until('the end', () => peer.socket.readableEnded)
      assert.equal(lab.faults.length, 1)
      assert.match(peer.text().slice(2), answer)
      peer.socket.end()
      await until('the connection to be gone', () => lab.layer.connections.tcp === 0)
      assert.equal(lab.clock.pendingTimers, 0)
    })
  }
})

describe('RFC 5626 §3.5.1: keep-alives', () => {
  it('over UDP are silently taken', async (t) => {
    const lab = await transportLab(t)
    const peer = await udpPeer(t, lab.udp)
    for (const ping of ['', '\r\n', '\r\n\r\n', '\0\0\0\0']) peer.send(ping)
    peer.send(options('SIP/2.0/UDP 127.0.0.1'))
    await lab.request()
    assert.deepEqual([lab.faults, peer.received], [[], []])
  })

  it('over TCP are answered with a CRLF, a single CRLF with nothing', async (t) => {
    const lab = await transportLab(t)
    const peer = await tcpPeer(t, lab.tcp)
    peer.send('\r\n\r\n')
    await until('the pong', () => peer.text() === '\r\n')
    peer.send(`\r\n${options('SIP/2.0/TCP 127.0.0.1')}`)
    await lab.request()
    assert.equal(peer.text(), '\r\n')
  })
})

describe('connections', () => {
  const reach = (lab: Awaited<ReturnType<typeof transportLab>>, port: number): Promise<Flow | null> =>
    new Promise((done) => lab.layer.reach({ protocol: 'tcp', host: '127.0.0.1', port }, done))

  it('are reused: one that the peer opened, and one that is being opened', async (t) => {
    const lab = await transportLab(t)
    const peer = await tcpPeer(t, lab.tcp)
    await until('to be accepted', () => lab.layer.connections.tcp === 1)
    assert.deepEqual((await reach(lab, peer.port))?.path.remote.port, peer.port)
    let accepted = 0
    const server = createServer((socket) => {
      accepted++
      socket.on('error', () => undefined)
    }).listen(0, '127.0.0.1')
    t.after(() => server.close())
    await until('to listen', () => server.listening)
    const { port } = server.address() as { port: number }
    const flows = await Promise.all([reach(lab, port), reach(lab, port)])
    flows.push(await reach(lab, port))
    assert.equal(new Set(flows).size, 1)
    assert.equal(accepted, 1)
  })

  it('that cannot be had are told to all who wait', async (t) => {
    const lab = await transportLab(t)
    const server = createServer().listen(0, '127.0.0.1')
    await until('to listen', () => server.listening)
    const { port } = server.address() as { port: number }
    await new Promise((done) => server.close(done))
    assert.deepEqual(await Promise.all([reach(lab, port), reach(lab, port)]), [null, null])
  })

  for (const [what, limits] of [
    ['each source', { maxConnections: 100, maxConnectionsPerSource: 2, maxHandshakes: 100 }],
    ['all', { maxConnections: 2, maxConnectionsPerSource: 100, maxHandshakes: 100 }],
  ] as const) {
    it(`over the limit of ${what} are closed at once; one that ends makes room`, async (t) => {
      const lab = await transportLab(t, { limits })
      const first = await tcpPeer(t, lab.tcp)
      await tcpPeer(t, lab.tcp)
      await until('two', () => lab.layer.connections.tcp === 2)
      const third = await tcpPeer(t, lab.tcp)
      await until('the refusal', () => third.socket.readableEnded || third.socket.closed)
      first.socket.destroy()
      await until('room', () => lab.layer.connections.tcp === 1)
      const fourth = await tcpPeer(t, lab.tcp)
      fourth.send(options('SIP/2.0/TCP 127.0.0.1'))
      await lab.request()
    })
  }

  it('are swept: a message that does not end costs its connection, with the reason told', async (t) => {
    const lab = await transportLab(t)
    const facts: string[] = []
    lab.spine.flowOpened.subscribe(() => void facts.push('opened'))
    lab.spine.flowClosed.subscribe(({ error }) => void facts.push(`closed: ${error}`))
    const peer = await tcpPeer(t, lab.tcp)
    peer.send('\r\n\r\nOPTIONS sip:a')
    await until('the pong', () => peer.text() === '\r\n')
    lab.clock.advance(36_000)
    await until('the cut', () => lab.closed.length === 1)
    assert.deepEqual(facts, ['opened', 'closed: a message took too long'])
    assert.equal(lab.clock.pendingTimers, 0)
  })

  it('take turns: one message is before the last of many that came first, and none is lost', async (t) => {
    const lab = await transportLab(t)
    const [flood, phone] = [await tcpPeer(t, lab.tcp), await tcpPeer(t, lab.tcp)]
    await until('both to be accepted', () => lab.layer.connections.tcp === 2)
    // Both lie in the kernel when the server looks next.
    flood.send(options('SIP/2.0/TCP 127.0.0.1').repeat(300))
    phone.send(options('SIP/2.0/TCP 127.0.0.1'))
    await until('all of them', () => lab.got.length === 301)
    const at = lab.got.findIndex(({ flow }) => flow.path.remote.port === phone.port)
    assert.ok(at >= 0 && at < 150, `the ${at}th`)
  })

  it('end when the layer is closed, and leave no timer behind', async (t) => {
    const lab = await transportLab(t)
    await tcpPeer(t, lab.tcp)
    await until('to be accepted', () => lab.layer.connections.tcp === 1)
    await lab.layer.close()
    await until('the end', () => lab.layer.connections.tcp === 0)
    assert.equal(lab.clock.pendingTimers, 0)
  })
})
