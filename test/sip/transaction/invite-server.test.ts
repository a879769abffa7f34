import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { InviteServerTransaction } from '../../../src/sip/transaction/invite-server.ts'
import { createTimers } from '../../../src/sip/transaction/timers.ts'
import { absorb, resend, send, startTimer, stopTimer } from '../../../src/sip/transaction/types.ts'
import { aRequest, anAnswer } from './messages.ts'

const timers = createTimers()
const invite = aRequest('INVITE')
const ack = aRequest('ACK', { toTag: 'bob' })
const overUdp = (): InviteServerTransaction => new InviteServerTransaction(invite, false, timers)
const overTcp = (): InviteServerTransaction => new InviteServerTransaction(invite, true, timers)

describe('RFC 3261 §17.2.1 INVITE server transaction: proceeding', () => {
  it('says 100 by itself after 200 ms, unless the TU has answered', () => {
    const tx = overUdp()
    assert.deepEqual(tx.start(), [startTimer('trying', 200)])
    const [effect] = tx.timerFired('trying')
    assert.ok(effect?.do === 'send')
    assert.equal(effect.message.status, 100)
    assert.equal(effect.message.toTag, undefined)

    const answered = overUdp()
    answered.start()
    answered.send(anAnswer(invite, 180))
    assert.deepEqual(answered.timerFired('trying'), [])
  })

  it('sends what the TU answers, provisional after provisional, its own 100 included', () => {
    const tx = overUdp()
    tx.start()
    const trying = anAnswer(invite, 100)
    const ringing = anAnswer(invite, 180)
    assert.deepEqual(tx.send(trying), [stopTimer('trying'), send(trying)])
    assert.deepEqual(tx.send(ringing), [send(ringing)])
    assert.equal(tx.state, 'proceeding')
  })

  it('answers a repeated INVITE with the last provisional response, and with nothing when there was none', () => {
    const tx = overUdp()
    tx.start()
    assert.deepEqual(tx.receive(invite), [absorb('INVITE')])
    tx.send(anAnswer(invite, 100))
    const ringing = anAnswer(invite, 180)
    tx.send(ringing)
    assert.deepEqual(tx.receive(invite), [absorb('INVITE'), resend(ringing)])
  })

  it('ignores an ACK for nothing', () => {
    const tx = overUdp()
    tx.start()
    assert.deepEqual(tx.receive(ack), [])
  })
})

describe('RFC 3261 §17.2.1 INVITE server transaction: completed and confirmed', () => {
  for (const status of [300, 404, 486, 503, 603]) {
    it(`repeats a ${status} by timer G up to T2, and on each repeated INVITE`, () => {
      const tx = overUdp()
      tx.start()
      const final = anAnswer(invite, status)
      assert.deepEqual(tx.send(final), [
        stopTimer('trying'),
        send(final),
        startTimer('H', 32_000),
        startTimer('G', 500),
      ])
      for (const ms of [1000, 2000, 4000, 4000]) {
        assert.deepEqual(tx.timerFired('G'), [resend(final), startTimer('G', ms)])
      }
      assert.deepEqual(tx.receive(invite), [absorb('INVITE'), resend(final)])
    })
  }

  it('does not repeat over a reliable transport, but waits for the ACK all the same', () => {
    const tx = overTcp()
    tx.start()
    tx.send(anAnswer(invite, 180))
    const busy = anAnswer(invite, 486)
    assert.deepEqual(tx.send(busy), [send(busy), startTimer('H', 32_000)])
  })

  it('ends with a timeout when nobody acknowledges', () => {
    const tx = overUdp()
    tx.start()
    tx.send(anAnswer(invite, 486))
    assert.deepEqual(tx.timerFired('H'), [{ do: 'end', reason: 'timeout' }])
    assert.deepEqual(tx.receive(invite), [])
  })

  it('stops on the ACK, absorbs what is repeated for T4, and ends', () => {
    const tx = overUdp()
    tx.start()
    tx.send(anAnswer(invite, 486))
    assert.deepEqual(tx.receive(ack), [stopTimer('G'), stopTimer('H'), startTimer('I', 5000)])
    assert.equal(tx.state, 'confirmed')
    assert.deepEqual(tx.receive(ack), [absorb('ACK')])
    assert.deepEqual(tx.receive(invite), [absorb('INVITE')])
    assert.deepEqual(tx.timerFired('G'), [])
    assert.deepEqual(tx.timerFired('H'), [])
    assert.deepEqual(tx.timerFired('I'), [{ do: 'end', reason: 'normal' }])
  })

  it('ends on the ACK over a reliable transport', () => {
    const tx = overTcp()
    tx.start()
    tx.send(anAnswer(invite, 486))
    assert.deepEqual(tx.receive(ack), [{ do: 'end', reason: 'normal' }])
  })

  it('takes no response after a final one that is no 2xx', () => {
    const tx = overUdp()
    tx.start()
    tx.send(anAnswer(invite, 486))
    for (const status of [100, 180, 200, 486, 500]) {
      assert.equal(tx.takes(status), false)
      assert.deepEqual(tx.send(anAnswer(invite, status)), [])
    }
    assert.equal(tx.state, 'completed')
  })

  it('of an RFC 2543 client, takes an ACK with the To tag of its response only (§17.2.3)', () => {
    const via = 'SIP/2.0/UDP old.example'
    const old = aRequest('INVITE', { via })
    const tx = new InviteServerTransaction(old, false, timers)
    tx.start()
    tx.send(anAnswer(old, 486, 'mine'))
    const other = aRequest('ACK', { via, toTag: 'other' })
    assert.deepEqual(tx.receive(other), [{ do: 'deliverAck', ack: other }])
    assert.equal(tx.state, 'completed')
    tx.receive(aRequest('ACK', { via, toTag: 'mine' }))
    assert.equal(tx.state, 'confirmed')
  })
})

describe('RFC 6026 §7.1 INVITE server transaction: accepted', () => {
  it('lives for timer L after a 2xx and never repeats it by itself', () => {
    const tx = overUdp()
    tx.start()
    const ok = anAnswer(invite, 200)
    assert.deepEqual(tx.send(ok), [stopTimer('trying'), send(ok), startTimer('L', 32_000)])
    assert.equal(tx.state, 'accepted')
    assert.deepEqual(tx.receive(invite), [absorb('INVITE')])
    assert.deepEqual(tx.timerFired('G'), [])
    assert.deepEqual(tx.timerFired('L'), [{ do: 'end', reason: 'normal' }])
  })

  it('sends every 2xx of the TU, the same again or another, and nothing else', () => {
    const tx = overTcp()
    tx.start()
    const ok = anAnswer(invite, 200)
    tx.send(ok)
    assert.deepEqual(tx.send(ok), [send(ok)])
    const fork = anAnswer(invite, 200, 'carol')
    assert.deepEqual(tx.send(fork), [send(fork)])
    assert.deepEqual(tx.send(anAnswer(invite, 180)), [])
    assert.deepEqual(tx.send(anAnswer(invite, 500)), [])
    assert.equal(tx.state, 'accepted')
  })

  it('passes an ACK up', () => {
    const tx = overUdp()
    tx.start()
    tx.send(anAnswer(invite, 200))
    assert.deepEqual(tx.receive(ack), [{ do: 'deliverAck', ack }])
  })
})

describe('RFC 3261 §8.2.7 a challenge to an INVITE', () => {
  it('is repeated when the INVITE is, and not by itself', () => {
    for (const status of [401, 407]) {
      const tx = overUdp()
      tx.start()
      const challenge = anAnswer(invite, status)
      assert.deepEqual(tx.send(challenge), [
        stopTimer('trying'),
        send(challenge),
        startTimer('H', timers.life),
      ])
      assert.deepEqual(tx.receive(invite), [absorb('INVITE'), resend(challenge)])
    }
  })
  it('is repeated by itself to a caller that has heard a 100 and repeats no more', () => {
    const tx = overUdp()
    tx.start()
    tx.timerFired('trying')
    assert.ok(tx.send(anAnswer(invite, 407)).some((e) => e.do === 'startTimer' && e.timer === 'G'))
  })
})
