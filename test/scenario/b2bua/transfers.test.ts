import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sdp, type AgentCall } from '../../support/agent.ts'
import { b2buaLab, decision, dial } from '../../support/b2bua-lab.ts'

/** What `who` says, in the name of another one. */
const as = (name: string, version: number, who: string): string =>
  sdp(who).replace('1 1 IN IP4 lab', `1 ${version} IN IP4 ${name}`)
/** In one's own. */
const own = (name: string, what = name): string => sdp(what, name)

describe('transfers', () => {
  /** alice and bob talk. */
  function talking() {
    const room = b2buaLab({
      latencyMs: 10,
      agents: ['alice', 'bob', 'carol'],
      script: {
        invite: (job) => dial([/carol/.test(job.request.uri) ? 'carol' : 'bob'])(),
        refer: () => decision({ do: 'transfer', target: null, nextHop: null }),
      },
    })
    const { alice, bob, clock } = room
    for (const agent of room.agents) {
      // What is not the test's to decide.
      agent.onRequest = (request, call) => {
        if (request.method === 'NOTIFY' || request.method === 'BYE') call?.answer(200, {}, request)
      }
    }
    const a = alice.call('sip:bob@example.com', { sdp: own('alice') })
    clock.advance(25)
    const b = bob.calls[0] as AgentCall
    b.answer(200, { sdp: own('bob') })
    clock.advance(30)
    a.ack()
    clock.advance(30)
    return { ...room, a, b }
  }
  const frags = (agent: { received: { kind: string; body: string; cseq: { method: string } }[] }): string[] =>
    agent.received.filter((m) => m.kind === 'request' && m.cseq.method === 'NOTIFY').map((m) => m.body.trim())

  it('blind: the callee is put through, the transferor hears of it and is hung up', () => {
    const room = talking()
    const { alice, bob, carol, clock, a, b, records } = room
    const party = () => room.calls.page(null, 1).views[0]?.bParty
    a.within('REFER', { headers: { 'Refer-To': '<sip:carol@192.0.2.3:5060>' } })
    clock.advance(40)
    assert.equal(party(), 'sip:bob@192.0.2.2:5060')
    assert.ok(alice.got().includes('202 REFER'))
    const invite = carol.lastRequest('INVITE')
    assert.equal(invite.body, '')
    carol.calls[0]?.answer(180)
    carol.calls[0]?.answer(200, { sdp: own('carol') })
    clock.advance(30)
    assert.equal(party(), 'sip:carol@192.0.2.3:5060')
    // RFC 3264 §8: in the name of alice, whom bob has talked to.
    assert.equal(bob.lastRequest('INVITE').body, as('alice', 2, 'carol'))
    b.answer(200, { sdp: own('bob', 'bob again') }, bob.lastRequest('INVITE'))
    clock.advance(60)
    assert.equal(carol.lastRequest('ACK').body, own('bob', 'bob again'))
    assert.deepEqual(frags(alice), ['SIP/2.0 100 Trying', 'SIP/2.0 200 OK'])
    assert.equal(alice.got().at(-1), 'BYE')
    assert.equal(bob.got().includes('BYE'), false)
    b.within('INFO')
    clock.advance(30)
    assert.equal(carol.got().at(-1), 'INFO')
    carol.calls[0]?.answer(200, {}, carol.lastRequest('INFO'))
    carol.calls[0]?.bye()
    clock.advance(60)
    assert.equal(bob.got().at(-1), 'BYE')
    room.assertEmpty()
    assert.deepEqual(
      records.map((r) => [r.legs.length, r.disconnectInitiator]),
      [[2, 'caller']],
    )
  })

  it('blind, to somebody who is busy: the transferor hears 486, and the call goes on', () => {
    const room = talking()
    const { alice, bob, carol, clock, a, b } = room
    a.within('REFER', { headers: { 'Refer-To': '<sip:carol@192.0.2.3:5060>' } })
    clock.advance(40)
    carol.calls[0]?.answer(486)
    clock.advance(40)
    assert.deepEqual(frags(alice), ['SIP/2.0 100 Trying', 'SIP/2.0 486 Busy Here'])
    b.bye()
    clock.advance(30)
    assert.equal(alice.got().at(-1), 'BYE')
    assert.ok(bob.got().includes('200 BYE'))
    room.assertEmpty()
  })

  it('attended: of two calls of the transferor one is left, with the other two', () => {
    const room = talking()
    const { alice, bob, carol, clock, a, b, records } = room
    const second = alice.call('sip:carol@example.com', { sdp: own('alice') })
    clock.advance(25)
    const c = carol.calls[0] as AgentCall
    c.answer(200, { sdp: own('carol') })
    clock.advance(30)
    second.ack()
    clock.advance(30)
    const to = `<sip:carol@192.0.2.3?Replaces=${encodeURIComponent(second.replaces)}>`
    a.within('REFER', { headers: { 'Refer-To': to } })
    clock.advance(25)
    // Carol is asked for an offer, bob gets it, she his answer.
    assert.equal(carol.lastRequest('INVITE').body, '')
    c.answer(200, { sdp: own('carol', 'carol anew') }, carol.lastRequest('INVITE'))
    clock.advance(25)
    assert.equal(bob.lastRequest('INVITE').body, as('alice', 2, 'carol anew'))
    b.answer(200, { sdp: own('bob', 'bob anew') }, bob.lastRequest('INVITE'))
    clock.advance(60)
    assert.equal(carol.lastRequest('ACK').body, as('alice', 2, 'bob anew'))
    assert.deepEqual(frags(alice), ['SIP/2.0 100 Trying', 'SIP/2.0 200 OK'])
    assert.equal(alice.got().filter((m) => m === 'BYE').length, 2)
    assert.equal(records.length, 1)
    c.bye()
    clock.advance(40)
    assert.equal(bob.got().at(-1), 'BYE')
    room.assertEmpty()
    assert.equal(records.length, 2)
    // Each leg of ours is counted once, also the one that went from one call to the other.
    assert.deepEqual(
      room.legs.map((l) => l.result),
      ['answered', 'answered'],
    )
  })

  it('without a handler: 603', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com', { sdp: own('alice') })
    clock.advance(25)
    bob.calls[0]?.answer(200, { sdp: own('bob') })
    clock.advance(30)
    a.ack()
    a.within('REFER', { headers: { 'Refer-To': '<sip:carol@192.0.2.3:5060>' } })
    clock.advance(30)
    assert.equal(alice.got().at(-1), '603 REFER')
    a.bye()
    clock.advance(30)
    bob.calls[0]?.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
  })

  it('the transferor leaves before it knows: the others go on', () => {
    const room = talking()
    const { bob, carol, clock, a, b } = room
    a.within('REFER', { headers: { 'Refer-To': '<sip:carol@192.0.2.3:5060>' } })
    clock.advance(40)
    a.bye()
    clock.advance(40)
    assert.equal(bob.got().includes('BYE'), false)
    carol.calls[0]?.answer(200, { sdp: own('carol') })
    clock.advance(30)
    b.answer(200, { sdp: own('bob', 'bob again') }, bob.lastRequest('INVITE'))
    clock.advance(60)
    b.bye()
    clock.advance(60)
    assert.equal(carol.got().at(-1), 'BYE')
    room.assertEmpty()
  })
})
