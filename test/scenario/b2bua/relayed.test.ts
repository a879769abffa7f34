import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Clock } from '../../../src/base/clock.ts'
import type { MediaRelay } from '../../../src/core/b2bua/call-media.ts'
import type { Response } from '../../../src/sip/message/message.ts'
import { sdp, type Agent, type AgentCall } from '../../support/agent.ts'
import { b2buaLab, decision } from '../../support/b2bua-lab.ts'

/** Marks what passes it, 50 ms later; or gives nothing for what `refuses` names. */
function relay(told: string[], refuses: string | null = null) {
  return (clock: { startTimer(ms: number, fire: () => void): unknown }): MediaRelay => ({
    has: () => true,
    awaited: () => null,
    paired: (_callId, pair, kept) => void told.push(`pair ${pair} ${kept ? 'stays' : 'goes'}`),
    exchange: (_callId, { what, from, pair }, text, done) => {
      told.push(`${what} of the ${from}${pair === 0 ? '' : `, pair ${pair}`}`)
      clock.startTimer(50, () => done(refuses === what ? null : `${text}a=relayed\r\n`))
    },
  })
}

const relayed = (name: string): string => `${sdp(name)}a=relayed\r\n`

/** A call that is up, through a relay; the first offer and answer are a script's affair. */
function upCall(refuses: string | null = null) {
  const told: string[] = []
  const room = b2buaLab({ latencyMs: 10, media: relay(told, refuses) })
  const { alice, bob, clock } = room
  const a = alice.call('sip:bob@example.com')
  clock.advance(25)
  const b = bob.calls[0] as AgentCall
  b.answer(200, { sdp: sdp('bob') })
  clock.advance(30)
  a.ack()
  clock.advance(30)
  alice.received.length = 0
  bob.received.length = 0
  assert.deepEqual(told, [])
  const end = (): void => {
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
  }
  return { ...room, told, a, b, end }
}

describe('what is agreed on later, through a media relay', () => {
  it('a re-INVITE and its answer', () => {
    const { alice, bob, clock, a, b, told, end } = upCall()
    a.within('INVITE', { sdp: sdp('hold') })
    clock.advance(80)
    const again = bob.lastRequest('INVITE')
    assert.equal(again.body, relayed('hold'))
    b.answer(200, { sdp: sdp('held') }, again)
    clock.advance(80)
    const ok = alice.last('200 INVITE')
    assert.equal(ok.body, relayed('held'))
    if (ok.kind === 'response') a.ack({}, ok)
    clock.advance(30)
    assert.deepEqual(told, ['offer of the caller', 'answer of the callee'])
    end()
  })

  it('an offer that was asked for, answered in the ACK', () => {
    const { alice, bob, clock, a, b, told, end } = upCall()
    b.within('INVITE')
    clock.advance(25)
    a.answer(200, { sdp: sdp('offer') }, alice.lastRequest('INVITE'))
    clock.advance(80)
    const ok = bob.last('200 INVITE')
    assert.equal(ok.body, relayed('offer'))
    if (ok.kind === 'response') b.ack({ sdp: sdp('answer') }, ok)
    clock.advance(80)
    assert.equal(alice.lastRequest('ACK').body, relayed('answer'))
    assert.deepEqual(told, ['offer of the caller', 'answer of the callee'])
    end()
  })

  it('an UPDATE', () => {
    const { alice, bob, clock, b, a, told, end } = upCall()
    b.within('UPDATE', { sdp: sdp('new') })
    clock.advance(80)
    a.answer(200, { sdp: sdp('ok') }, alice.lastRequest('UPDATE'))
    clock.advance(80)
    assert.equal(bob.last('200 UPDATE').body, relayed('ok'))
    assert.deepEqual(told, ['offer of the callee', 'answer of the caller'])
    end()
  })

  it('is refused with 488 when the relay does not take the offer: the other party hears nothing, the call goes on', () => {
    const { alice, bob, clock, a, end } = upCall('offer')
    a.within('INVITE', { sdp: sdp('hold') })
    clock.advance(100)
    assert.equal(alice.got().at(-1), '488 INVITE')
    assert.deepEqual(bob.got(), [])
    end()
  })

  it('is refused with 488 when the relay does not take the answer, which is acknowledged all the same', () => {
    const { alice, bob, clock, a, b, end } = upCall('answer')
    a.within('INVITE', { sdp: sdp('hold') })
    clock.advance(80)
    b.answer(200, { sdp: sdp('held') }, bob.lastRequest('INVITE'))
    clock.advance(100)
    assert.equal(alice.got().at(-1), '488 INVITE')
    assert.ok(bob.got().includes('ACK'))
    end()
  })

  it('is forgotten when either side hangs up while the relay thinks', () => {
    for (const who of ['alice', 'bob'] as const) {
      const room = upCall()
      const { alice, bob, clock, a, b } = room
      a.within('INVITE', { sdp: sdp('hold') })
      clock.advance(30)
      const [leaver, other, call] = who === 'alice' ? [a, b, bob] : [b, a, alice]
      leaver.bye()
      clock.advance(30)
      other.answer(200, {}, call.lastRequest('BYE'))
      clock.advance(100)
      assert.equal(bob.got().includes('INVITE'), false, who)
      assert.equal(alice.got().includes('487 INVITE'), true, who)
      room.assertEmpty()
    }
  })
})

describe('what is agreed on before the answer, through a media relay', () => {
  /** Bob has sent a reliable 183 with an answer; alice has not acknowledged it yet. */
  function early(through: boolean) {
    const told: string[] = []
    const media = (clock: Clock): MediaRelay => ({ ...relay(told)(clock), has: () => through })
    const room = b2buaLab({ latencyMs: 10, media })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com', { headers: { Supported: '100rel' } })
    clock.advance(25)
    const b = bob.calls[0] as AgentCall
    b.reliably(183, { sdp: sdp('bob') })
    clock.advance(25)
    const progress = alice.last('183 INVITE') as Response
    const end = (): void => {
      b.answer(200)
      clock.advance(30)
      a.ack()
      clock.advance(30)
      a.bye()
      clock.advance(30)
      b.answer(200, {}, bob.lastRequest('BYE'))
      room.assertEmpty()
    }
    return { ...room, told, a, b, progress, end }
  }

  it('a PRACK with an offer, and the answer in its 200', () => {
    const { alice, bob, clock, a, b, progress, told, end } = early(true)
    a.prack(progress, { sdp: sdp('more') })
    clock.advance(80)
    assert.equal(bob.lastRequest('PRACK').body, relayed('more'))
    b.answer(200, { sdp: sdp('fine') }, bob.lastRequest('PRACK'))
    clock.advance(80)
    assert.equal(alice.last('200 PRACK').body, relayed('fine'))
    assert.deepEqual(told, ['offer of the caller', 'answer of the callee'])
    end()
  })

  it('an UPDATE of either side', () => {
    const { alice, bob, clock, a, b, progress, told, end } = early(true)
    a.prack(progress)
    clock.advance(25)
    b.answer(200, {}, bob.lastRequest('PRACK'))
    clock.advance(25)
    a.within('UPDATE', { sdp: sdp('new') })
    clock.advance(80)
    assert.equal(bob.lastRequest('UPDATE').body, relayed('new'))
    b.answer(200, { sdp: sdp('ok') }, bob.lastRequest('UPDATE'))
    clock.advance(80)
    assert.equal(alice.last('200 UPDATE').body, relayed('ok'))
    b.within('UPDATE', { sdp: sdp('newer') })
    clock.advance(80)
    assert.equal(alice.lastRequest('UPDATE').body, relayed('newer'))
    a.answer(200, { sdp: sdp('ok') }, alice.lastRequest('UPDATE'))
    clock.advance(80)
    assert.equal(bob.last('200 UPDATE').body, relayed('ok'))
    assert.deepEqual(told, [
      'offer of the caller',
      'answer of the callee',
      'offer of the callee',
      'answer of the caller',
    ])
    end()
  })

  it('crosses as it is where the script has not put the first answer through it', () => {
    const { bob, clock, a, b, progress, told, end } = early(false)
    a.prack(progress, { sdp: sdp('more') })
    clock.advance(25)
    assert.equal(bob.lastRequest('PRACK').body, sdp('more'))
    b.answer(200, { sdp: sdp('fine') }, bob.lastRequest('PRACK'))
    clock.advance(25)
    assert.deepEqual(told, [])
    end()
  })
})

describe('a transfer through a media relay', () => {
  function transfer(refuses: string | null) {
    const told: string[] = []
    const room = b2buaLab({
      latencyMs: 10,
      media: relay(told, refuses),
      script: {
        refer: () => decision({ do: 'transfer', target: 'sip:carol@192.0.2.3:5060', nextHop: null }),
      },
    })
    const { alice, bob, carol, clock } = room
    for (const agent of room.agents) {
      agent.onRequest = (request, call) => {
        if (request.method === 'NOTIFY' || request.method === 'BYE') call?.answer(200, {}, request)
      }
    }
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    const b = bob.calls[0] as AgentCall
    b.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    a.ack()
    a.within('REFER', { headers: { 'Refer-To': '<sip:carol@192.0.2.3:5060>' } })
    clock.advance(40)
    const c = carol.calls[0] as AgentCall
    c.answer(200, { sdp: sdp('carol') })
    clock.advance(80)
    return { ...room, told, b, c }
  }
  const last = ({ received }: Agent, method: string): string =>
    received.findLast((m) => m.kind === 'request' && m.method === method)?.body ?? ''

  it('puts the two who are left through it, as a new pair, and so all that follows', () => {
    const { alice, bob, carol, clock, b, c, told, assertEmpty } = transfer(null)
    assert.equal(last(bob, 'INVITE'), relayed('carol'))
    b.answer(200, { sdp: sdp('bob anew') }, bob.lastRequest('INVITE'))
    clock.advance(80)
    assert.equal(last(carol, 'ACK'), relayed('bob anew'))
    clock.advance(30)
    assert.equal(alice.got().at(-1), 'BYE')
    // Carol is where alice was: the caller.
    c.within('INVITE', { sdp: sdp('hold') })
    clock.advance(80)
    assert.equal(last(bob, 'INVITE'), relayed('hold'))
    b.answer(200, { sdp: sdp('held') }, bob.lastRequest('INVITE'))
    clock.advance(80)
    assert.equal(carol.last('200 INVITE').body, relayed('held'))
    c.ack({}, carol.last('200 INVITE') as Response)
    c.bye()
    clock.advance(50)
    assertEmpty()
    assert.deepEqual(told, [
      'offer of the caller, pair 1',
      'answer of the callee, pair 1',
      'pair 1 stays',
      'offer of the caller, pair 1',
      'answer of the callee, pair 1',
    ])
  })

  it('comes to nothing when the relay does not take the newcomer: the call goes on as it was', () => {
    const { alice, bob, carol, clock, told, assertEmpty } = transfer('offer')
    clock.advance(80)
    assert.deepEqual(carol.got().slice(-2), ['ACK', 'BYE'])
    assert.equal(bob.got().includes('INVITE') && bob.calls.length === 1, true)
    assert.equal(bob.got().filter((m) => m === 'INVITE').length, 1)
    assert.match(last(alice, 'NOTIFY'), /488/)
    assert.deepEqual(told, ['offer of the caller, pair 1', 'pair 1 goes'])
    alice.calls[0]?.bye()
    clock.advance(50)
    assertEmpty()
  })

  it('tells the party that stays of the one before, when the relay does not take its answer', () => {
    const { alice, bob, carol, clock, b, told, assertEmpty } = transfer('answer')
    b.answer(200, { sdp: sdp('bob anew') }, bob.lastRequest('INVITE'))
    clock.advance(120)
    assert.deepEqual(carol.got().slice(-2), ['ACK', 'BYE'])
    assert.equal(last(bob, 'INVITE'), sdp('alice'))
    b.answer(200, { sdp: sdp('bob again') }, bob.lastRequest('INVITE'))
    clock.advance(50)
    assert.match(last(alice, 'NOTIFY'), /488/)
    assert.deepEqual(told, ['offer of the caller, pair 1', 'answer of the callee, pair 1', 'pair 1 goes'])
    alice.calls[0]?.bye()
    clock.advance(50)
    assertEmpty()
  })
})
