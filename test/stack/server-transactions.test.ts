import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Flow } from '../../src/stack/transport.ts'
import { aRequest, anAnswer } from '../sip/transaction/messages.ts'
import { type Lab, transactionLab } from './transaction-lab.ts'

const invite = aRequest('INVITE')
const ack = aRequest('ACK', { toTag: 'bob' })
const options = aRequest('OPTIONS')
const idle = (_flow: Flow | null): void => {}

/** Lets a request in and answers it. */
function answered(lab: Lab, request: typeof invite, status: number, flow: Flow = lab.udp): void {
  lab.layer.onMessage(request, flow)
  lab.accepted.at(-1)?.respond(anAnswer(request, status))
}

describe('RFC 3261 §17.2.1 INVITE server transactions in time', () => {
  it('says 100 after 200 ms by itself, and that once', () => {
    const lab = transactionLab()
    lab.layer.onMessage(invite, lab.udp)
    lab.clock.advance(10_000)
    assert.deepEqual(lab.log, ['0 ↑ INVITE', '200 → 100'])
  })

  it('says it not when the user was faster', () => {
    const lab = transactionLab()
    answered(lab, invite, 100)
    lab.clock.advance(10_000)
    assert.deepEqual(lab.log, ['0 ↑ INVITE', '0 → 100'])
    assert.equal(lab.clock.pendingTimers, 0)
  })

  it('absorbs repetitions and answers them with the last response', () => {
    const lab = transactionLab()
    lab.layer.onMessage(invite, lab.udp)
    lab.layer.onMessage(invite, lab.udp)
    lab.accepted[0]?.respond(anAnswer(invite, 180))
    lab.layer.onMessage(invite, lab.udp)
    assert.deepEqual(lab.log, ['0 ↑ INVITE', '0 → 180', '0 → 180'])
    assert.deepEqual(lab.retransmitted, ['in INVITE', 'in INVITE', 'out INVITE'])
    assert.equal(lab.layer.counts.inviteServer, 1)
  })

  it('repeats a final response by timer G until timer H, which tells the user', () => {
    const lab = transactionLab()
    answered(lab, invite, 486)
    lab.clock.advance(60_000)
    const times = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
    assert.deepEqual(lab.log, ['0 ↑ INVITE', ...times.map((at) => `${at} → 486`), '32000 ↑ end timeout'])
    assert.ok(lab.clean())
  })

  it('stops on the ACK and absorbs what is late for timer I', () => {
    const lab = transactionLab()
    answered(lab, invite, 486)
    lab.clock.advance(100)
    lab.layer.onMessage(ack, lab.udp)
    lab.clock.advance(100)
    lab.layer.onMessage(ack, lab.udp)
    lab.layer.onMessage(invite, lab.udp)
    lab.clock.advance(4899)
    assert.equal(lab.layer.counts.inviteServer, 1)
    lab.clock.advance(1)
    assert.deepEqual(lab.log, ['0 ↑ INVITE', '0 → 486', '5100 ↑ end normal'])
    assert.deepEqual(lab.retransmitted, ['in ACK', 'in INVITE'])
    assert.ok(lab.clean())
  })

  it('over a reliable transport sends a final response once, and ends on the ACK', () => {
    const lab = transactionLab()
    answered(lab, invite, 486, lab.tcp)
    lab.clock.advance(5000)
    lab.layer.onMessage(ack, lab.tcp)
    assert.deepEqual(lab.log, ['0 ↑ INVITE', '0 → 486', '5000 ↑ end normal'])
    assert.ok(lab.clean())
  })

  it('after a 2xx lives for timer L, repeats nothing and takes every 2xx of the user (RFC 6026 §7.1)', () => {
    const lab = transactionLab()
    answered(lab, invite, 200)
    lab.clock.advance(500)
    lab.layer.onMessage(invite, lab.udp)
    lab.clock.advance(500)
    assert.equal(lab.accepted[0]?.respond(anAnswer(invite, 200)), true)
    lab.layer.onMessage(ack, lab.udp)
    lab.clock.advance(60_000)
    assert.deepEqual(lab.log, ['0 ↑ INVITE', '0 → 200', '1000 → 200', '1000 ↑ ACK', '32000 ↑ end normal'])
    assert.ok(lab.clean())
  })

  it('passes an ACK with a branch of its own to the user: one for a 2xx, or for nothing', () => {
    const lab = transactionLab()
    answered(lab, invite, 200)
    lab.layer.onMessage(aRequest('ACK', { branch: 'z9hG4bKnew' }), lab.udp)
    assert.deepEqual(lab.log, ['0 ↑ INVITE', '0 → 200', '0 ↑ ACK'])
  })

  it('reports a response that may not follow, and sends nothing', () => {
    const lab = transactionLab()
    answered(lab, invite, 486)
    lab.taken()
    const server = lab.accepted[0]
    for (const status of [180, 200, 500]) assert.equal(server?.respond(anAnswer(invite, status)), false)
    lab.layer.onMessage(ack, lab.udp)
    lab.clock.advance(5000)
    assert.equal(server?.state, 'terminated')
    assert.equal(server.respond(anAnswer(invite, 200)), false)
    assert.deepEqual(lab.log, ['5000 ↑ end normal'])
  })
})

describe('RFC 3261 §17.2.2 and RFC 4320 non-INVITE server transactions in time', () => {
  it('says 100 after 3.5 s by itself', () => {
    const lab = transactionLab()
    lab.layer.onMessage(options, lab.udp)
    lab.clock.advance(3000)
    lab.layer.onMessage(options, lab.udp)
    lab.clock.advance(3000)
    assert.deepEqual(lab.log, ['0 ↑ OPTIONS', '3500 → 100'])
  })

  it('repeats its final response on each repeated request for timer J', () => {
    const lab = transactionLab()
    answered(lab, options, 200)
    lab.clock.advance(500)
    lab.layer.onMessage(options, lab.udp)
    lab.clock.advance(31_500)
    assert.deepEqual(lab.log, ['0 ↑ OPTIONS', '0 → 200', '500 → 200', '32000 ↑ end normal'])
    assert.deepEqual(lab.retransmitted, ['in OPTIONS', 'out OPTIONS'])
    assert.ok(lab.clean())
  })

  it('is through with its final response over a reliable transport', () => {
    const lab = transactionLab()
    answered(lab, options, 200, lab.tcp)
    assert.deepEqual(lab.log, ['0 ↑ OPTIONS', '0 → 200', '0 ↑ end normal'])
    assert.ok(lab.clean())
  })

  it('ends in silence with a 408', () => {
    const lab = transactionLab()
    answered(lab, options, 408)
    lab.clock.advance(500)
    lab.layer.onMessage(options, lab.udp)
    lab.clock.advance(60_000)
    assert.deepEqual(lab.log, ['0 ↑ OPTIONS', '32000 ↑ end normal'])
    assert.ok(lab.clean())
  })
})

describe('RFC 3261 §9.2 a CANCEL that comes in', () => {
  it('is shown with the INVITE it is for, and is a transaction of its own', () => {
    const lab = transactionLab()
    lab.layer.onMessage(invite, lab.udp)
    const cancel = aRequest('CANCEL')
    lab.layer.onMessage(cancel, lab.udp)
    lab.accepted[1]?.respond(anAnswer(cancel, 200))
    lab.accepted[0]?.respond(anAnswer(invite, 487))
    lab.layer.onMessage(cancel, lab.udp)
    assert.deepEqual(lab.log, [
      '0 ↑ INVITE',
      `0 ↑ CANCEL of ${lab.accepted[0]?.id}`,
      '0 → 200',
      '0 → 487',
      '0 → 200',
    ])
    assert.deepEqual(lab.layer.counts, {
      inviteClient: 0,
      inviteServer: 1,
      nonInviteClient: 0,
      nonInviteServer: 1,
    })
    // The CANCEL's only absorbs repetitions; the INVITE's awaits the ACK of its 487.
    assert.equal(lab.layer.pending, 1)
    lab.layer.onMessage(ack, lab.udp)
    assert.equal(lab.layer.pending, 0)
    assert.equal(lab.clean(), false)
    lab.clock.advance(32_000)
    assert.ok(lab.clean())
  })

  it('is shown with nothing when there is no such INVITE', () => {
    const lab = transactionLab()
    lab.layer.onMessage(aRequest('CANCEL', { branch: 'z9hG4bKother' }), lab.udp)
    assert.deepEqual(lab.log, ['0 ↑ CANCEL of nothing'])
  })
})

describe('the way back of responses (RFC 3261 §18.2.2)', () => {
  it('is looked up once', () => {
    const lab = transactionLab()
    let asked = 0
    lab.responseFlow = (_request, _flow, then) => {
      asked++
      then(lab.tcp)
    }
    answered(lab, invite, 100)
    lab.accepted[0]?.respond(anAnswer(invite, 180))
    lab.accepted[0]?.respond(anAnswer(invite, 200))
    assert.equal(asked, 1)
  })

  it('is looked up again when its connection has closed since', () => {
    const lab = transactionLab()
    answered(lab, invite, 180, lab.tcp)
    lab.tcp.closed = true
    lab.responseFlow = (_request, _flow, then) => then(lab.udp)
    lab.accepted[0]?.respond(anAnswer(invite, 200))
    assert.deepEqual(lab.log, ['0 ↑ INVITE', '0 → 180', '0 → 200'])
  })

  it('may take a while: responses keep their order, and outlive the transaction', () => {
    const lab = transactionLab()
    let found = idle
    lab.responseFlow = (_request, _flow, then) => {
      found = then
    }
    answered(lab, options, 100, lab.tcp)
    lab.accepted[0]?.respond(anAnswer(options, 200))
    assert.deepEqual(lab.taken(), ['0 ↑ OPTIONS', '0 ↑ end normal'])
    found(lab.tcp)
    assert.deepEqual(lab.taken(), ['0 → 100', '0 → 200'])
    assert.ok(lab.clean())
  })

  it('that fails is told once, and the transaction stays where it is (RFC 6026 §8.8)', () => {
    const lab = transactionLab()
    lab.udp.onSend = () => false
    answered(lab, invite, 486)
    assert.deepEqual(lab.taken(), ['0 ↑ INVITE', '0 → 486 failed', '0 ↑ transport error'])
    lab.udp.onSend = () => true
    lab.clock.advance(500)
    assert.deepEqual(lab.taken(), ['500 → 486'])
    lab.layer.onMessage(ack, lab.udp)
    lab.clock.advance(5000)
    assert.ok(lab.clean())
  })

  it('that does not exist is told once', () => {
    const lab = transactionLab()
    lab.responseFlow = (_request, _flow, then) => then(null)
    answered(lab, options, 200)
    lab.layer.onMessage(options, lab.udp)
    assert.deepEqual(lab.log, ['0 ↑ OPTIONS', '0 ↑ transport error'])
    lab.clock.advance(32_000)
    assert.ok(lab.clean())
  })
})
