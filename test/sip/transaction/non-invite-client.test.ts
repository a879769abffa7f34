import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { NonInviteClientTransaction } from '../../../src/sip/transaction/non-invite-client.ts'
import { createTimers } from '../../../src/sip/transaction/timers.ts'
import { absorb, deliver, resend, send, startTimer, stopTimer } from '../../../src/sip/transaction/types.ts'
import { aRequest, anAnswer } from './messages.ts'

const timers = createTimers()
const bye = aRequest('BYE')
const overUdp = (): NonInviteClientTransaction => new NonInviteClientTransaction(bye, false, timers)
const overTcp = (): NonInviteClientTransaction => new NonInviteClientTransaction(bye, true, timers)

describe('RFC 3261 §17.1.2.2 non-INVITE client transaction', () => {
  it('starts timers E and F over an unreliable transport, F alone over a reliable one', () => {
    assert.deepEqual(overUdp().start(), [send(bye), startTimer('F', 32_000), startTimer('E', 500)])
    assert.deepEqual(overTcp().start(), [send(bye), startTimer('F', 32_000)])
  })

  it('doubles timer E up to T2 while trying', () => {
    const tx = overUdp()
    tx.start()
    for (const ms of [1000, 2000, 4000, 4000, 4000]) {
      assert.deepEqual(tx.timerFired('E'), [resend(bye), startTimer('E', ms)])
    }
  })

  it('repeats at T2 once there is a provisional response', () => {
    const tx = overUdp()
    tx.start()
    const trying = anAnswer(bye, 100)
    assert.deepEqual(tx.receive(trying), [deliver(trying)])
    assert.equal(tx.state, 'proceeding')
    assert.deepEqual(tx.timerFired('E'), [resend(bye), startTimer('E', 4000)])
    assert.deepEqual(tx.receive(trying), [deliver(trying)])
  })

  it('ends with a timeout when timer F fires, provisional response or not', () => {
    const tx = overUdp()
    tx.start()
    assert.deepEqual(tx.timerFired('F'), [{ do: 'end', reason: 'timeout' }])
    const proceeding = overTcp()
    proceeding.start()
    proceeding.receive(anAnswer(bye, 100))
    assert.deepEqual(proceeding.timerFired('F'), [{ do: 'end', reason: 'timeout' }])
  })

  for (const status of [200, 302, 404, 500, 603]) {
    it(`passes a ${status} up once and absorbs its repetitions until timer K`, () => {
      const tx = overUdp()
      tx.start()
      const final = anAnswer(bye, status)
      assert.deepEqual(tx.receive(final), [
        stopTimer('E'),
        stopTimer('F'),
        startTimer('K', 5000),
        deliver(final),
      ])
      assert.deepEqual(tx.receive(final), [absorb('BYE')])
      assert.deepEqual(tx.receive(anAnswer(bye, 100)), [])
      assert.deepEqual(tx.timerFired('E'), [])
      assert.deepEqual(tx.timerFired('F'), [])
      assert.deepEqual(tx.timerFired('K'), [{ do: 'end', reason: 'normal' }])
      assert.equal(tx.state, 'terminated')
    })
  }

  it('has no timer K over a reliable transport', () => {
    const tx = overTcp()
    tx.start()
    const final = anAnswer(bye, 200)
    assert.deepEqual(tx.receive(final), [deliver(final), { do: 'end', reason: 'normal' }])
    assert.deepEqual(tx.receive(final), [])
  })

  it('ends when the transport fails before the final response, and does not care after', () => {
    const tx = overUdp()
    tx.start()
    assert.deepEqual(tx.transportFailed(), [{ do: 'end', reason: 'transport' }])
    const completed = overUdp()
    completed.start()
    completed.receive(anAnswer(bye, 200))
    assert.deepEqual(completed.transportFailed(), [])
  })
})
