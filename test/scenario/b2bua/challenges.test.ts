import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sdp, type AgentCall } from '../../support/agent.ts'
import { b2buaLab, dial } from '../../support/b2bua-lab.ts'

const challenge = (nonce: string, realm = 'carrier') => ({
  headers: { 'Proxy-Authenticate': `Digest realm="${realm}", nonce="${nonce}", algorithm=MD5` },
})

/** alice talks to bob, a carrier that has challenged the INVITE when `nonce` is given. */
function talking(nonce: string | null, realm: string | null = null) {
  const credentials = { user: 'trunk', password: 'secret', realm }
  const room = b2buaLab({ latencyMs: 10, script: { invite: dial(['bob'], { credentials }) } })
  const { alice, bob, clock } = room
  const a = alice.call('sip:bob@example.com')
  clock.advance(25)
  if (nonce !== null) bob.calls[0]?.answer(407, challenge(nonce))
  clock.advance(25)
  const b = bob.calls.at(-1) as AgentCall
  b.answer(200, { sdp: sdp('bob') })
  clock.advance(30)
  a.ack()
  clock.advance(30)
  alice.received.length = 0
  const proof = (what: string): string => bob.lastRequest(what).headers.first('proxy-authorization') ?? ''
  return { ...room, a, b, proof }
}

describe('a challenge of a later request', () => {
  it('by the realm that challenged the INVITE is answered here, whatever the request: the caller hears nothing of it', () => {
    const { alice, bob, clock, a, b, proof, assertEmpty } = talking('n1')
    // §22.1: the ACK has what the INVITE had.
    assert.match(proof('ACK'), /nonce="n1"/)
    for (const [i, method] of (['INVITE', 'INFO', 'UPDATE'] as const).entries()) {
      a.within(method, method === 'INFO' ? {} : { sdp: sdp(method) })
      clock.advance(30)
      const first = bob.lastRequest(method)
      assert.equal(proof(method), '')
      b.answer(407, challenge(`m${i}`), first)
      clock.advance(30)
      const again = bob.lastRequest(method)
      assert.match(proof(method), new RegExp(`username="trunk", realm="carrier", nonce="m${i}"`))
      assert.equal(again.cseq.number, first.cseq.number + 1)
      b.answer(200, method === 'INFO' ? {} : { sdp: sdp('bob') }, again)
      clock.advance(30)
      assert.equal(alice.got().at(-1), `200 ${method}`)
      if (method === 'INVITE') {
        const ok = alice.last('200 INVITE')
        if (ok.kind === 'response') a.ack({}, ok)
        clock.advance(30)
        assert.match(proof('ACK'), /nonce="m0"/)
      }
    }
    // A BYE, too, or the carrier would think that the call goes on.
    a.bye()
    clock.advance(30)
    b.answer(407, challenge('m9'), bob.lastRequest('BYE'))
    clock.advance(30)
    assert.match(proof('BYE'), /nonce="m9"/)
    b.answer(200, {}, bob.lastRequest('BYE'))
    clock.advance(30)
    assert.deepEqual(
      alice.got().filter((m) => m.startsWith('4')),
      [],
    )
    assertEmpty()
  })

  it('whose answer is refused goes to the party that caused it', () => {
    const { alice, bob, clock, a, b, assertEmpty } = talking('n1')
    a.within('INFO')
    clock.advance(30)
    b.answer(407, challenge('m1'), bob.lastRequest('INFO'))
    clock.advance(30)
    b.answer(407, challenge('m1'), bob.lastRequest('INFO'))
    clock.advance(30)
    assert.equal(alice.got().at(-1), '407 INFO')
    assert.equal(bob.got().filter((m) => m === 'INFO').length, 2)
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    assertEmpty()
  })

  it('by another realm, or by one that has never asked before, gets no credentials', () => {
    for (const [nonce, named] of [
      ['n1', null],
      [null, null],
      [null, 'carrier'],
    ] as const) {
      const { alice, bob, clock, a, b, assertEmpty } = talking(nonce, named)
      a.within('INFO')
      clock.advance(30)
      b.answer(407, challenge('m1', 'elsewhere'), bob.lastRequest('INFO'))
      clock.advance(30)
      assert.equal(alice.got().at(-1), '407 INFO')
      assert.equal(bob.got().filter((m) => m === 'INFO').length, 1)
      a.bye()
      clock.advance(30)
      b.answer(200, {}, bob.lastRequest('BYE'))
      assertEmpty()
    }
  })

  it('by a realm that the script has named, from one who did not ask in answer to the INVITE, is not answered', () => {
    const { alice, bob, clock, a, b, assertEmpty } = talking(null, 'carrier')
    a.within('INFO')
    clock.advance(30)
    b.answer(407, challenge('m1'), bob.lastRequest('INFO'))
    clock.advance(30)
    for (const message of bob.received) assert.equal(message.headers.has('proxy-authorization'), false)
    assert.equal(alice.got().at(-1), '407 INFO')
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    assertEmpty()
  })

  it('of the caller never gets the credentials of the callee', () => {
    const { alice, bob, clock, a, b, assertEmpty } = talking('n1', 'carrier')
    b.within('INFO')
    clock.advance(30)
    a.answer(407, challenge('m1'), alice.lastRequest('INFO'))
    clock.advance(30)
    assert.equal(alice.got().filter((m) => m === 'INFO').length, 1)
    assert.equal(bob.got().at(-1), '407 INFO')
    for (const message of alice.received) assert.equal(message.headers.has('proxy-authorization'), false)
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    assertEmpty()
  })

  it('without its challenge, which the strict list keeps back, is a refusal', () => {
    const room = b2buaLab({ latencyMs: 10, script: { invite: dial(['bob'], { policy: 'strict' }) } })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    const b = bob.calls[0] as AgentCall
    b.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    a.ack()
    a.within('INFO')
    clock.advance(30)
    b.answer(401, challenge('x'), bob.lastRequest('INFO'))
    clock.advance(30)
    assert.equal(alice.got().at(-1), '403 INFO')
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
  })
})
