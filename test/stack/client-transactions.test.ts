import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Flow } from '../../src/stack/transport.ts'
import { aRequest, anAnswer } from '../sip/transaction/messages.ts'
import { toTcp, toUdp, transactionLab } from './transaction-lab.ts'

const invite = aRequest('INVITE')
const bye = aRequest('BYE')
const idle = (_flow: Flow | null): void => {}

describe('RFC 3261 §17.1.1 INVITE client transactions in time', () => {
  it('retransmits at T1, 3T1, 7T1 … until timer B, 32 simulated seconds in no real time', () => {
    const lab = transactionLab()
    lab.layer.request(invite, toUdp, lab.user)
    lab.clock.advance(60_000)
    assert.deepEqual(lab.log, [
      '0 → INVITE',
      '500 → INVITE',
      '1500 → INVITE',
      '3500 → INVITE',
      '7500 → INVITE',
      '15500 → INVITE',
      '31500 → INVITE',
      '32000 ↑ end timeout',
    ])
    assert.deepEqual(
      lab.retransmitted,
      Array.from({ length: 6 }, () => 'out INVITE'),
    )
    assert.ok(lab.clean())
  })

  it('sends once over a reliable transport', () => {
    const lab = transactionLab()
    lab.layer.request(invite, toTcp, lab.user)
    lab.clock.advance(60_000)
    assert.deepEqual(lab.log, ['0 → INVITE', '32000 ↑ end timeout'])
    assert.ok(lab.clean())
  })

  it('waits without end once there is a provisional response, and has no timer then', () => {
    const lab = transactionLab()
    lab.layer.request(invite, toUdp, lab.user)
    lab.layer.onMessage(anAnswer(invite, 180), lab.udp)
    assert.equal(lab.clock.pendingTimers, 0)
    lab.clock.advance(600_000)
    assert.deepEqual(lab.log, ['0 → INVITE', '0 ↑ 180'])
    assert.equal(lab.layer.counts.inviteClient, 1)
  })

  it('acknowledges each repetition of a final response for timer D', () => {
    const lab = transactionLab()
    lab.layer.request(invite, toUdp, lab.user)
    const busy = anAnswer(invite, 486)
    lab.layer.onMessage(busy, lab.udp)
    lab.clock.advance(500)
    lab.layer.onMessage(busy, lab.udp)
    lab.clock.advance(31_499)
    assert.equal(lab.layer.counts.inviteClient, 1)
    lab.clock.advance(1)
    assert.deepEqual(lab.log, ['0 → INVITE', '0 → ACK', '0 ↑ 486', '500 → ACK', '32000 ↑ end normal'])
    assert.deepEqual(lab.retransmitted, ['in INVITE', 'out ACK'])
    assert.ok(lab.clean())
  })

  it('is through with the ACK over a reliable transport', () => {
    const lab = transactionLab()
    lab.layer.request(invite, toTcp, lab.user)
    lab.layer.onMessage(anAnswer(invite, 486), lab.tcp)
    assert.deepEqual(lab.log, ['0 → INVITE', '0 → ACK', '0 ↑ 486', '0 ↑ end normal'])
    assert.ok(lab.clean())
  })

  it('passes every 2xx up for timer M, then as a stray (RFC 6026 §7.2, §8.9)', () => {
    const lab = transactionLab()
    lab.layer.request(invite, toUdp, lab.user)
    const ok = anAnswer(invite, 200)
    lab.layer.onMessage(ok, lab.udp)
    lab.clock.advance(31_999)
    lab.layer.onMessage(ok, lab.udp)
    lab.clock.advance(1)
    lab.layer.onMessage(ok, lab.udp)
    assert.deepEqual(lab.log, [
      '0 → INVITE',
      '0 ↑ 200',
      '31999 ↑ 200',
      '32000 ↑ end normal',
      '32000 ↑ stray 200',
    ])
    assert.ok(lab.clean())
  })
})

describe('RFC 3261 §17.1.2 non-INVITE client transactions in time', () => {
  it('retransmits at intervals that double up to T2, until timer F', () => {
    const lab = transactionLab()
    lab.layer.request(bye, toUdp, lab.user)
    lab.clock.advance(60_000)
    const times = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
    assert.deepEqual(lab.log, [...times.map((at) => `${at} → BYE`), '32000 ↑ end timeout'])
    assert.ok(lab.clean())
  })

  it('retransmits every T2 after a provisional response, until timer F', () => {
    const lab = transactionLab()
    lab.layer.request(bye, toUdp, lab.user)
    lab.layer.onMessage(anAnswer(bye, 100), lab.udp)
    lab.clock.advance(60_000)
    const times = [500, 4500, 8500, 12_500, 16_500, 20_500, 24_500, 28_500]
    assert.deepEqual(lab.log, [
      '0 → BYE',
      '0 ↑ 100',
      ...times.map((at) => `${at} → BYE`),
      '32000 ↑ end timeout',
    ])
    assert.ok(lab.clean())
  })

  it('absorbs repeated final responses for timer K', () => {
    const lab = transactionLab()
    lab.layer.request(bye, toUdp, lab.user)
    const ok = anAnswer(bye, 200)
    lab.layer.onMessage(ok, lab.udp)
    lab.clock.advance(4999)
    lab.layer.onMessage(ok, lab.udp)
    assert.equal(lab.layer.counts.nonInviteClient, 1)
    lab.clock.advance(1)
    lab.layer.onMessage(ok, lab.udp)
    assert.deepEqual(lab.log, ['0 → BYE', '0 ↑ 200', '5000 ↑ end normal', '5000 ↑ stray 200'])
    assert.deepEqual(lab.retransmitted, ['in BYE'])
    assert.ok(lab.clean())
  })

  it('is through with the final response over a reliable transport', () => {
    const lab = transactionLab()
    lab.layer.request(bye, toTcp, lab.user)
    lab.layer.onMessage(anAnswer(bye, 200), lab.tcp)
    assert.deepEqual(lab.log, ['0 → BYE', '0 ↑ 200', '0 ↑ end normal'])
    assert.ok(lab.clean())
  })

  it('takes no response to another method for its own (§17.1.3)', () => {
    const lab = transactionLab()
    lab.layer.request(bye, toUdp, lab.user)
    lab.layer.onMessage(anAnswer(aRequest('OPTIONS'), 200), lab.udp)
    lab.layer.onMessage(anAnswer(aRequest('INVITE'), 200), lab.udp)
    assert.deepEqual(lab.log, ['0 → BYE', '0 ↑ stray 200', '0 ↑ stray 200'])
  })
})

describe('RFC 3261 §9.1 cancelling in time', () => {
  it('sends the CANCEL on the flow of the INVITE, as a transaction with the same branch', () => {
    const lab = transactionLab()
    const client = lab.layer.request(invite, toUdp, lab.user)
    lab.layer.onMessage(anAnswer(invite, 180), lab.udp)
    client.cancel()
    assert.deepEqual(lab.layer.counts, {
      inviteClient: 1,
      inviteServer: 0,
      nonInviteClient: 1,
      nonInviteServer: 0,
    })
    lab.clock.advance(500)
    lab.layer.onMessage(anAnswer(aRequest('CANCEL'), 200), lab.udp)
    lab.layer.onMessage(anAnswer(invite, 487), lab.udp)
    assert.deepEqual(lab.log, [
      '0 → INVITE',
      '0 ↑ 180',
      '0 → CANCEL',
      '500 → CANCEL',
      '500 → ACK',
      '500 ↑ 487',
    ])
    lab.clock.advance(40_000)
    assert.ok(lab.clean())
  })

  it('waits for a provisional response, and a final one makes it needless', () => {
    const lab = transactionLab()
    const early = lab.layer.request(invite, toUdp, lab.user)
    early.cancel()
    assert.deepEqual(lab.taken(), ['0 → INVITE'])
    lab.layer.onMessage(anAnswer(invite, 100), lab.udp)
    assert.deepEqual(lab.taken(), ['0 ↑ 100', '0 → CANCEL'])

    const other = aRequest('INVITE', { branch: 'z9hG4bKtwo' })
    lab.layer.request(other, toUdp, lab.user).cancel()
    lab.layer.onMessage(anAnswer(other, 200), lab.udp)
    assert.deepEqual(lab.taken(), ['0 → INVITE', '0 ↑ 200'])
  })

  it('ends an INVITE that never gets its 487, 32 s after the CANCEL', () => {
    const lab = transactionLab()
    const client = lab.layer.request(invite, toTcp, lab.user)
    lab.layer.onMessage(anAnswer(invite, 180), lab.tcp)
    client.cancel()
    lab.clock.advance(40_000)
    assert.deepEqual(lab.log, ['0 → INVITE', '0 ↑ 180', '0 → CANCEL', '32000 ↑ end timeout'])
    assert.ok(lab.clean())
  })

  it('does nothing to another request', () => {
    const lab = transactionLab()
    const client = lab.layer.request(bye, toUdp, lab.user)
    lab.layer.onMessage(anAnswer(bye, 100), lab.udp)
    client.cancel()
    assert.deepEqual(lab.log, ['0 → BYE', '0 ↑ 100'])
  })
})

describe('RFC 3261 §17.1.4 transport errors of client transactions', () => {
  for (const request of [invite, bye]) {
    const { method } = request

    it(`${method}: leaves no timer behind when the very first send fails`, () => {
      const lab = transactionLab()
      lab.udp.onSend = () => false
      const client = lab.layer.request(request, toUdp, lab.user)
      assert.deepEqual(lab.log, [`0 → ${method} failed`, '0 ↑ end transport'])
      assert.equal(client.state, 'terminated')
      assert.ok(lab.clean())
    })

    it(`${method}: ends when its datagram is found not to have left, once a first answer has come no more`, () => {
      const lab = transactionLab()
      lab.layer.request(request, toUdp, lab.user)
      lab.layer.onUnsent(request)
      lab.layer.onUnsent(request)
      assert.deepEqual(lab.taken(), [`0 → ${method}`, '0 ↑ end transport'])
      assert.ok(lab.clean())
      lab.layer.request(request, toUdp, lab.user)
      lab.layer.onMessage(anAnswer(request, 100), lab.udp)
      lab.layer.onUnsent(request)
      assert.deepEqual(lab.taken(), [`0 → ${method}`, '0 ↑ 100'])
    })

    it(`${method}: ends when a repetition cannot be sent`, () => {
      const lab = transactionLab()
      lab.layer.request(request, toUdp, lab.user)
      lab.udp.onSend = () => false
      lab.clock.advance(60_000)
      assert.deepEqual(lab.log, [`0 → ${method}`, `500 → ${method} failed`, '500 ↑ end transport'])
      assert.deepEqual(lab.retransmitted, [])
      assert.ok(lab.clean())
    })

    it(`${method}: ends when there is no way to the target, found out at once or later`, () => {
      const lab = transactionLab()
      lab.reach = (_target, then) => then(null)
      lab.layer.request(request, toTcp, lab.user)
      assert.deepEqual(lab.taken(), ['0 ↑ end transport'])
      let refuse = idle
      lab.reach = (_target, then) => {
        refuse = then
      }
      lab.layer.request(request, toTcp, lab.user)
      lab.clock.advance(100)
      refuse(null)
      assert.deepEqual(lab.taken(), ['100 ↑ end transport'])
      assert.ok(lab.clean())
    })

    it(`${method}: does not wait for a connection longer than for an answer`, () => {
      const lab = transactionLab()
      let connected = idle
      lab.reach = (_target, then) => {
        connected = then
      }
      lab.layer.request(request, toTcp, lab.user)
      lab.clock.advance(60_000)
      connected(lab.tcp)
      assert.deepEqual(lab.log, ['32000 ↑ end timeout'])
      assert.ok(lab.clean())
    })

    it(`${method}: ends when its connection closes, and only those on it do`, () => {
      const lab = transactionLab()
      const ended = lab.layer.request(request, toTcp, lab.user)
      const other = aRequest(method, { branch: 'z9hG4bKother' })
      lab.layer.request(other, toUdp, lab.user)
      lab.taken()
      lab.layer.onFlowClosed(lab.tcp, 'reset')
      lab.layer.onFlowClosed(lab.tcp, 'reset')
      assert.deepEqual(lab.taken(), ['0 ↑ end transport'])
      assert.equal(ended.state, 'terminated')
      lab.layer.onMessage(anAnswer(other, 200), lab.udp)
      assert.deepEqual(lab.taken(), ['0 ↑ 200'])
      lab.clock.advance(60_000)
      assert.ok(lab.clean())
    })
  }

  it('sends once the connection is there', () => {
    const lab = transactionLab()
    let connected = idle
    lab.reach = (_target, then) => {
      connected = then
    }
    const client = lab.layer.request(invite, toTcp, lab.user)
    assert.equal(client.flow, null)
    lab.clock.advance(30)
    connected(lab.tcp)
    assert.equal(client.flow, lab.tcp)
    lab.layer.onMessage(anAnswer(invite, 180), lab.tcp)
    assert.deepEqual(lab.log, ['30 → INVITE', '30 ↑ 180'])
  })

  it('keeps an accepted INVITE when its connection closes: a 2xx may come another way', () => {
    const lab = transactionLab()
    lab.layer.request(invite, toTcp, lab.user)
    lab.layer.onMessage(anAnswer(invite, 200), lab.tcp)
    lab.layer.onFlowClosed(lab.tcp, null)
    lab.layer.onMessage(anAnswer(invite, 200), lab.udp)
    assert.deepEqual(lab.log, ['0 → INVITE', '0 ↑ 200', '0 ↑ 200'])
    lab.clock.advance(32_000)
    assert.ok(lab.clean())
  })
})
