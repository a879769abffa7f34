import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sdp, type AgentCall } from '../../support/agent.ts'
import { b2buaLab, dial, type B2buaLabOptions } from '../../support/b2bua-lab.ts'

/** A call that is up; `a` is alice's side, `b` bob's. */
function upCall(
  options: B2buaLabOptions = {},
  headers: { a?: Record<string, string>; b?: Record<string, string> } = {},
) {
  const room = b2buaLab({ latencyMs: 10, ...options })
  const { alice, bob, clock } = room
  const a = alice.call('sip:bob@example.com', { headers: headers.a ?? {} })
  clock.advance(25)
  const b = bob.calls[0] as AgentCall
  b.answer(200, { sdp: sdp('bob'), headers: headers.b ?? {} })
  clock.advance(30)
  a.ack()
  clock.advance(30)
  alice.received.length = 0
  bob.received.length = 0
  const end = (): void => {
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
  }
  return { ...room, a, b, end }
}

describe('early media', () => {
  it('crosses with an unreliable 183, and each callee has a dialog of its own towards the caller', () => {
    const room = b2buaLab({ latencyMs: 10, script: { invite: dial(['bob', 'carol']) } })
    const { alice, bob, carol, clock } = room
    const a = alice.call('sip:desk@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(183, { sdp: sdp('bob') })
    carol.calls[0]?.answer(183, { sdp: sdp('carol') })
    clock.advance(30)
    const early = alice.received.filter((m) => m.kind === 'response' && m.status === 183)
    assert.deepEqual(
      early.map((m) => m.body),
      [sdp('bob'), sdp('carol')],
    )
    assert.notEqual(early[0]?.toTag, early[1]?.toTag)
    carol.calls[0]?.answer(200, { sdp: sdp('carol') })
    clock.advance(30)
    const ok = alice.last('200 INVITE')
    assert.equal(ok.toTag, early[1]?.toTag)
    assert.ok(bob.got().includes('CANCEL'))
    assert.match(bob.lastRequest('CANCEL').headers.first('reason') ?? '', /completed elsewhere/)
    a.ack()
    clock.advance(30)
    a.bye()
    clock.advance(30)
    carol.calls[0]?.answer(200, {}, carol.lastRequest('BYE'))
    room.assertEmpty()
    assert.deepEqual(room.legs.map((l) => l.result).sort(), ['answered', 'cancelled'])
  })

  it('from two forks further on: both seen, the second answer acknowledged and hung up', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    const b = bob.calls[0] as AgentCall
    const first = b.answer(200, { sdp: sdp('one') })
    const second = first.clone()
    second.headers.set('To', `${(first.headers.first('to') ?? '').replace(/tag=.*/, 'tag=other')}`)
    bob.servers.get(b.invite)?.respond(second)
    clock.advance(30)
    assert.deepEqual(bob.got(), ['INVITE', 'ACK', 'ACK', 'BYE'])
    assert.equal(bob.lastRequest('BYE').toTag, 'other')
    b.answer(200, {}, bob.lastRequest('BYE'))
    a.ack()
    clock.advance(30)
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
  })
})

describe('reliable provisional responses', () => {
  it('end to end: the PRACK of the caller is that of the callee', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com', { headers: { Supported: '100rel' } })
    clock.advance(25)
    const b = bob.calls[0] as AgentCall
    b.reliably(183, { sdp: sdp('bob') })
    clock.advance(30)
    assert.equal(bob.got().includes('PRACK'), false)
    const early = alice.last('183 INVITE')
    assert.match(early.headers.first('require') ?? '', /100rel/)
    if (early.kind === 'response') a.prack(early)
    clock.advance(30)
    assert.equal(alice.got().at(-1), '200 PRACK')
    assert.equal(bob.lastRequest('PRACK').headers.first('rack'), '101 1 INVITE')
    b.answer(200, {}, bob.lastRequest('PRACK'))
    b.answer(200)
    clock.advance(30)
    // The answer has come reliably: the 200 needs none.
    assert.equal(alice.last('200 INVITE').body, '')
    a.ack()
    clock.advance(30)
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
  })

  it('a PRACK with an offer: the answer comes with its 200', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com', { headers: { Supported: '100rel' } })
    clock.advance(25)
    const b = bob.calls[0] as AgentCall
    b.reliably(183, { sdp: sdp('bob') })
    clock.advance(30)
    const early = alice.last('183 INVITE')
    if (early.kind === 'response') a.prack(early, { sdp: sdp('again') })
    clock.advance(30)
    assert.equal(bob.lastRequest('PRACK').body, sdp('again'))
    assert.equal(alice.got().includes('200 PRACK'), false)
    b.answer(200, { sdp: sdp('bob again') }, bob.lastRequest('PRACK'))
    clock.advance(30)
    assert.equal(alice.last('200 PRACK').body, sdp('bob again'))
    a.cancel()
    clock.advance(100)
    room.assertEmpty()
  })

  it('only the callee knows them: we acknowledge, and the caller gets the answer with the 200', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    const b = bob.calls[0] as AgentCall
    assert.match(bob.lastRequest('INVITE').headers.first('supported') ?? '', /100rel/)
    b.reliably(183, { sdp: sdp('bob') })
    clock.advance(30)
    assert.equal(alice.last('183 INVITE').headers.has('rseq'), false)
    b.answer(200, {}, bob.lastRequest('PRACK'))
    b.answer(200)
    clock.advance(30)
    assert.equal(alice.last('200 INVITE').body, sdp('bob'))
    a.ack()
    clock.advance(30)
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
  })

  it('the caller insists, the callee does not know them: reliable on our own account', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com', { headers: { Require: '100rel' } })
    clock.advance(25)
    const b = bob.calls[0] as AgentCall
    assert.equal(bob.lastRequest('INVITE').headers.has('require'), false)
    b.answer(180)
    b.answer(200, { sdp: sdp('bob') })
    clock.advance(600)
    // Repeated until the PRACK; the 200 waits for it.
    assert.ok(alice.got().filter((m) => m === '180 INVITE').length >= 2)
    assert.equal(alice.got().includes('200 INVITE'), false)
    const early = alice.last('180 INVITE')
    if (early.kind === 'response') a.prack(early)
    clock.advance(30)
    assert.deepEqual(alice.got().slice(-2), ['200 PRACK', '200 INVITE'])
    a.ack()
    clock.advance(30)
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
  })

  it('never acknowledged: 504, and the callee is cancelled', () => {
    const room = b2buaLab({ latencyMs: 10, script: { invite: dial(['bob'], { timeoutMs: null }) } })
    const { alice, bob, clock } = room
    alice.call('sip:bob@example.com', { headers: { Require: '100rel' } })
    clock.advance(25)
    bob.calls[0]?.answer(180)
    clock.advance(33_000)
    assert.equal(alice.got().at(-1), '504 INVITE')
    assert.ok(bob.got().includes('CANCEL'))
    room.assertEmpty()
    assert.deepEqual(
      room.records.map((r) => [r.responseCode, r.disconnectInitiator]),
      [[504, 'timeout']],
    )
  })

  it('an offer by the callee in a reliable 183, answered in the PRACK', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com', { sdp: null, headers: { Supported: '100rel' } })
    clock.advance(25)
    const b = bob.calls[0] as AgentCall
    b.reliably(183, { sdp: sdp('offer') })
    clock.advance(30)
    const early = alice.last('183 INVITE')
    assert.equal(early.body, sdp('offer'))
    if (early.kind === 'response') a.prack(early, { sdp: sdp('answer') })
    clock.advance(30)
    assert.equal(bob.lastRequest('PRACK').body, sdp('answer'))
    b.answer(200, {}, bob.lastRequest('PRACK'))
    b.answer(200)
    clock.advance(30)
    assert.equal(alice.last('200 INVITE').body, '')
    // Nothing is left to be answered: the callee's 200 is acknowledged at once.
    assert.equal(bob.got().at(-1), 'ACK')
    a.ack()
    clock.advance(30)
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
  })
})

describe('a change of the session', () => {
  it('by re-INVITE of the caller: hold', () => {
    const room = upCall()
    const { alice, bob, clock, a, b } = room
    a.within('INVITE', { sdp: sdp('hold') })
    clock.advance(25)
    const again = bob.lastRequest('INVITE')
    assert.equal(again.body, sdp('hold'))
    b.answer(200, { sdp: sdp('held') }, again)
    clock.advance(30)
    assert.deepEqual(bob.got(), ['INVITE', 'ACK'])
    const ok = alice.last('200 INVITE')
    assert.equal(ok.body, sdp('held'))
    if (ok.kind === 'response') a.ack({}, ok)
    clock.advance(30)
    room.end()
  })

  it('by re-INVITE of the callee, without an offer', () => {
    const room = upCall()
    const { alice, bob, clock, a, b } = room
    b.within('INVITE')
    clock.advance(25)
    const again = alice.lastRequest('INVITE')
    assert.equal(again.body, '')
    a.answer(200, { sdp: sdp('offer') }, again)
    clock.advance(30)
    assert.equal(alice.got().includes('ACK'), false)
    const ok = bob.last('200 INVITE')
    assert.equal(ok.body, sdp('offer'))
    if (ok.kind === 'response') b.ack({ sdp: sdp('answer') }, ok)
    clock.advance(30)
    assert.equal(alice.lastRequest('ACK').body, sdp('answer'))
    room.end()
  })

  it('is refused: 488 goes back, and the call goes on', () => {
    const room = upCall()
    const { alice, bob, clock, a, b } = room
    a.within('INVITE', { sdp: sdp('video') })
    clock.advance(25)
    b.answer(488, {}, bob.lastRequest('INVITE'))
    clock.advance(30)
    assert.equal(alice.got().at(-1), '488 INVITE')
    room.end()
  })

  it('by UPDATE, both ways; without a description it is answered here', () => {
    const room = upCall()
    const { alice, bob, clock, a, b } = room
    a.within('UPDATE', { sdp: sdp('new') })
    clock.advance(25)
    assert.equal(bob.lastRequest('UPDATE').body, sdp('new'))
    b.answer(200, { sdp: sdp('ok') }, bob.lastRequest('UPDATE'))
    clock.advance(30)
    assert.equal(alice.last('200 UPDATE').body, sdp('ok'))
    b.within('UPDATE')
    clock.advance(30)
    assert.equal(bob.got().at(-1), '200 UPDATE')
    assert.equal(alice.got().includes('UPDATE'), false)
    room.end()
  })

  it('by both at once: 491 to both, and the one who tries again succeeds', () => {
    const room = upCall()
    const { alice, bob, clock, a, b } = room
    a.within('INVITE', { sdp: sdp('a') })
    b.within('INVITE', { sdp: sdp('b') })
    clock.advance(25)
    // Alice's has been passed on when bob's comes: he gets 491 here, and says it to hers.
    b.answer(491, {}, bob.lastRequest('INVITE'))
    clock.advance(40)
    assert.deepEqual(
      alice.got().filter((m) => m.startsWith('4')),
      ['491 INVITE'],
    )
    assert.deepEqual(
      bob.got().filter((m) => m.startsWith('4')),
      ['491 INVITE'],
    )
    b.within('INVITE', { sdp: sdp('b2') })
    clock.advance(25)
    a.answer(200, { sdp: sdp('a2') }, alice.lastRequest('INVITE'))
    clock.advance(30)
    const ok = bob.last('200 INVITE')
    if (ok.kind === 'response') b.ack({}, ok)
    clock.advance(30)
    room.end()
  })

  it('a second one while the first is open: 500 with Retry-After', () => {
    const room = upCall()
    const { alice, bob, clock, a, b } = room
    a.within('INVITE', { sdp: sdp('one') })
    clock.advance(25)
    a.within('INVITE', { sdp: sdp('two') })
    clock.advance(30)
    const refused = alice.last('500 INVITE')
    assert.match(refused.headers.first('retry-after') ?? '', /^([0-9]|10)$/)
    b.answer(200, { sdp: sdp('ok') }, bob.lastRequest('INVITE'))
    clock.advance(30)
    const ok = alice.last('200 INVITE')
    if (ok.kind === 'response') a.ack({}, ok)
    clock.advance(30)
    room.end()
  })

  for (const status of [408, 481]) {
    it(`fails with ${status}: the call is over`, () => {
      const room = upCall()
      const { alice, bob, clock, a, b, records } = room
      a.within('INVITE', { sdp: sdp('x') })
      clock.advance(25)
      b.answer(status, {}, bob.lastRequest('INVITE'))
      clock.advance(30)
      assert.ok(alice.got().includes(`${status} INVITE`))
      assert.ok(alice.got().includes('BYE'))
      assert.equal(bob.got().includes('BYE'), status === 408)
      a.answer(200, {}, alice.lastRequest('BYE'))
      room.assertEmpty()
      assert.deepEqual(
        records.map((r) => r.disconnectInitiator),
        ['error'],
      )
    })
  }

  it('the callee vanishes: the re-INVITE times out, the caller is hung up', () => {
    const room = upCall()
    room.network.detach({ host: '192.0.2.2', port: 5060 })
    room.a.within('INVITE', { sdp: sdp('x') })
    room.clock.advance(40_000)
    assert.ok(room.alice.got().includes('BYE'))
    room.assertEmpty()
  })

  it('BYE while it is open: answered with 487, both hung up', () => {
    const room = upCall()
    const { alice, bob, clock, a, b } = room
    a.within('INVITE', { sdp: sdp('x') })
    clock.advance(25)
    b.bye()
    clock.advance(30)
    assert.ok(alice.got().includes('487 INVITE'))
    a.answer(200, {}, alice.lastRequest('BYE'))
    b.answer(487, {}, bob.lastRequest('INVITE'))
    room.assertEmpty()
  })
})

describe('other requests in the call', () => {
  for (const method of ['INFO', 'MESSAGE', 'NOTIFY']) {
    it(`${method} crosses, and so does its response`, () => {
      const room = upCall()
      const { alice, bob, clock, a, b } = room
      a.within(method, { headers: { 'Info-Package': 'dtmf', Event: 'talk' } })
      clock.advance(25)
      const crossed = bob.lastRequest(method)
      assert.equal(crossed.headers.first('event'), 'talk')
      b.answer(202, {}, crossed)
      clock.advance(30)
      assert.equal(alice.got().at(-1), `202 ${method}`)
      b.within(method)
      clock.advance(25)
      a.answer(415, {}, alice.lastRequest(method))
      clock.advance(30)
      assert.equal(bob.got().at(-1), `415 ${method}`)
      room.end()
    })
  }

  it('OPTIONS is answered here; one with a CSeq of the past gets 500, one of no dialog of ours 481', () => {
    const room = upCall()
    const { alice, clock, a } = room
    const first = a.within('OPTIONS')
    clock.advance(30)
    assert.equal(alice.got().at(-1), '200 OPTIONS')
    const old = first.clone()
    old.headers.remove('via')
    old.headers.remove('contact')
    a.send(old)
    clock.advance(30)
    assert.equal(alice.got().at(-1), '500 OPTIONS')
    const strange = first.clone()
    strange.headers.remove('via')
    strange.headers.set('From', '<sip:x@example.com>;tag=strange')
    room.end()
  })
})

describe('session timers', () => {
  it('an interval that is too short: 422 with Min-SE', () => {
    const room = b2buaLab({ latencyMs: 10 })
    room.alice.call('sip:bob@example.com', { headers: { Supported: 'timer', 'Session-Expires': '60' } })
    room.clock.advance(30)
    const refused = room.alice.last('422 INVITE')
    assert.equal(refused.headers.first('min-se'), '90')
    assert.deepEqual(room.bob.got(), [])
    room.assertEmpty()
  })

  it('the callee wants more: asked again by its 422', () => {
    const room = b2buaLab({
      latencyMs: 10,
      script: { invite: dial(['bob'], { timer: { expires: 120, minSe: 90, refresher: 'uac' } }) },
    })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    assert.equal(bob.lastRequest('INVITE').headers.first('session-expires'), '120;refresher=uac')
    bob.calls[0]?.answer(422, { headers: { 'Min-SE': '300' } })
    clock.advance(30)
    const again = bob.lastRequest('INVITE')
    assert.equal(again.headers.first('session-expires'), '300;refresher=uac')
    assert.equal(again.headers.first('min-se'), '300')
    assert.equal(again.cseq.number, 2)
    const b = bob.calls.at(-1) as AgentCall
    b.answer(200, { sdp: sdp('bob'), headers: { 'Session-Expires': '300;refresher=uac' } })
    clock.advance(30)
    a.ack()
    clock.advance(30)
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
  })

  it('we refresh by UPDATE at half time, and the session lives', () => {
    const room = upCall({}, { b: { 'Session-Expires': '100;refresher=uac', Require: 'timer' } })
    const { bob, clock, b } = room
    clock.advance(50_000)
    const refresh = bob.lastRequest('UPDATE')
    assert.equal(refresh.headers.first('session-expires'), '100;refresher=uac')
    assert.equal(refresh.body, '')
    b.answer(200, { headers: { 'Session-Expires': '100;refresher=uac' } }, refresh)
    clock.advance(49_000)
    assert.equal(bob.got().includes('BYE'), false)
    room.end()
  })

  it('we refresh by re-INVITE with the same description where UPDATE is not known; 491 is tried again', () => {
    const room = upCall({}, { b: { 'Session-Expires': '100;refresher=uac', Allow: 'INVITE, ACK, BYE' } })
    const { bob, clock, b } = room
    // The agent's own Allow came first; say again that UPDATE is not known.
    b.within('OPTIONS', { headers: { Allow: 'INVITE, ACK, BYE' } })
    clock.advance(50_000)
    const refresh = bob.lastRequest('INVITE')
    assert.equal(refresh.body, sdp('alice'))
    b.answer(491, {}, refresh)
    clock.advance(5_000)
    const again = bob.lastRequest('INVITE')
    assert.notEqual(again, refresh)
    b.answer(200, { sdp: sdp('bob'), headers: { 'Session-Expires': '100;refresher=uac' } }, again)
    clock.advance(30)
    assert.equal(bob.got().at(-1), 'ACK')
    room.end()
  })

  it('the caller is to refresh and does not: both are hung up before it expires', () => {
    const room = upCall({}, { a: { Supported: 'timer', 'Session-Expires': '120;refresher=uac' } })
    const { alice, bob, clock, records, a, b } = room
    clock.advance(89_000)
    assert.equal(alice.got().includes('BYE') || bob.got().includes('BYE'), true)
    a.answer(200, {}, alice.lastRequest('BYE'))
    b.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
    assert.deepEqual(
      records.map((r) => r.disconnectInitiator),
      ['timeout'],
    )
  })

  it("the caller's refresh keeps it alive", () => {
    const room = upCall({}, { a: { Supported: 'timer', 'Session-Expires': '120;refresher=uac' } })
    const { alice, clock, a } = room
    clock.advance(60_000)
    a.within('UPDATE', { headers: { Supported: 'timer', 'Session-Expires': '120;refresher=uac' } })
    clock.advance(60_000)
    assert.equal(alice.last('200 UPDATE').headers.first('session-expires'), '120;refresher=uac')
    assert.equal(alice.got().includes('BYE'), false)
    room.end()
  })
})
