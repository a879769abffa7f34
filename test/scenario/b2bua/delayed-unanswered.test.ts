import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Response } from '../../../src/sip/message/message.ts'
import { sdp } from '../../support/agent.ts'
import { ALL, call, relayed } from '../../support/delayed-call.ts'

describe('a caller who gives up before it has answered', () => {
  it('while it rings: nothing is held yet', async () => {
    const { clock, a, b, asked, over } = call()
    b.answer(180)
    clock.advance(25)
    a.cancel()
    clock.advance(25)
    await over(`
       0  alice  → siphon  INVITE
      10  siphon → alice   100 INVITE
      10  siphon → bob     INVITE
      25  bob    → siphon  180 INVITE
      35  siphon → alice   180 INVITE
      50  alice  → siphon  CANCEL
      60  siphon → alice   200 CANCEL
      60  siphon → alice   487 INVITE
      60  siphon → bob     CANCEL
      70  alice  → siphon  ACK
      70  bob    → siphon  200 CANCEL
      70  bob    → siphon  487 INVITE
      80  siphon → bob     ACK`)
    assert.deepEqual(asked(), [])
  })

  it('with the offer of a reliable 183 before it: what is held for it is deleted', async () => {
    const { clock, a, b, asked, over } = call({ headers: { Supported: '100rel' } })
    b.reliably(183, { sdp: sdp('offer') })
    clock.advance(25)
    a.cancel()
    clock.advance(25)
    await over(`
       0  alice  → siphon  INVITE
      10  siphon → alice   100 INVITE
      10  siphon → bob     INVITE
      25  bob    → siphon  183 INVITE
      36  siphon → alice   183 INVITE
      50  alice  → siphon  CANCEL
      60  siphon → alice   200 CANCEL
      60  siphon → alice   487 INVITE
      60  siphon → bob     CANCEL
      70  alice  → siphon  ACK
      70  bob    → siphon  200 CANCEL
      70  bob    → siphon  487 INVITE
      80  siphon → bob     ACK`)
    assert.deepEqual(asked(), ['offer callee -', 'query - -', 'delete - -'])
  })

  it('while the relay has its answer of the PRACK', async () => {
    const { alice, clock, a, b, asked, over } = call({ headers: { Supported: '100rel' } })
    b.reliably(183, { sdp: sdp('offer') })
    clock.advance(25)
    a.prack(alice.last('183 INVITE') as Response, { sdp: sdp('answer') })
    clock.advance(0.5)
    a.cancel()
    clock.advance(40)
    await over(`
       0  alice  → siphon  INVITE
      10  siphon → alice   100 INVITE
      10  siphon → bob     INVITE
      25  bob    → siphon  183 INVITE
      36  siphon → alice   183 INVITE
      50  alice  → siphon  PRACK
      51  alice  → siphon  CANCEL
      61  siphon → alice   200 CANCEL
      61  siphon → alice   487 INVITE
      61  siphon → bob     CANCEL
      61  siphon → alice   481 PRACK
      71  alice  → siphon  ACK
      71  bob    → siphon  200 CANCEL
      71  bob    → siphon  487 INVITE
      81  siphon → bob     ACK`)
    assert.deepEqual(asked(), ALL)
  })
})

describe('an answer that is lost', () => {
  it("in the caller's ACK: the 200 comes again, and the next has it", async () => {
    const { alice, bob, clock, a, b, asked, over } = call({ network: { lose: ['alice→siphon #2'] } })
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(25)
    a.ack({ sdp: sdp('answer') })
    clock.advance(500)
    assert.equal(bob.got().includes('ACK'), false)
    assert.equal(alice.got().filter((m) => m === '200 INVITE').length, 2)
    a.ack({ sdp: sdp('answer') })
    clock.advance(25)
    assert.equal(bob.lastRequest('ACK').body, relayed('answer'))
    a.bye()
    await over(`
        0  alice  → siphon  INVITE
       10  siphon → alice   100 INVITE
       10  siphon → bob     INVITE
       25  bob    → siphon  200 INVITE
       36  siphon → alice   200 INVITE
       50  alice  ⇢ siphon  ACK         lost
      536  siphon → alice   200 INVITE
      550  alice  → siphon  ACK
      561  siphon → bob     ACK
      575  alice  → siphon  BYE
      585  siphon → alice   200 BYE
      585  siphon → bob     BYE
      595  bob    → siphon  200 BYE`)
    assert.deepEqual(asked(), ALL)
  })

  it('in the ACK for the callee: its 200 comes again, and gets the same', async () => {
    const { bob, clock, a, b, asked, over } = call({ network: { lose: ['siphon→bob #2'] } })
    const ok = b.answer(200, { sdp: sdp('offer') })
    clock.advance(25)
    a.ack({ sdp: sdp('answer') })
    clock.advance(25)
    assert.equal(bob.got().includes('ACK'), false)
    bob.servers.get(b.invite)?.respond(ok)
    clock.advance(25)
    assert.equal(bob.lastRequest('ACK').body, relayed('answer'))
    a.bye()
    await over(`
        0  alice  → siphon  INVITE
       10  siphon → alice   100 INVITE
       10  siphon → bob     INVITE
       25  bob    → siphon  200 INVITE
       36  siphon → alice   200 INVITE
       50  alice  → siphon  ACK
       61  siphon ⇢ bob     ACK         lost
       75  bob    → siphon  200 INVITE
       85  siphon → bob     ACK
      100  alice  → siphon  BYE
      110  siphon → alice   200 BYE
      110  siphon → bob     BYE
      120  bob    → siphon  200 BYE`)
    assert.deepEqual(asked(), ALL)
  })
})

describe('a call without an offer whose media is not held', () => {
  it('goes on when the ACK has no answer: what is missing is between the two', async () => {
    const { bob, clock, a, b, asked, over, records } = call({ held: false })
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(25)
    a.ack()
    clock.advance(25)
    assert.equal(bob.lastRequest('ACK').body, '')
    clock.advance(60_000)
    a.bye()
    await over(`
          0  alice  → siphon  INVITE
         10  siphon → alice   100 INVITE
         10  siphon → bob     INVITE
         25  bob    → siphon  200 INVITE
         35  siphon → alice   200 INVITE
         50  alice  → siphon  ACK
         60  siphon → bob     ACK
      60075  alice  → siphon  BYE
      60085  siphon → alice   200 BYE
      60085  siphon → bob     BYE
      60095  bob    → siphon  200 BYE`)
    assert.equal(records[0]?.disconnectInitiator, 'caller')
    assert.deepEqual(asked(), [])
  })

  it('and when the PRACK has none', async () => {
    const { alice, bob, clock, a, b, asked, over } = call({ held: false, headers: { Supported: '100rel' } })
    b.reliably(183, { sdp: sdp('offer') })
    clock.advance(25)
    a.prack(alice.last('183 INVITE') as Response)
    clock.advance(25)
    assert.equal(bob.lastRequest('PRACK').body, '')
    b.answer(200, {}, bob.lastRequest('PRACK'))
    b.answer(200)
    clock.advance(25)
    a.ack()
    clock.advance(25)
    a.bye()
    await over(`
        0  alice  → siphon  INVITE
       10  siphon → alice   100 INVITE
       10  siphon → bob     INVITE
       25  bob    → siphon  183 INVITE
       35  siphon → alice   183 INVITE
       50  alice  → siphon  PRACK
       60  siphon → alice   200 PRACK
       60  siphon → bob     PRACK
       75  bob    → siphon  200 PRACK
       75  bob    → siphon  200 INVITE
       85  siphon → bob     ACK
       85  siphon → alice   200 INVITE
      100  alice  → siphon  ACK
      125  alice  → siphon  BYE
      135  siphon → alice   200 BYE
      135  siphon → bob     BYE
      145  bob    → siphon  200 BYE`)
    assert.deepEqual(asked(), [])
  })

  it('has what the callee repeats in its 200 passed on', async () => {
    const { alice, bob, clock, a, b, asked, assertEmpty } = call({
      held: false,
      headers: { Supported: '100rel' },
    })
    b.reliably(183, { sdp: sdp('offer') })
    clock.advance(25)
    a.prack(alice.last('183 INVITE') as Response, { sdp: sdp('answer') })
    clock.advance(25)
    assert.equal(bob.lastRequest('PRACK').body, sdp('answer'))
    b.answer(200, {}, bob.lastRequest('PRACK'))
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(25)
    assert.equal(alice.last('200 INVITE').body, sdp('offer'))
    a.ack()
    clock.advance(25)
    a.bye()
    assertEmpty()
    assert.deepEqual(asked(), [])
  })
})
