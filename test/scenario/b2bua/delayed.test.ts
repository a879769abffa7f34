import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Response } from '../../../src/sip/message/message.ts'
import { sdp } from '../../support/agent.ts'
import { ALL, call, relayed } from '../../support/delayed-call.ts'

describe('a call without an offer, with media', () => {
  it('has the offer of the 200 and the answer of the ACK anchored, each with the flags of the side that sees it', async () => {
    const { alice, bob, clock, a, b, asked, commands, over } = call({ profile: 'rtp_to_srtp' })
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(25)
    assert.equal(alice.last('200 INVITE').body, relayed('offer'))
    a.ack({ sdp: sdp('answer') })
    clock.advance(25)
    assert.equal(bob.lastRequest('ACK').body, relayed('answer'))
    a.bye()
    clock.advance(25)
    await over(`
       0  alice  → siphon  INVITE
      10  siphon → alice   100 INVITE
      10  siphon → bob     INVITE
      25  bob    → siphon  200 INVITE
      36  siphon → alice   200 INVITE
      50  alice  → siphon  ACK
      61  siphon → bob     ACK
      75  alice  → siphon  BYE
      85  siphon → alice   200 BYE
      85  siphon → bob     BYE
      95  bob    → siphon  200 BYE`)
    assert.deepEqual(asked(), ALL)
    // The caller speaks RTP/AVP; the callee has its answer in what it has offered (RFC 3264 §6).
    assert.equal(commands[0]?.['transport-protocol'], 'RTP/AVP')
    assert.equal(commands[1]?.['transport-protocol'], undefined)
  })

  it('offers the caller the protocol that the profile knows it to speak', () => {
    for (const [profile, protocol] of [
      ['srtp_to_rtp', 'RTP/SAVP'],
      ['ws_to_rtp', 'UDP/TLS/RTP/SAVPF'],
    ] as const) {
      const { clock, a, b, commands, assertEmpty } = call({ profile })
      b.answer(200, { sdp: sdp('offer') })
      clock.advance(25)
      a.ack({ sdp: sdp('answer') })
      clock.advance(25)
      a.bye()
      assertEmpty()
      assert.equal(commands[0]?.['transport-protocol'], protocol)
    }
  })

  it('goes through once when the script puts the 200 through by itself', async () => {
    const { alice, bob, clock, a, b, asked, over } = call({ answers: true })
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(40)
    assert.equal(alice.last('200 INVITE').body, relayed('offer'))
    a.ack({ sdp: sdp('answer') })
    clock.advance(25)
    assert.equal(bob.lastRequest('ACK').body, relayed('answer'))
    a.bye()
    clock.advance(25)
    await over(`
        0  alice  → siphon  INVITE
       15  siphon → alice   100 INVITE
       15  siphon → bob     INVITE
       25  bob    → siphon  200 INVITE
       40  siphon → alice   200 INVITE
       65  alice  → siphon  ACK
       76  siphon → bob     ACK
       90  alice  → siphon  BYE
      100  siphon → alice   200 BYE
      100  siphon → bob     BYE
      110  bob    → siphon  200 BYE`)
    assert.deepEqual(asked(), ALL)
  })

  for (const answers of [false, true]) {
    it(`has the offer of a reliable 183 and the answer of the PRACK anchored${answers ? ', by the script' : ''}`, async () => {
      const { alice, bob, clock, a, b, asked, over } = call({ answers, headers: { Supported: '100rel' } })
      b.reliably(183, { sdp: sdp('offer') })
      clock.advance(30)
      const early = alice.last('183 INVITE') as Response
      assert.equal(early.body, relayed('offer'))
      a.prack(early, { sdp: sdp('answer') })
      clock.advance(30)
      assert.equal(bob.lastRequest('PRACK').body, relayed('answer'))
      b.answer(200, {}, bob.lastRequest('PRACK'))
      // Said again, as many do: it is of no consequence, and must not show where the callee is.
      b.answer(200, { sdp: sdp('offer') })
      clock.advance(30)
      assert.equal(alice.last('200 INVITE').body, '')
      assert.equal(bob.lastRequest('ACK').body, '')
      a.ack()
      clock.advance(30)
      a.bye()
      await over(
        answers
          ? `
          0  alice  → siphon  INVITE
         15  siphon → alice   100 INVITE
         15  siphon → bob     INVITE
         25  bob    → siphon  183 INVITE
         40  siphon → alice   183 INVITE
         55  alice  → siphon  PRACK
         66  siphon → bob     PRACK
         85  bob    → siphon  200 PRACK
         85  bob    → siphon  200 INVITE
         95  siphon → alice   200 PRACK
         95  siphon → bob     ACK
        100  siphon → alice   200 INVITE
        115  alice  → siphon  ACK
        145  alice  → siphon  BYE
        155  siphon → alice   200 BYE
        155  siphon → bob     BYE
        165  bob    → siphon  200 BYE`
          : `
          0  alice  → siphon  INVITE
         10  siphon → alice   100 INVITE
         10  siphon → bob     INVITE
         25  bob    → siphon  183 INVITE
         36  siphon → alice   183 INVITE
         55  alice  → siphon  PRACK
         66  siphon → bob     PRACK
         85  bob    → siphon  200 PRACK
         85  bob    → siphon  200 INVITE
         95  siphon → alice   200 PRACK
         95  siphon → bob     ACK
         95  siphon → alice   200 INVITE
        115  alice  → siphon  ACK
        145  alice  → siphon  BYE
        155  siphon → alice   200 BYE
        155  siphon → bob     BYE
        165  bob    → siphon  200 BYE`,
      )
      assert.deepEqual(asked(), ALL)
    })
  }
})

describe('what the two agree on after it', () => {
  /** Up, with its media held. */
  const up = () => {
    const made = call()
    made.b.answer(200, { sdp: sdp('offer') })
    made.clock.advance(25)
    made.a.ack({ sdp: sdp('answer') })
    made.clock.advance(25)
    made.clearLadder()
    return made
  }

  it('is put through as in any call: an offer of the caller', async () => {
    const { alice, bob, clock, a, b, asked, over } = up()
    a.within('INVITE', { sdp: sdp('hold') })
    clock.advance(30)
    assert.equal(bob.lastRequest('INVITE').body, relayed('hold'))
    b.answer(200, { sdp: sdp('held') }, bob.lastRequest('INVITE'))
    clock.advance(30)
    assert.equal(alice.last('200 INVITE').body, relayed('held'))
    a.ack({}, alice.last('200 INVITE') as Response)
    clock.advance(30)
    a.bye()
    await over(`
       75  alice  → siphon  INVITE
       86  siphon → bob     INVITE
      105  bob    → siphon  200 INVITE
      115  siphon → bob     ACK
      116  siphon → alice   200 INVITE
      135  alice  → siphon  ACK
      165  alice  → siphon  BYE
      175  siphon → alice   200 BYE
      175  siphon → bob     BYE
      185  bob    → siphon  200 BYE`)
    const again = ['offer caller callee', 'answer caller callee']
    assert.deepEqual(asked(), [...ALL.slice(0, 2), ...again, ...ALL.slice(2)])
  })

  it('and a re-INVITE that has no offer either, of the caller', async () => {
    const { alice, bob, clock, a, b, asked, over } = up()
    a.within('INVITE')
    clock.advance(25)
    assert.equal(bob.lastRequest('INVITE').body, '')
    b.answer(200, { sdp: sdp('again') }, bob.lastRequest('INVITE'))
    clock.advance(25)
    assert.equal(alice.last('200 INVITE').body, relayed('again'))
    a.ack({ sdp: sdp('yes') }, alice.last('200 INVITE') as Response)
    clock.advance(25)
    assert.equal(bob.lastRequest('ACK').body, relayed('yes'))
    a.bye()
    await over(`
       75  alice  → siphon  INVITE
       85  siphon → bob     INVITE
      100  bob    → siphon  200 INVITE
      111  siphon → alice   200 INVITE
      125  alice  → siphon  ACK
      136  siphon → bob     ACK
      150  alice  → siphon  BYE
      160  siphon → alice   200 BYE
      160  siphon → bob     BYE
      170  bob    → siphon  200 BYE`)
    const again = ['offer callee caller', 'answer callee caller']
    assert.deepEqual(asked(), [...ALL.slice(0, 2), ...again, ...ALL.slice(2)])
  })

  it('and of the callee', async () => {
    const { alice, bob, clock, a, b, asked, over } = up()
    b.within('INVITE')
    clock.advance(25)
    assert.equal(alice.lastRequest('INVITE').body, '')
    a.answer(200, { sdp: sdp('again') }, alice.lastRequest('INVITE'))
    clock.advance(25)
    assert.equal(bob.last('200 INVITE').body, relayed('again'))
    b.ack({ sdp: sdp('yes') }, bob.last('200 INVITE') as Response)
    clock.advance(25)
    assert.equal(alice.lastRequest('ACK').body, relayed('yes'))
    a.bye()
    await over(`
       75  bob    → siphon  INVITE
       85  siphon → alice   INVITE
      100  alice  → siphon  200 INVITE
      111  siphon → bob     200 INVITE
      125  bob    → siphon  ACK
      136  siphon → alice   ACK
      150  alice  → siphon  BYE
      160  siphon → alice   200 BYE
      160  siphon → bob     BYE
      170  bob    → siphon  200 BYE`)
    const again = ['offer caller callee', 'answer caller callee']
    assert.deepEqual(asked(), [...ALL.slice(0, 2), ...again, ...ALL.slice(2)])
  })

  it('has no answer in the ACK of a re-INVITE: that is between the two, and the call goes on', async () => {
    const { alice, bob, clock, a, b, over } = up()
    a.within('INVITE')
    clock.advance(25)
    b.answer(200, { sdp: sdp('again') }, bob.lastRequest('INVITE'))
    clock.advance(25)
    a.ack({}, alice.last('200 INVITE') as Response)
    clock.advance(25)
    assert.equal(bob.lastRequest('ACK').body, '')
    clock.advance(60_000)
    b.bye()
    await over(`
         75  alice  → siphon  INVITE
         85  siphon → bob     INVITE
        100  bob    → siphon  200 INVITE
        111  siphon → alice   200 INVITE
        125  alice  → siphon  ACK
        135  siphon → bob     ACK
      60150  bob    → siphon  BYE
      60160  siphon → bob     200 BYE
      60160  siphon → alice   BYE
      60170  alice  → siphon  200 BYE`)
  })
})

describe('a preview of the offer', () => {
  it('in an unreliable 183 is put through, and the offer in the 200 again', async () => {
    const { alice, bob, clock, a, b, asked, over } = call()
    b.answer(183, { sdp: sdp('offer') })
    clock.advance(25)
    assert.equal(alice.last('183 INVITE').body, relayed('offer'))
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(25)
    assert.equal(alice.last('200 INVITE').body, relayed('offer'))
    a.ack({ sdp: sdp('answer') })
    clock.advance(25)
    assert.equal(bob.lastRequest('ACK').body, relayed('answer'))
    b.bye()
    await over(`
        0  alice  → siphon  INVITE
       10  siphon → alice   100 INVITE
       10  siphon → bob     INVITE
       25  bob    → siphon  183 INVITE
       36  siphon → alice   183 INVITE
       50  bob    → siphon  200 INVITE
       61  siphon → alice   200 INVITE
       75  alice  → siphon  ACK
       86  siphon → bob     ACK
      100  bob    → siphon  BYE
      110  siphon → bob     200 BYE
      110  siphon → alice   BYE
      120  alice  → siphon  200 BYE`)
    assert.deepEqual(asked(), ['offer callee -', ...ALL])
  })
})
