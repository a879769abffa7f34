import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { MediaRelay } from '../../../src/core/b2bua/live-call.ts'
import { sdp, type AgentCall } from '../../support/agent.ts'
import { b2buaLab } from '../../support/b2bua-lab.ts'

/** Marks what passes it, 50 ms later; or gives nothing for what `refuses` names. */
function relay(told: string[], refuses: string | null = null) {
  return (clock: { startTimer(ms: number, fire: () => void): unknown }): MediaRelay => ({
    has: () => true,
    exchange: (what, _callId, from, text, done) => {
      told.push(`${what} of the ${from}`)
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
