import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Response } from '../../../src/sip/message/message.ts'
import { sdp } from '../../support/agent.ts'
import { call, DECLINED } from '../../support/delayed-call.ts'

describe('a call without an offer whose media does not come about', () => {
  const BEGIN = `
       0  alice  → siphon  INVITE
      10  siphon → alice   100 INVITE
      10  siphon → bob     INVITE
      25  bob    → siphon  200 INVITE`

  it('is refused with 488 when the relay does not take the offer; the callee is declined and hung up', async () => {
    const { bob, clock, b, asked, over, records } = call({ refuses: 'offer' })
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(35)
    assert.match(bob.lastRequest('ACK').body, DECLINED)
    await over(`${BEGIN}
      37  siphon → bob     ACK
      37  siphon → bob     BYE
      37  siphon → alice   488 INVITE
      47  bob    → siphon  200 BYE
      47  alice  → siphon  ACK`)
    assert.equal(records[0]?.responseCode, 488)
    assert.deepEqual(asked(), ['offer callee -', 'delete - -'])
  })

  it('is hung up on both sides when the relay does not take the answer', async () => {
    const { bob, clock, a, b, over } = call({ refuses: 'answer' })
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(25)
    a.ack({ sdp: sdp('answer') })
    clock.advance(35)
    assert.match(bob.lastRequest('ACK').body, DECLINED)
    await over(`${BEGIN}
      36  siphon → alice   200 INVITE
      50  alice  → siphon  ACK
      61  siphon → alice   BYE
      61  siphon → bob     ACK
      61  siphon → bob     BYE
      71  alice  → siphon  200 BYE
      71  bob    → siphon  200 BYE`)
  })

  it('is hung up when the ACK has no answer', async () => {
    const { bob, clock, a, b, asked, over } = call()
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(25)
    a.ack()
    clock.advance(35)
    assert.match(bob.lastRequest('ACK').body, DECLINED)
    await over(`${BEGIN}
      36  siphon → alice   200 INVITE
      50  alice  → siphon  ACK
      60  siphon → bob     ACK
      60  siphon → alice   BYE
      60  siphon → bob     BYE
      70  alice  → siphon  200 BYE
      70  bob    → siphon  200 BYE`)
    assert.deepEqual(asked(), ['offer callee -', 'query - -', 'delete - -'])
  })

  it('is hung up when no ACK comes', async () => {
    const { bob, clock, b, asked, over, records } = call()
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(33_000)
    assert.match(bob.lastRequest('ACK').body, DECLINED)
    await over(`
          0  alice  → siphon  INVITE
         10  siphon → alice   100 INVITE
         10  siphon → bob     INVITE
         25  bob    → siphon  200 INVITE
         36  siphon → alice   200 INVITE
        536  siphon → alice   200 INVITE
       1536  siphon → alice   200 INVITE
       3536  siphon → alice   200 INVITE
       7536  siphon → alice   200 INVITE
      11536  siphon → alice   200 INVITE
      15536  siphon → alice   200 INVITE
      19536  siphon → alice   200 INVITE
      23536  siphon → alice   200 INVITE
      27536  siphon → alice   200 INVITE
      31536  siphon → alice   200 INVITE
      32036  siphon → alice   BYE
      32036  siphon → bob     ACK
      32036  siphon → bob     BYE
      32046  alice  → siphon  200 BYE
      32046  bob    → siphon  200 BYE`)
    assert.equal(records[0]?.disconnectInitiator, 'timeout')
    assert.deepEqual(asked(), ['offer callee -', 'query - -', 'delete - -'])
  })

  it('is refused when the PRACK has no answer, or the relay does not take it; the callee is declined and cancelled', async () => {
    for (const refuses of [undefined, 'answer'] as const) {
      const { alice, bob, clock, a, b, over } = call({
        ...(refuses === undefined ? {} : { refuses }),
        headers: { Supported: '100rel' },
      })
      b.reliably(183, { sdp: sdp('offer') })
      clock.advance(25)
      a.prack(alice.last('183 INVITE') as Response, refuses === undefined ? {} : { sdp: sdp('answer') })
      clock.advance(25)
      assert.match(bob.lastRequest('PRACK').body, DECLINED)
      b.answer(200, {}, bob.lastRequest('PRACK'))
      // rtpengine takes a millisecond.
      const at = refuses === undefined ? 60 : 61
      const refused = [`${at}  siphon → alice   488 INVITE`, `${at + 10}  alice  → siphon  ACK`] as const
      const cancelled = [
        `${at}  siphon → bob     CANCEL`,
        `${at + 10}  bob    → siphon  200 CANCEL\n${at + 10}  bob    → siphon  487 INVITE`,
      ] as const
      const [one, other] = refuses === undefined ? [refused, cancelled] : [cancelled, refused]
      await over(`
         0  alice  → siphon  INVITE
        10  siphon → alice   100 INVITE
        10  siphon → bob     INVITE
        25  bob    → siphon  183 INVITE
        36  siphon → alice   183 INVITE
        50  alice  → siphon  PRACK
        ${at}  siphon → alice   488 PRACK
        ${at}  siphon → bob     PRACK
        ${one[0]}
        ${other[0]}
        ${one[1]}
        ${other[1]}
        75  bob    → siphon  200 PRACK
        ${at + 20}  siphon → bob     ACK`)
    }
  })

  it('is given up by the caller while the relay thinks', async () => {
    const { bob, clock, a, b, asked, over } = call()
    clock.advance(5)
    b.answer(200, { sdp: sdp('offer') })
    // Both come while rtpengine has the offer.
    clock.advance(0.5)
    a.cancel()
    clock.advance(40)
    assert.match(bob.lastRequest('ACK').body, DECLINED)
    await over(`
       0  alice  → siphon  INVITE
      10  siphon → alice   100 INVITE
      10  siphon → bob     INVITE
      30  bob    → siphon  200 INVITE
      31  alice  → siphon  CANCEL
      41  siphon → bob     ACK
      41  siphon → alice   200 CANCEL
      41  siphon → alice   487 INVITE
      41  siphon → bob     BYE
      51  alice  → siphon  ACK
      51  bob    → siphon  200 BYE`)
    assert.deepEqual(asked(), ['offer callee -', 'query - -', 'delete - -'])
  })
})
