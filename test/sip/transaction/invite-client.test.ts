import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { InviteClientTransaction } from '../../../src/sip/transaction/invite-client.ts'
import { createTimers } from '../../../src/sip/transaction/timers.ts'
import {
  type ClientEffect,
  absorb,
  deliver,
  resend,
  send,
  startTimer,
  stopTimer,
} from '../../../src/sip/transaction/types.ts'
import { aRequest, anAnswer } from './messages.ts'

const timers = createTimers()
const invite = aRequest('INVITE')
const overUdp = (): InviteClientTransaction => new InviteClientTransaction(invite, false, timers)
const overTcp = (): InviteClientTransaction => new InviteClientTransaction(invite, true, timers)

/** Effects with the ACK, which the machine builds itself, taken out to look at. */
function split(effects: readonly ClientEffect[]): { kinds: string[]; ack: string } {
  let ack = ''
  const kinds = effects.map((effect) => {
    if (effect.do !== 'send' && effect.do !== 'resend') {
      return effect.do === 'startTimer' || effect.do === 'stopTimer'
        ? `${effect.do} ${effect.timer}`
        : effect.do
    }
    if (effect.message.method === 'ACK') {
      ack = effect.message.headers.fields.map(({ name, value }) => `${name}: ${value}`).join('\n')
    }
    return `${effect.do} ${effect.message.method}`
  })
  return { kinds, ack }
}

describe('RFC 3261 §17.1.1.2 INVITE client transaction: calling', () => {
  it('starts timers A and B over an unreliable transport, B alone over a reliable one', () => {
    assert.deepEqual(overUdp().start(), [send(invite), startTimer('B', 32_000), startTimer('A', 500)])
    assert.deepEqual(overTcp().start(), [send(invite), startTimer('B', 32_000)])
  })

  it('doubles timer A each time, without a ceiling', () => {
    const tx = overUdp()
    tx.start()
    for (const ms of [1000, 2000, 4000, 8000, 16_000]) {
      assert.deepEqual(tx.timerFired('A'), [resend(invite), startTimer('A', ms)])
    }
  })

  it('ends with a timeout when timer B fires', () => {
    const tx = overUdp()
    tx.start()
    assert.deepEqual(tx.timerFired('B'), [{ do: 'end', reason: 'timeout' }])
    assert.equal(tx.state, 'terminated')
  })

  it('ends when the transport fails', () => {
    const tx = overUdp()
    tx.start()
    assert.deepEqual(tx.transportFailed(), [{ do: 'end', reason: 'transport' }])
    assert.deepEqual(tx.receive(anAnswer(invite, 200)), [])
    assert.deepEqual(tx.transportFailed(), [])
  })

  it('stops repeating on the first provisional response and passes it up', () => {
    const tx = overUdp()
    tx.start()
    const ringing = anAnswer(invite, 180)
    assert.deepEqual(tx.receive(ringing), [stopTimer('A'), stopTimer('B'), deliver(ringing)])
    assert.equal(tx.state, 'proceeding')
    assert.deepEqual(tx.timerFired('A'), [])
    assert.deepEqual(tx.timerFired('B'), [])
  })
})

describe('RFC 3261 §17.1.1.2 INVITE client transaction: proceeding', () => {
  it('passes every provisional response up', () => {
    const tx = overUdp()
    tx.start()
    tx.receive(anAnswer(invite, 100))
    for (const status of [100, 180, 183, 199]) {
      const response = anAnswer(invite, status)
      assert.deepEqual(tx.receive(response), [deliver(response)])
    }
  })

  it('ends when its connection is gone', () => {
    const tx = overTcp()
    tx.start()
    tx.receive(anAnswer(invite, 180))
    assert.deepEqual(tx.transportFailed(), [{ do: 'end', reason: 'transport' }])
  })
})

describe('RFC 3261 §17.1.1.2 INVITE client transaction: a final response that is no 2xx', () => {
  for (const status of [300, 404, 486, 503, 603]) {
    it(`acknowledges a ${status} itself and passes it up once`, () => {
      const tx = overUdp()
      tx.start()
      assert.deepEqual(split(tx.receive(anAnswer(invite, status))).kinds, [
        'stopTimer A',
        'stopTimer B',
        'send ACK',
        'startTimer D',
        'deliver',
      ])
      assert.equal(tx.state, 'completed')
      const again = tx.receive(anAnswer(invite, status))
      assert.deepEqual(again[0], absorb('INVITE'))
      assert.deepEqual(split(again).kinds, ['absorb', 'resend ACK'])
    })
  }

  it('builds the ACK of §17.1.1.3: the Via, From, Call-ID and CSeq number of the INVITE, the To of the response', () => {
    const tx = overUdp()
    tx.start()
    assert.equal(
      split(tx.receive(anAnswer(invite, 486, 'busy'))).ack,
      [
        'Via: SIP/2.0/UDP client.example:5060;branch=z9hG4bKone',
        'Max-Forwards: 70',
        'From: <sip:alice@atlanta.example>;tag=alice',
        'To: <sip:bob@biloxi.example>;tag=busy',
        'Call-ID: call-1',
        'CSeq: 1 ACK',
      ].join('\n'),
    )
  })

  it('waits 32 s in completed over UDP, not at all over TCP', () => {
    const udp = overUdp()
    udp.start()
    udp.receive(anAnswer(invite, 180))
    const busy = anAnswer(invite, 486)
    assert.deepEqual(udp.receive(busy).slice(1), [startTimer('D', 32_000), deliver(busy)])
    assert.deepEqual(udp.timerFired('D'), [{ do: 'end', reason: 'normal' }])

    const tcp = overTcp()
    tcp.start()
    assert.deepEqual(split(tcp.receive(busy)).kinds, ['stopTimer B', 'send ACK', 'deliver', 'end'])
    assert.equal(tcp.state, 'terminated')
  })

  it('ends when the ACK cannot be sent', () => {
    const tx = overUdp()
    tx.start()
    tx.receive(anAnswer(invite, 486))
    assert.deepEqual(tx.transportFailed(), [{ do: 'end', reason: 'transport' }])
  })

  it('does not lose a 2xx that comes after it, and ignores a provisional', () => {
    const tx = overUdp()
    tx.start()
    tx.receive(anAnswer(invite, 486))
    const ok = anAnswer(invite, 200)
    assert.deepEqual(tx.receive(ok), [{ do: 'deliverStray', response: ok }])
    assert.deepEqual(tx.receive(anAnswer(invite, 180)), [])
  })
})

describe('RFC 6026 §7.2 INVITE client transaction: accepted', () => {
  it('starts timer M on a 2xx and sends no ACK', () => {
    const tx = overUdp()
    tx.start()
    const ok = anAnswer(invite, 200)
    assert.deepEqual(tx.receive(ok), [stopTimer('A'), stopTimer('B'), startTimer('M', 32_000), deliver(ok)])
    assert.equal(tx.state, 'accepted')
  })

  it('passes every further 2xx up, repeated or of another fork, and nothing else', () => {
    const tx = overTcp()
    tx.start()
    tx.receive(anAnswer(invite, 180))
    tx.receive(anAnswer(invite, 200))
    for (const tag of ['bob', 'bob', 'carol']) {
      const ok = anAnswer(invite, 200, tag)
      assert.deepEqual(tx.receive(ok), [deliver(ok)])
    }
    assert.deepEqual(tx.receive(anAnswer(invite, 180)), [])
    assert.deepEqual(tx.receive(anAnswer(invite, 486)), [])
  })

  it('lives until timer M fires, whatever becomes of the transport', () => {
    const tx = overTcp()
    tx.start()
    tx.receive(anAnswer(invite, 200))
    assert.deepEqual(tx.transportFailed(), [])
    assert.deepEqual(tx.timerFired('M'), [{ do: 'end', reason: 'normal' }])
  })
})

describe('RFC 3261 §9.1 cancelling', () => {
  const cancelling: ClientEffect[] = [{ do: 'sendCancel' }, startTimer('cancelled', 32_000)]

  it('sends the CANCEL at once when a provisional response has come, and once', () => {
    const tx = overUdp()
    tx.start()
    tx.receive(anAnswer(invite, 180))
    assert.deepEqual(tx.cancel(), cancelling)
    assert.deepEqual(tx.cancel(), [])
  })

  it('waits for the first provisional response before', () => {
    const tx = overUdp()
    tx.start()
    assert.deepEqual(tx.cancel(), [])
    assert.deepEqual(tx.timerFired('A'), [resend(invite), startTimer('A', 1000)])
    const trying = anAnswer(invite, 100)
    assert.deepEqual(tx.receive(trying), [stopTimer('A'), stopTimer('B'), deliver(trying), ...cancelling])
    assert.deepEqual(tx.receive(trying), [deliver(trying)])
  })

  it('sends none when a final response comes first', () => {
    const tx = overUdp()
    tx.start()
    tx.cancel()
    assert.ok(!split(tx.receive(anAnswer(invite, 200))).kinds.includes('sendCancel'))
    assert.deepEqual(tx.cancel(), [])
  })

  it('gives the INVITE up 64 × T1 after the CANCEL, unless it gets its final response', () => {
    const tx = overUdp()
    tx.start()
    tx.receive(anAnswer(invite, 180))
    tx.cancel()
    assert.deepEqual(tx.timerFired('cancelled'), [{ do: 'end', reason: 'timeout' }])

    const answered = overUdp()
    answered.start()
    answered.receive(anAnswer(invite, 180))
    answered.cancel()
    const { kinds } = split(answered.receive(anAnswer(invite, 487)))
    assert.deepEqual(kinds, ['stopTimer cancelled', 'send ACK', 'startTimer D', 'deliver'])
  })
})
