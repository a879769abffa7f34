import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sdp } from '../../support/agent.ts'
import { b2buaLab, dial } from '../../support/b2bua-lab.ts'

const destination = (r: { destinationIp: string | null; destinationPort: number | null } | undefined) => [
  r?.destinationIp,
  r?.destinationPort,
]
const summary = (r: {
  responseCode: number
  disconnectInitiator: unknown
  kind: string
  durationMs: number
}) => [r.kind, r.responseCode, r.disconnectInitiator, r.durationMs]

describe('a call through the back-to-back user agent', () => {
  it('is two dialogs with nothing in common', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock, records, decided, legs } = room
    const a = alice.call('sip:bob@example.com', { headers: { Subject: 'lunch', 'User-Agent': 'phone' } })
    clock.advance(25)
    const [b] = bob.calls
    assert.ok(b)
    b.answer(180)
    clock.advance(100)
    b.answer(200, { sdp: sdp('bob') })
    clock.advance(100)
    a.ack()
    clock.advance(1000)
    a.bye({ Reason: 'Q.850;cause=16' })
    clock.advance(25)
    assert.equal(bob.got().at(-1), 'BYE')
    b.answer(200, {}, bob.lastRequest('BYE'))
    clock.advance(20)
    room.assertLadder(`
         0  alice  → siphon  INVITE
        10  siphon → alice   100 INVITE
        10  siphon → bob     INVITE
        25  bob    → siphon  180 INVITE
        35  siphon → alice   180 INVITE
       125  bob    → siphon  200 INVITE
       135  siphon → bob     ACK
       135  siphon → alice   200 INVITE
       225  alice  → siphon  ACK
      1225  alice  → siphon  BYE
      1235  siphon → alice   200 BYE
      1235  siphon → bob     BYE
      1250  bob    → siphon  200 BYE`)
    const invite = bob.lastRequest('INVITE')
    assert.notEqual(invite.callId, a.invite.callId)
    assert.notEqual(invite.fromTag, a.invite.fromTag)
    assert.equal(invite.headers.count('via'), 1)
    assert.equal(invite.headers.count('contact'), 1)
    assert.match(invite.headers.first('contact') ?? '', /192\.0\.2\.254/)
    assert.equal(invite.headers.has('record-route'), false)
    assert.equal(invite.headers.first('subject'), 'lunch')
    assert.equal(invite.headers.first('max-forwards'), '69')
    assert.equal(invite.from.uri, 'sip:alice@example.com')
    assert.equal(invite.to.uri, 'sip:bob@example.com')
    assert.equal(invite.uri, 'sip:bob@192.0.2.2:5060')
    assert.equal(invite.body, sdp('alice'))
    const ok = alice.last('200 INVITE')
    assert.equal(ok.body, sdp('bob'))
    assert.match(ok.headers.first('contact') ?? '', /192\.0\.2\.254/)
    assert.equal(bob.lastRequest('BYE').headers.first('reason'), 'Q.850;cause=16')
    room.assertEmpty()
    assert.deepEqual(records.map(summary), [['b2bua', 200, 'caller', 1100]])
    assert.deepEqual(records[0]?.legs, [invite.callId])
    assert.equal(records[0]?.callId, a.invite.callId)
    assert.equal(records[0]?.destinationIp, '192.0.2.2')
    assert.equal(records[0]?.sipReason, 'Q.850;cause=16')
    assert.deepEqual(
      decided.map((d) => d.result),
      ['answered'],
    )
    assert.deepEqual(legs, [{ result: 'answered', setupMs: 125 }])
  })

  it('is hung up by the callee', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock, records } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    a.ack()
    clock.advance(30)
    bob.calls[0]?.bye()
    clock.advance(30)
    a.answer(200, {}, alice.lastRequest('BYE'))
    room.assertEmpty()
    assert.equal(bob.got().at(-1), '200 BYE')
    assert.deepEqual(
      records.map((r) => r.disconnectInitiator),
      ['callee'],
    )
  })

  it('ends when both hang up at once', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock, records } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    const [b] = bob.calls
    b?.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    a.ack()
    clock.advance(30)
    a.bye()
    b?.bye()
    clock.advance(15)
    // Each has got the other's BYE as well; both are answered.
    for (const agent of [alice, bob]) {
      const bye = agent.received.findLast((m) => m.kind === 'request' && m.method === 'BYE')
      if (bye?.kind === 'request') agent.calls[0]?.answer(200, {}, bye)
    }
    room.assertEmpty()
    assert.equal(alice.got().filter((m) => m === '200 BYE').length, 1)
    assert.equal(bob.got().filter((m) => m === '200 BYE').length, 1)
    assert.equal(records.length, 1)
  })

  for (const [status, seen, result, initiator] of [
    [486, 486, 'busy', 'callee'],
    [603, 603, 'rejected', 'callee'],
    [404, 404, 'unavailable', 'callee'],
    [503, 500, 'unavailable', 'callee'],
    [302, 480, 'rejected', 'callee'],
    [487, 480, 'rejected', 'callee'],
  ] as const) {
    it(`is refused with ${status}: the caller hears ${seen}`, () => {
      const room = b2buaLab({ latencyMs: 10 })
      const { alice, bob, clock, records, decided } = room
      alice.call('sip:bob@example.com')
      clock.advance(25)
      bob.calls[0]?.answer(status)
      clock.advance(30)
      assert.equal(alice.got().at(-1), `${seen} INVITE`)
      room.assertEmpty()
      assert.deepEqual(records.map(summary), [['b2bua', seen, initiator, 0]])
      assert.deepEqual(destination(records[0]), ['192.0.2.2', 5060])
      assert.deepEqual(
        decided.map((d) => d.result),
        [result],
      )
    })
  }

  it('rings too long: 408, and the callee is cancelled', () => {
    const room = b2buaLab({ latencyMs: 10, script: { invite: dial(['bob'], { timeoutMs: 3000 }) } })
    const { alice, bob, clock, records, decided } = room
    alice.call('sip:bob@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(180)
    clock.advance(4000)
    assert.deepEqual(bob.got(), ['INVITE', 'CANCEL'])
    assert.equal(alice.got().at(-1), '408 INVITE')
    room.assertEmpty()
    assert.deepEqual(records.map(summary), [['b2bua', 408, 'timeout', 0]])
    assert.deepEqual(destination(records[0]), ['192.0.2.2', 5060])
    assert.deepEqual(
      decided.map((d) => d.result),
      ['no_answer'],
    )
  })

  it('finds nobody there: timer B', () => {
    const room = b2buaLab({ latencyMs: 10, script: { invite: dial(['bob'], { timeoutMs: null }) } })
    room.network.detach({ host: '192.0.2.2', port: 5060 })
    room.alice.call('sip:bob@example.com')
    room.clock.advance(33_000)
    assert.equal(room.alice.got().at(-1), '408 INVITE')
    room.assertEmpty()
    assert.deepEqual(destination(room.records[0]), ['192.0.2.2', 5060])
    assert.deepEqual(
      room.decided.map((d) => d.result),
      ['timeout'],
    )
  })
})

describe('a cancelled call', () => {
  it('while it rings', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock, records } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(180)
    clock.advance(100)
    a.cancel()
    clock.advance(100)
    assert.deepEqual(bob.got(), ['INVITE', 'CANCEL'])
    assert.equal(alice.got().at(-1), '487 INVITE')
    room.assertEmpty()
    assert.deepEqual(records.map(summary), [['b2bua', 487, 'caller', 0]])
    assert.deepEqual(destination(records[0]), ['192.0.2.2', 5060])
    assert.deepEqual(
      room.legs.map((l) => l.result),
      ['cancelled'],
    )
  })

  it('before the callee has said anything: the CANCEL waits for its first response', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    a.cancel()
    clock.advance(100)
    assert.deepEqual(bob.got(), ['INVITE'])
    assert.equal(alice.got().at(-1), '487 INVITE')
    bob.calls[0]?.answer(180)
    clock.advance(100)
    assert.deepEqual(bob.got(), ['INVITE', 'CANCEL'])
    room.assertEmpty()
    assert.deepEqual(destination(room.records[0]), ['192.0.2.2', 5060])
  })

  it('while the script thinks', () => {
    const room = b2buaLab({ latencyMs: 10, thinks: 500 })
    const a = room.alice.call('sip:bob@example.com')
    room.clock.advance(50)
    a.cancel()
    room.clock.advance(1000)
    assert.deepEqual(room.bob.got(), [])
    assert.equal(room.alice.got().at(-1), '487 INVITE')
    room.assertEmpty()
    assert.deepEqual(destination(room.records[0]), [null, null])
    assert.deepEqual(
      room.decided.map((d) => d.result),
      ['cancelled'],
    )
  })

  it('as the callee answers: its 2xx is acknowledged and hung up', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock, records } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(180)
    clock.advance(100)
    a.cancel()
    clock.advance(15)
    // The CANCEL is on its way to bob.
    bob.calls[0]?.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    assert.deepEqual(
      bob.got().filter((m) => m !== 'CANCEL'),
      ['INVITE', 'ACK', 'BYE'],
    )
    bob.calls[0]?.answer(200, {}, bob.lastRequest('BYE'))
    clock.advance(30)
    assert.equal(alice.got().at(-1), '487 INVITE')
    room.assertEmpty()
    assert.deepEqual(records.map(summary), [['b2bua', 487, 'caller', 0]])
    assert.deepEqual(destination(records[0]), ['192.0.2.2', 5060])
  })
})

describe('an ACK that does not come', () => {
  it("the caller's: the 2xx is repeated for 32 s, then both legs are hung up", () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock, records } = room
    alice.call('sip:bob@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(200, { sdp: sdp('bob') })
    clock.advance(31_000)
    assert.ok(alice.got().filter((m) => m === '200 INVITE').length >= 10)
    assert.equal(bob.got().includes('BYE'), false)
    clock.advance(2_000)
    assert.equal(alice.got().filter((m) => m === 'BYE').length >= 1, true)
    assert.equal(bob.got().includes('BYE'), true)
    room.assertEmpty()
    assert.deepEqual(
      records.map((r) => r.disconnectInitiator),
      ['timeout'],
    )
  })

  it('ours to the callee was lost: its 2xx comes again and gets it again', () => {
    const room = b2buaLab({ latencyMs: 10, lose: ['siphon→bob #2'] })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    a.ack()
    assert.equal(bob.got().includes('ACK'), false)
    bob.calls[0]?.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    assert.equal(bob.got().at(-1), 'ACK')
    a.bye()
    clock.advance(30)
    bob.calls[0]?.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
  })

  it('a callee that hangs up first: the caller gets no BYE before its ACK', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    bob.calls[0]?.bye()
    clock.advance(30)
    assert.equal(alice.got().includes('BYE'), false)
    a.ack()
    clock.advance(30)
    assert.equal(alice.got().at(-1), 'BYE')
    a.answer(200, {}, alice.lastRequest('BYE'))
    room.assertEmpty()
  })
})

describe('no offer in the INVITE', () => {
  it("the callee's offer goes up with the 200, the caller's answer down with the ACK", () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com', { sdp: null })
    clock.advance(25)
    bob.calls[0]?.answer(200, { sdp: sdp('offer') })
    clock.advance(30)
    assert.equal(bob.got().includes('ACK'), false)
    assert.equal(alice.last('200 INVITE').body, sdp('offer'))
    a.ack({ sdp: sdp('answer') })
    clock.advance(30)
    assert.equal(bob.lastRequest('ACK').body, sdp('answer'))
    a.bye()
    clock.advance(30)
    bob.calls[0]?.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
  })

  it('and no ACK either: the callee is acknowledged and hung up', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock } = room
    alice.call('sip:bob@example.com', { sdp: null })
    clock.advance(25)
    bob.calls[0]?.answer(200, { sdp: sdp('offer') })
    clock.advance(33_000)
    assert.deepEqual(bob.got().slice(0, 3), ['INVITE', 'ACK', 'BYE'])
    room.assertEmpty()
  })
})
