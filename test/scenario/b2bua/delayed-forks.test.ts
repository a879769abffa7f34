import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Dialog } from '../../../src/sip/dialog/dialog.ts'
import type { Response } from '../../../src/sip/message/message.ts'
import { sdp, type AgentCall } from '../../support/agent.ts'
import { ALL, call, DECLINED, relayed } from '../../support/delayed-call.ts'

describe('two callees, and an offer of each', () => {
  it('in reliable 183s: each has its answer, and who answers the call has its media', async () => {
    const { alice, bob, carol, clock, a, b, asked, over } = call({
      to: ['bob', 'carol'],
      headers: { Supported: '100rel' },
    })
    const c = carol.calls[0] as AgentCall
    b.reliably(183, { sdp: sdp('offer of bob') })
    clock.advance(5)
    c.reliably(183, { sdp: sdp('offer of carol') })
    clock.advance(25)
    for (const [callee, name] of [
      [b, 'bob'],
      [c, 'carol'],
    ] as const) {
      const early = alice.received.find((m) => m.body === relayed(`offer of ${name}`)) as Response
      a.dialog = Dialog.uac(a.invite, early)
      a.prack(early, { sdp: sdp(`answer to ${name}`) })
      clock.advance(25)
      const prack = callee.agent.lastRequest('PRACK')
      assert.equal(prack.body, relayed(`answer to ${name}`))
      callee.answer(200, {}, prack)
      clock.advance(20)
    }
    c.answer(200)
    clock.advance(25)
    a.ack()
    clock.advance(15)
    a.bye()
    await over(`
        0  alice  → siphon  INVITE
       10  siphon → alice   100 INVITE
       10  siphon → bob     INVITE
       10  siphon → carol   INVITE
       25  bob    → siphon  183 INVITE
       30  carol  → siphon  183 INVITE
       36  siphon → alice   183 INVITE
       41  siphon → alice   183 INVITE
       55  alice  → siphon  PRACK
       66  siphon → bob     PRACK
       80  bob    → siphon  200 PRACK
       90  siphon → alice   200 PRACK
      100  alice  → siphon  PRACK
      111  siphon → carol   PRACK
      125  carol  → siphon  200 PRACK
      135  siphon → alice   200 PRACK
      145  carol  → siphon  200 INVITE
      155  siphon → carol   ACK
      155  siphon → alice   200 INVITE
      155  siphon → bob     CANCEL
      165  bob    → siphon  200 CANCEL
      165  bob    → siphon  487 INVITE
      170  alice  → siphon  ACK
      175  siphon → bob     ACK
      185  alice  → siphon  BYE
      195  siphon → alice   200 BYE
      195  siphon → carol   BYE
      205  carol  → siphon  200 BYE`)
    assert.deepEqual(asked(), [
      'offer callee -',
      'offer callee -',
      'answer callee caller',
      'answer callee caller',
      ...ALL.slice(2),
    ])
    assert.equal(bob.got().includes('BYE'), false)
  })

  it('in two 200s at once: the second is declined and hung up', async () => {
    const { alice, bob, carol, clock, a, b, asked, over } = call({ to: ['bob', 'carol'] })
    b.answer(200, { sdp: sdp('offer of bob') })
    clock.advance(0.5)
    carol.calls[0]?.answer(200, { sdp: sdp('offer of carol') })
    clock.advance(30)
    assert.equal(alice.last('200 INVITE').body, relayed('offer of bob'))
    assert.match(carol.lastRequest('ACK').body, DECLINED)
    a.ack({ sdp: sdp('answer') })
    clock.advance(25)
    assert.equal(bob.lastRequest('ACK').body, relayed('answer'))
    a.bye()
    await over(`
       0  alice  → siphon  INVITE
      10  siphon → alice   100 INVITE
      10  siphon → bob     INVITE
      10  siphon → carol   INVITE
      25  bob    → siphon  200 INVITE
      26  carol  → siphon  200 INVITE
      36  siphon → alice   200 INVITE
      36  siphon → carol   ACK
      36  siphon → carol   BYE
      46  carol  → siphon  200 BYE
      56  alice  → siphon  ACK
      67  siphon → bob     ACK
      81  alice  → siphon  BYE
      91  siphon → alice   200 BYE
      91  siphon → bob     BYE
      101 bob    → siphon  200 BYE`)
    assert.deepEqual(asked(), ALL)
  })
})
