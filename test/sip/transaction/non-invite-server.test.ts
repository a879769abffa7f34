import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { NonInviteServerTransaction } from '../../../src/sip/transaction/non-invite-server.ts'
import { createTimers } from '../../../src/sip/transaction/timers.ts'
import { absorb, resend, send, startTimer, stopTimer } from '../../../src/sip/transaction/types.ts'
import { aRequest, anAnswer } from './messages.ts'

const timers = createTimers()
const options = aRequest('OPTIONS')
const overUdp = (): NonInviteServerTransaction => new NonInviteServerTransaction(options, false, timers)
const overTcp = (): NonInviteServerTransaction => new NonInviteServerTransaction(options, true, timers)

describe('RFC 3261 §17.2.2 non-INVITE server transaction', () => {
  it('absorbs repetitions in silence while it has no answer', () => {
    const tx = overUdp()
    tx.start()
    assert.deepEqual(tx.receive(options), [absorb('OPTIONS')])
  })

  for (const status of [200, 302, 404, 500, 603]) {
    it(`repeats a ${status} on each repeated request until timer J`, () => {
      const tx = overUdp()
      tx.start()
      const final = anAnswer(options, status)
      assert.deepEqual(tx.send(final), [stopTimer('trying'), send(final), startTimer('J', 32_000)])
      assert.deepEqual(tx.receive(options), [absorb('OPTIONS'), resend(final)])
      assert.deepEqual(tx.timerFired('J'), [{ do: 'end', reason: 'normal' }])
      assert.deepEqual(tx.receive(options), [])
    })
  }

  it('has no timer J over a reliable transport', () => {
    const tx = overTcp()
    tx.start()
    const final = anAnswer(options, 200)
    assert.deepEqual(tx.send(final), [stopTimer('trying'), send(final), { do: 'end', reason: 'normal' }])
    assert.equal(tx.state, 'terminated')
  })

  it('takes no response after a final one', () => {
    const tx = overUdp()
    tx.start()
    tx.send(anAnswer(options, 404))
    for (const status of [100, 200, 404]) {
      assert.equal(tx.takes(status), false)
      assert.deepEqual(tx.send(anAnswer(options, status)), [])
    }
  })
})

describe('RFC 4320 §4 non-INVITE server transaction', () => {
  it('says 100 when the client repeats at T2: after 3.5 s, and repeats that', () => {
    const tx = overUdp()
    assert.deepEqual(tx.start(), [startTimer('trying', 3500)])
    const [effect] = tx.timerFired('trying')
    assert.ok(effect?.do === 'send')
    assert.equal(effect.message.status, 100)
    assert.equal(tx.state, 'proceeding')
    assert.deepEqual(tx.receive(options), [absorb('OPTIONS'), resend(effect.message)])
    const final = anAnswer(options, 200)
    assert.deepEqual(tx.send(final), [send(final), startTimer('J', 32_000)])
  })

  it('lets the TU say 100 not before that over an unreliable transport, at any time over a reliable one', () => {
    const trying = anAnswer(options, 100)
    const udp = overUdp()
    udp.start()
    assert.deepEqual(udp.send(trying), [])
    udp.timerFired('trying')
    assert.deepEqual(udp.send(trying), [send(trying)])
    const tcp = overTcp()
    tcp.start()
    assert.deepEqual(tcp.send(trying), [stopTimer('trying'), send(trying)])
  })

  it('sends no other provisional response', () => {
    const tx = overTcp()
    tx.start()
    for (const status of [180, 183]) {
      assert.equal(tx.takes(status), false)
      assert.deepEqual(tx.send(anAnswer(options, status)), [])
    }
  })

  it('never sends a 408, but is over with it, and still knows the request when it is repeated', () => {
    const tx = overUdp()
    tx.start()
    assert.deepEqual(tx.send(anAnswer(options, 408)), [stopTimer('trying'), startTimer('J', 32_000)])
    assert.deepEqual(tx.receive(options), [absorb('OPTIONS')])
    assert.equal(tx.takes(200), false)
    const tcp = overTcp()
    tcp.start()
    assert.deepEqual(tcp.send(anAnswer(options, 408)), [stopTimer('trying'), { do: 'end', reason: 'normal' }])
  })
})
