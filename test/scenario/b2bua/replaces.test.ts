import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { MediaRelay } from '../../../src/core/b2bua/call-media.ts'
import type { Response } from '../../../src/sip/message/message.ts'
import { sdp, type Agent, type AgentCall } from '../../support/agent.ts'
import { b2buaLab, decision, dial, type B2buaLabOptions } from '../../support/b2bua-lab.ts'

/** INVITEs with Replaces, from outside (RFC 3891). carol comes in the place of somebody in a call of alice and bob. */

function room(more: Partial<B2buaLabOptions> = {}) {
  const made = b2buaLab({
    latencyMs: 10,
    script: {
      invite: (job) => (job.call?.replaces === true ? decision({ do: 'takeover' }) : dial(['bob'])()),
    },
    ...more,
  })
  for (const agent of made.agents) {
    agent.onRequest = (request, call) => {
      if (request.method === 'BYE') call?.answer(200, {}, request)
    }
  }
  const a = made.alice.call('sip:bob@example.com', { sdp: sdp('alice', 'alice') })
  made.clock.advance(25)
  return { ...made, a, b: made.bob.calls[0] as AgentCall }
}

function talking(more: Partial<B2buaLabOptions> = {}) {
  const made = room(more)
  const { a, b, clock } = made
  b.answer(200, { sdp: sdp('bob', 'bob') })
  clock.advance(30)
  a.ack()
  clock.advance(30)
  return made
}

/** What the other side must say to mean this party's dialog with us. */
function of(call: AgentCall): string {
  const { dialog } = call
  return `${call.invite.callId};to-tag=${dialog?.remoteTag};from-tag=${dialog?.localTag}`
}

const replacing = (call: AgentCall, more = '') => ({
  sdp: sdp('carol', 'carol'),
  headers: { Replaces: `${of(call)}${more}`, Require: 'replaces' },
})
const got = (agent: Agent, what: string): number => agent.got().filter((m) => m === what).length

describe('an INVITE with Replaces', () => {
  it('puts the newcomer in the place of the callee: the caller is told, the callee hung up', () => {
    const { alice, bob, carol, clock, a, b, records, assertEmpty } = talking()
    const c = carol.call('sip:alice@example.com', replacing(b))
    clock.advance(25)
    const reinvite = alice.lastRequest('INVITE')
    // In the name of bob, whom alice has talked to (RFC 3264 §8).
    assert.equal(reinvite.body, sdp('carol').replace('1 1 IN IP4 lab', '1 2 IN IP4 bob'))
    assert.equal(reinvite.headers.has('replaces'), false)
    a.answer(200, { sdp: sdp('alice anew', 'alice') }, reinvite)
    clock.advance(30)
    const ok = carol.last('200 INVITE')
    assert.equal(ok.body, sdp('alice anew', 'alice'))
    c.ack()
    clock.advance(30)
    assert.deepEqual([got(bob, 'BYE'), got(alice, 'BYE'), got(carol, 'BYE')], [1, 0, 0])
    // The first call has its record; who talks now is the second one's.
    assert.deepEqual(
      records.map((r) => [r.callId, r.disconnectInitiator]),
      [[a.invite.callId, 'server']],
    )
    c.within('INFO')
    clock.advance(30)
    a.answer(200, {}, alice.lastRequest('INFO'))
    a.bye()
    clock.advance(50)
    assert.equal(got(carol, 'BYE'), 1)
    assertEmpty()
    assert.deepEqual(
      records.slice(1).map((r) => [r.callId, r.responseCode, r.legs, r.disconnectInitiator]),
      [[c.invite.callId, 200, [a.invite.callId], 'callee']],
    )
  })

  it('in the place of the caller, without an offer: it comes with the 200, and is answered in the ACK', () => {
    const { alice, bob, carol, clock, a, b, assertEmpty } = talking()
    const c = carol.call('sip:bob@example.com', { ...replacing(a), sdp: null })
    clock.advance(25)
    assert.equal(bob.lastRequest('INVITE').body, '')
    b.answer(200, { sdp: sdp('bob anew', 'bob') }, bob.lastRequest('INVITE'))
    clock.advance(30)
    assert.equal(carol.last('200 INVITE').body, sdp('bob anew', 'bob'))
    c.ack({ sdp: sdp('carol', 'carol') })
    clock.advance(30)
    assert.equal(bob.lastRequest('ACK').body, sdp('carol').replace('1 1 IN IP4 lab', '1 2 IN IP4 alice'))
    assert.deepEqual([got(alice, 'BYE'), got(bob, 'BYE')], [1, 0])
    c.bye()
    clock.advance(50)
    assert.equal(got(bob, 'BYE'), 1)
    assertEmpty()
  })

  it('is refused when the party that stays does not want it: the two go on', () => {
    const { alice, carol, clock, a, b, assertEmpty } = talking()
    carol.call('sip:alice@example.com', replacing(b))
    clock.advance(25)
    a.answer(488, {}, alice.lastRequest('INVITE'))
    clock.advance(30)
    assert.equal(carol.got().at(-1), '488 INVITE')
    b.bye()
    clock.advance(50)
    assert.equal(got(alice, 'BYE'), 1)
    assertEmpty()
  })

  it('is cancelled while the party that stays is asked: it is told of the one before', () => {
    const { alice, carol, clock, a, b, records, assertEmpty } = talking()
    const c = carol.call('sip:alice@example.com', replacing(b))
    clock.advance(25)
    c.cancel()
    clock.advance(25)
    assert.equal(carol.got().at(-1), '487 INVITE')
    a.answer(200, { sdp: sdp('alice anew', 'alice') }, alice.lastRequest('INVITE'))
    clock.advance(50)
    assert.equal(alice.lastRequest('INVITE').body, sdp('bob').replace('1 1 IN IP4 lab', '1 3 IN IP4 bob'))
    a.answer(200, { sdp: sdp('alice again', 'alice') }, alice.lastRequest('INVITE'))
    clock.advance(50)
    a.bye()
    clock.advance(50)
    assertEmpty()
    assert.deepEqual(
      records.map((r) => r.responseCode),
      [487, 200],
    )
  })

  it('names a call that ends meanwhile: 481', () => {
    const { alice, carol, clock, a, b, assertEmpty } = talking()
    carol.call('sip:alice@example.com', replacing(b))
    clock.advance(25)
    b.bye()
    clock.advance(25)
    assert.equal(carol.got().at(-1), '481 INVITE')
    a.answer(200, { sdp: sdp('late', 'alice') }, alice.lastRequest('INVITE'))
    clock.advance(50)
    assertEmpty()
  })

  it('names no call of ours: 481; for early dialogs only, one that is answered: 486', () => {
    const { carol, clock, a, b, assertEmpty } = talking()
    const { Replaces } = replacing(b).headers
    for (const [value, status] of [
      [`${Replaces};early-only`, 486],
      [Replaces.replace('from-tag=', 'from-tag=x'), 481],
      ['nobody;to-tag=1;from-tag=2', 481],
      [Replaces.replace(/;from-tag.*/, ''), 481],
      ['', 481],
    ] as const) {
      carol.call('sip:alice@example.com', { headers: { Replaces: value } })
      clock.advance(25)
      assert.equal(carol.got().at(-1), `${status} INVITE`, value)
    }
    a.bye()
    b.bye()
    clock.advance(50)
    assertEmpty()
  })

  it('that the script does not take is a new call like any other', () => {
    const { bob, carol, clock, a, b, assertEmpty } = talking({ script: {} })
    const { Replaces } = replacing(a).headers
    carol.call('sip:bob@example.com', { headers: { Replaces } })
    clock.advance(25)
    const second = bob.calls[1] as AgentCall
    assert.equal(second.invite.headers.has('replaces'), false)
    second.answer(486)
    clock.advance(30)
    assert.equal(carol.got().at(-1), '486 INVITE')
    // Unless it insists.
    carol.call('sip:bob@example.com', replacing(a))
    clock.advance(25)
    assert.equal(carol.got().at(-1), '420 INVITE')
    b.bye()
    clock.advance(50)
    assertEmpty()
  })
})

describe('a call pickup', () => {
  it('takes the place of a callee that rings: the two are connected, the callee is cancelled', () => {
    const { alice, bob, carol, clock, a, b, records, assertEmpty } = room()
    b.answer(180)
    clock.advance(25)
    const c = carol.call('sip:alice@example.com', replacing(b, ';early-only'))
    clock.advance(30)
    assert.equal(carol.last('200 INVITE').body, sdp('alice', 'alice'))
    assert.equal(alice.last('200 INVITE').body, sdp('carol', 'carol'))
    c.ack()
    a.ack()
    clock.advance(30)
    assert.equal(got(bob, 'CANCEL'), 1)
    assert.match(bob.lastRequest('CANCEL').headers.first('reason') ?? '', /Call completed elsewhere/)
    a.within('INFO')
    clock.advance(30)
    c.answer(200, {}, carol.lastRequest('INFO'))
    clock.advance(30)
    assert.equal(alice.got().at(-1), '200 INFO')
    c.bye()
    clock.advance(50)
    assert.equal(got(alice, 'BYE'), 1)
    assertEmpty()
    // The pickup's own attempt was answered, and went on as alice's call.
    assert.deepEqual(
      records.map((r) => [r.callId, r.responseCode, r.disconnectInitiator]),
      [
        [c.invite.callId, 200, 'server'],
        [a.invite.callId, 200, 'callee'],
      ],
    )
  })

  it('with other media than was offered: 488, and it rings on', () => {
    const { alice, carol, clock, a, b, assertEmpty } = room()
    b.answer(180)
    clock.advance(25)
    carol.call('sip:alice@example.com', {
      ...replacing(b),
      sdp: `${sdp('carol')}m=video 4002 RTP/AVP 96\r\n`,
    })
    clock.advance(30)
    assert.equal(carol.got().at(-1), '488 INVITE')
    b.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    assert.equal(alice.got().at(-1), '200 INVITE')
    a.ack()
    a.bye()
    clock.advance(50)
    assertEmpty()
  })

  it('as the callee answers: one of the two has the call, the other one is refused', () => {
    const { alice, bob, carol, clock, a, b, assertEmpty } = room({ thinks: 5 })
    b.answer(180)
    clock.advance(25)
    carol.call('sip:alice@example.com', replacing(b, ';early-only'))
    b.answer(200, { sdp: sdp('bob') })
    clock.advance(40)
    assert.equal(alice.last('200 INVITE').body, sdp('bob'))
    assert.match(carol.got().at(-1) ?? '', /^4(81|86) INVITE/)
    a.ack()
    a.bye()
    clock.advance(50)
    assert.equal(got(bob, 'BYE'), 1)
    assertEmpty()
  })
})

describe('a caller behind a NAT who is put through to somebody else', () => {
  it('is reached where it called from in the call that it is in then', () => {
    const made = b2buaLab({
      latencyMs: 10,
      script: {
        invite: (job) => (job.call?.replaces === true ? decision({ do: 'takeover' }) : dial(['bob'])()),
      },
    })
    const { alice, bob, carol, clock } = made
    alice.hide('10.0.0.1')
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    const b = bob.calls[0] as AgentCall
    b.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    a.ack()
    clock.advance(30)
    const c = carol.call('sip:alice@example.com', { sdp: sdp('carol'), headers: { Replaces: of(b) } })
    clock.advance(25)
    a.answer(200, { sdp: sdp('alice anew') }, alice.lastRequest('INVITE'))
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    c.ack()
    // The first call has been forgotten.
    clock.advance(40_000)
    c.bye()
    clock.advance(30)
    assert.equal(got(alice, 'BYE'), 1, made.ladder())
    a.answer(200, {}, alice.lastRequest('BYE'))
    made.assertEmpty()
  })
})

describe('an INVITE with Replaces, through a media relay', () => {
  it('the answer of the party that stays is put through, as the first one of the new call', () => {
    const told: string[] = []
    const media: B2buaLabOptions['media'] = (clock): MediaRelay => ({
      has: () => true,
      awaited: () => null,
      paired: () => undefined,
      exchange: (callId, { what, from, pair }, text, done) => {
        told.push(`${callId} ${what} of the ${from}, pair ${pair}`)
        clock.startTimer(50, () => done(`${text}a=relayed\r\n`))
      },
    })
    const { alice, carol, clock, a, b, assertEmpty } = talking({ media })
    const c = carol.call('sip:alice@example.com', replacing(b))
    clock.advance(25)
    a.answer(200, { sdp: sdp('alice anew', 'alice') }, alice.lastRequest('INVITE'))
    clock.advance(90)
    const ok = carol.last('200 INVITE') as Response
    assert.equal(ok.body, `${sdp('alice anew', 'alice')}a=relayed\r\n`)
    assert.deepEqual(told, [`${c.invite.callId} answer of the callee, pair 0`])
    c.ack()
    c.bye()
    clock.advance(50)
    assertEmpty()
  })
})
