import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Request, Response } from '../../src/sip/message/message.ts'
import { until } from '../support/programs.ts'
import { RawPhone, requestText, startSiphon, type Siphon, type SiphonOptions } from '../support/siphon.ts'
import { SipPeer } from '../support/sip-peer.ts'

const SDP =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n'
const DESCRIBED = { body: SDP, contentType: 'application/sdp' }

async function serve(t: TestContext, options: SiphonOptions): Promise<Siphon> {
  const siphon = await startSiphon(options)
  t.after(() => siphon.stop('SIGKILL'))
  return siphon
}

/** A party that answers INVITEs with this status, and says 200 to the rest. */
async function peer(t: TestContext, siphon: Siphon, status: number | null): Promise<SipPeer> {
  const opened = await SipPeer.open(siphon.sip)
  t.after(() => opened.close())
  opened.onRequest = (request) => {
    if (request.method === 'ACK' || request.method === 'CANCEL') return
    if (request.method !== 'INVITE') opened.answer(request, 200)
    else if (status === null) opened.answer(request, 180)
    else opened.answer(request, status, status < 300 ? DESCRIBED : {})
  }
  return opened
}

const requests = (peer: SipPeer, method: string): Request[] =>
  peer.received.filter((m): m is Request => m.kind === 'request' && m.method === method)

const got = (peer: SipPeer, method: string, count = 1): Promise<Request> =>
  until(`${method} number ${count}`, () => requests(peer, method)[count - 1])

/** Calls, and is answered. */
async function calls(
  from: SipPeer,
  uri: string,
): Promise<{ response: Response; call: ReturnType<SipPeer['invite']> }> {
  const call = from.invite(uri)
  const response = await call.final()
  assert.equal(response.status, 200)
  return { response, call }
}

describe('carrier-failover.ts', () => {
  it('goes on to the second carrier when the first is out of order', async (t) => {
    const first = await SipPeer.open(1)
    const second = await SipPeer.open(1)
    const ports = [first.port, second.port]
    first.close()
    second.close()
    const siphon = await serve(t, {
      script: 'carrier-failover.ts',
      yaml: `gateway:
  groups:
    - name: carriers
      algorithm: round_robin
      probe: { enabled: false }
      destinations:
        - { name: one, uri: "sip:127.0.0.1:${ports[0]}", priority: 1 }
        - { name: two, uri: "sip:127.0.0.1:${ports[1]}", priority: 2 }
`,
    })
    const [one, two] = [await RawCarrier.open(t, ports[0] ?? 0), await RawCarrier.open(t, ports[1] ?? 0)]
    one.status = 503
    const caller = await peer(t, siphon, 200)
    const { response, call } = await calls(caller, `sip:0301234@${siphon.target}`)
    assert.equal(await call.bye(response), 200)
    assert.match(two.invites[0] ?? '', /^INVITE sip:0301234@127\.0\.0\.1:\d+ SIP/)
    await until('the record', () => siphon.records().length === 1)
    const [record] = siphon.records()
    assert.equal(record?.['kind'], 'b2bua')
    assert.equal(record['destination_port'], ports[1])
    assert.equal((record['legs'] as string[]).length, 2)
    assert.equal(await siphon.metric('siphon_call_attempts_total{result="answered"}'), 1)
    const gateways = (name: string, result: string): Promise<number> =>
      siphon.metric(
        `siphon_gateway_requests_total{group="carriers",destination="${name}",result="${result}"}`,
      )
    assert.deepEqual([await gateways('one', 'unavailable'), await gateways('two', 'answered')], [1, 1])
    // A refusal of the callee's own is final.
    one.status = 486
    const refused = await caller.invite(`sip:0301234@${siphon.target}`).final()
    assert.equal(refused.status, 486)
    assert.equal(two.invites.length, 1)
    // And a caller who gives up is heard by the carrier.
    one.status = 180
    const third = caller.invite(`sip:0301234@${siphon.target}`)
    await third.response(180, 180)
    third.cancel()
    assert.equal((await third.final()).status, 487)
    await until('the CANCEL', () => one.cancels === 1)
    await until('three records', () => siphon.records().length === 3)
    await until(
      'the one given up to be counted',
      async () => (await gateways('one', 'cancelled')) === 1,
      40_000,
    )
    assert.equal(await gateways('one', 'refused'), 1)
    assert.deepEqual(
      siphon.records().map((r) => [r['response_code'], r['disconnect_initiator']]),
      [
        [200, 'caller'],
        [486, 'callee'],
        [487, 'caller'],
      ],
    )
  })
})

describe('click-to-dial.ts', () => {
  it('calls the one, then the other, and puts them through', async (t) => {
    const siphon = await serve(t, { script: 'click-to-dial.ts' })
    const alice = await peer(t, siphon, 200)
    const bob = await peer(t, siphon, 200)
    const web = await RawPhone.open()
    t.after(() => web.close())
    const wish = JSON.stringify({ from: alice.contact, to: bob.contact })
    const text = requestText('MESSAGE', `sip:${siphon.target}`, {
      headers: ['Content-Type: application/json'],
      body: wish,
    })
    assert.equal(await web.ask(text, siphon.sip), 202)
    // Alice without media first, then with what bob offers, then bob with her answer.
    assert.doesNotMatch((await got(alice, 'INVITE')).body, /m=/)
    assert.equal((await got(bob, 'INVITE')).body, '')
    // In the name of whoever made the first description, as RFC 3264 §8 wants it.
    const renamed = SDP.replace('o=- 1 1 IN IP4 127.0.0.1', 'o=- 0 1 IN IP4 0.0.0.0')
    assert.equal((await got(alice, 'INVITE', 2)).body, renamed)
    assert.equal((await got(bob, 'ACK')).body, SDP)
    const { body } = await siphon.admin('/admin/calls')
    const [live] = body as { id: string; kind: string; state: string }[]
    assert.equal(live?.kind, 'b2bua')
    const hungUp = await siphon.admin(`/admin/calls/${live.id}`, { method: 'DELETE' })
    assert.equal(hungUp.status, 200)
    await got(alice, 'BYE')
    await got(bob, 'BYE')
    await until('the record', () => siphon.records().length === 1)
    assert.equal(siphon.records()[0]?.['disconnect_initiator'], 'server')
    assert.equal((await siphon.admin(`/admin/calls/${live.id}`, { method: 'DELETE' })).status, 404)
  })
})

describe('attended-transfer.ts', () => {
  it('puts the parties of two calls together', async (t) => {
    const siphon = await serve(t, { script: 'attended-transfer.ts', yaml: 'server: { drain_secs: 1 }' })
    const [alice, bob, carol] = [
      await peer(t, siphon, 200),
      await peer(t, siphon, 200),
      await peer(t, siphon, 200),
    ]
    for (const [user, phone] of [
      ['bob', bob],
      ['carol', carol],
    ] as const) {
      const register = phone.request('REGISTER', 'sip:example.com', [
        `From: <sip:${user}@example.com>;tag=r`,
        `To: <sip:${user}@example.com>`,
        `Call-ID: register-${user}`,
        'CSeq: 1 REGISTER',
      ])
      phone.send(register)
      await phone.heard('200 REGISTER', (m): m is Response => m.kind === 'response' && m.status === 200)
    }
    const first = await calls(alice, 'sip:bob@example.com')
    const second = await calls(alice, 'sip:carol@example.com')
    const replaces = `${second.call.callId};to-tag=${second.response.toTag};from-tag=${second.response.fromTag}`
    alice.send(
      first.call.inDialog('REFER', first.response, [
        `Refer-To: <sip:carol@example.com?Replaces=${encodeURIComponent(replaces)}>`,
      ]),
    )
    await until('both notifications', () => requests(alice, 'NOTIFY').length === 2)
    assert.deepEqual(
      requests(alice, 'NOTIFY').map((n) => n.body.trim()),
      ['SIP/2.0 100 Trying', 'SIP/2.0 200 OK'],
    )
    // Both of alice's calls are over, bob and carol have been told of each other.
    await until('both BYEs', () => requests(alice, 'BYE').length === 2)
    assert.equal(requests(bob, 'INVITE').length, 2)
    assert.equal(requests(carol, 'INVITE').length, 2)
    assert.equal(requests(bob, 'BYE').length + requests(carol, 'BYE').length, 0)
    assert.equal(await siphon.metric('siphon_calls_active'), 1)
    assert.equal(await siphon.stop('SIGTERM', 60_000), 0)
    // At the end of the drain the call that is left is hung up, with a record.
    assert.equal(requests(bob, 'BYE').length + requests(carol, 'BYE').length, 2)
    assert.equal(siphon.records().length, 2)
  })
})

/** A carrier at a port that is known before the server is. */
class RawCarrier {
  status = 200
  cancels = 0
  readonly invites: string[] = []

  static async open(t: TestContext, port: number): Promise<RawCarrier> {
    const { createSocket } = await import('node:dgram')
    const carrier = new RawCarrier()
    const socket = createSocket('udp4')
    let last: { text: string; port: number; address: string } | null = null
    const answer = (text: string, status: number, to: { port: number; address: string }): void => {
      const lines = text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n')
      const kept = lines
        .filter((l) => /^(Via|From|To|Call-ID|CSeq):/.test(l))
        .map((l) => (l.startsWith('To:') && !l.includes('tag=') ? `${l};tag=carrier` : l))
      const body = status === 200 && text.startsWith('INVITE') ? SDP : ''
      const own = [
        `Contact: <sip:127.0.0.1:${port}>`,
        ...(body === '' ? [] : ['Content-Type: application/sdp']),
      ]
      const whole = [`SIP/2.0 ${status} X`, ...kept, ...own, `Content-Length: ${body.length}`, '', body].join(
        '\r\n',
      )
      socket.send(Buffer.from(whole), to.port, to.address)
    }
    socket.on('message', (bytes, from) => {
      const text = bytes.toString('latin1')
      if (text.startsWith('INVITE')) {
        carrier.invites.push(text)
        last = { text, port: from.port, address: from.address }
        answer(text, carrier.status, from)
      } else if (text.startsWith('CANCEL')) {
        carrier.cancels++
        answer(text, 200, from)
        if (last !== null) answer(last.text, 487, last)
      } else if (text.startsWith('BYE')) answer(text, 200, from)
    })
    await new Promise<void>((done) => socket.bind(port, '127.0.0.1', done))
    t.after(() => socket.close())
    return carrier
  }
}
