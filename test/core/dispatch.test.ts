import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Outcome } from '../../src/core/verdict.ts'
import { decision, lab, relay, reply, request } from './lab.ts'

const ALICE = '10.0.0.1'
const BOB = '10.0.0.2'

describe('admission before state', () => {
  it('drops a datagram when there is no room, and the repetitions of it are one attempt', () => {
    const l = lab()
    l.state.full = true
    l.receive(request('INVITE'), ALICE)
    l.receive(request('INVITE'), ALICE)
    assert.deepEqual(l.ladder, [`← ${ALICE} INVITE`, `← ${ALICE} INVITE`])
    assert.equal(l.shed.length, 2)
    assert.equal(l.records.length, 0)
    l.clock.advance(32_000)
    assert.deepEqual(
      l.decided.map((d) => [d.result, d.code]),
      [['shed', 0]],
    )
    assert.deepEqual(
      l.records.map((r) => [r.disconnectInitiator, r.setupMs]),
      [['server', null]],
    )
    assert.deepEqual(l.leftovers(), [])
  })

  it('makes one record of an attempt that was admitted in the end', () => {
    const l = lab()
    l.state.full = true
    l.receive(request('INVITE'), ALICE)
    l.state.full = false
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 486)
    l.clock.advance(70_000)
    assert.deepEqual(
      l.decided.map((d) => d.result),
      ['busy'],
    )
    assert.equal(l.records.length, 1)
    assert.deepEqual(l.leftovers(), [])
  })

  it('answers 503 with Retry-After on a stream, without state, and knows its ACK', () => {
    const l = lab()
    l.state.full = true
    l.receive(request('INVITE'), ALICE, 'tcp')
    assert.equal(l.lastResponse().status, 503)
    assert.equal(l.lastResponse().headers.first('retry-after'), '5')
    l.receive(request('ACK', { toTag: l.lastResponse().toTag ?? '' }), ALICE, 'tcp')
    assert.equal(l.ladder.at(-1), `← ${ALICE} ACK`)
    assert.deepEqual(
      l.decided.map((d) => [d.result, d.code]),
      [['shed', 503]],
    )
    assert.deepEqual(l.leftovers(), [])
  })

  it('answers 500 when the script handles no such method', () => {
    const l = lab()
    l.handled.clear()
    const failed: unknown[] = []
    l.spine.scriptFailed.subscribe(({ handler, reason, what }) => failed.push([handler, reason, what]))
    l.receive(request('INVITE'), ALICE)
    assert.deepEqual(failed, [['onRequest', 'no_handler', 'the script has no handler for INVITE']])
    assert.deepEqual([l.lastResponse().status, l.lastResponse().reason], [500, 'No Script Handler'])
    assert.equal(l.records[0]?.disconnectInitiator, 'server')
  })
})

describe('the kind of a record', () => {
  const failed = { ok: false, reason: 'exception', what: 'thrown' } as const
  const kindAfter = (...outcomes: readonly Outcome[]): unknown => {
    const l = lab()
    l.handled.add('invite')
    l.failing.push(...outcomes)
    l.receive(request('INVITE'), ALICE)
    l.clock.advance(70_000)
    return [l.records[0]?.kind, l.records[0]?.responseCode]
  }

  it('is b2bua once b2bua.onInvite was asked, though nobody was dialled', () => {
    assert.deepEqual(kindAfter({ ok: true, decision: reply(603) }), ['b2bua', 603])
    assert.deepEqual(kindAfter(failed), ['b2bua', 500])
  })

  it('is proxy where call.proxy() handed the INVITE on, and where nobody was asked', () => {
    assert.deepEqual(kindAfter({ ok: true, decision: reply(603), handedOn: true }), ['proxy', 603])
    assert.deepEqual(kindAfter({ ...failed, handedOn: true }), ['proxy', 500])
    const l = lab()
    l.handled.add('invite')
    l.receive(request('INVITE', { headers: ['Max-Forwards: 0'] }), ALICE)
    assert.deepEqual([l.records[0]?.kind, l.records[0]?.responseCode], ['proxy', 483])
  })

  it('is b2bua when the caller hung up while b2bua.onInvite was thinking', () => {
    const l = lab()
    l.handled.add('invite')
    l.state.auto = false
    l.receive(request('INVITE'), ALICE)
    l.receive(request('CANCEL', { branch: 'z9hG4bK-INVITE-1' }), ALICE)
    l.run()
    assert.deepEqual([l.records[0]?.kind, l.records[0]?.responseCode], ['b2bua', 487])
  })
})

describe('drain', () => {
  it('refuses what would begin a dialog and lets everything else go on', () => {
    const l = lab()
    l.script.request.push(relay(null, { recordRoute: true }))
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 200)
    l.dispatch.drain(30)
    l.receive(request('INVITE', { callId: 'call-2', branch: 'z9hG4bK-2' }), ALICE)
    assert.equal(l.lastResponse().status, 503)
    assert.equal(l.lastResponse().headers.first('retry-after'), '30')
    assert.deepEqual(
      l.records.map((r) => [r.callId, r.disconnectInitiator]),
      [['call-2', 'server']],
    )
    assert.equal(l.decided[1]?.result, 'unavailable')
    l.receive(request('MESSAGE'), ALICE)
    assert.equal(l.ladder.at(-1), `→ ${BOB} MESSAGE`)
    l.receive(request('BYE', { toTag: `t-${BOB}`, cseq: 2 }), ALICE)
    l.answer(BOB, 'BYE', 200)
    assert.equal(l.dialogs.size, 0)
  })
})

describe('RFC 3261 §16.3 what is refused without asking the script', () => {
  const refused = [
    ['483 when no hops are left', request('MESSAGE', { headers: ['Max-Forwards: 0'] }), 483],
    ['416 for a scheme it does not know', request('MESSAGE', { uri: 'urn:service:sos' }), 416],
    [
      '420 for what a proxy would have to know',
      request('MESSAGE', { headers: ['Max-Forwards: 9', 'Proxy-Require: foo, bar'] }),
      420,
    ],
  ] as const
  for (const [name, message, status] of refused) {
    it(`answers ${name}`, () => {
      const l = lab()
      l.receive(message, ALICE)
      assert.equal(l.lastResponse().status, status)
      assert.equal(l.asked.length, 0)
      if (status === 420) assert.equal(l.lastResponse().headers.first('unsupported'), 'foo, bar')
    })
  }

  it('answers 482 to what comes back unchanged, and lets a spiral pass (RFC 5393)', () => {
    const l = lab()
    l.script.request.push(relay('sip:192.0.2.1'))
    l.receive(request('INVITE'), ALICE)
    const looped = l.lastTo('192.0.2.1', 'INVITE')
    const spiral = looped.clone()
    l.receive(looped, '192.0.2.1')
    assert.equal(l.ladder.at(-1), '→ 192.0.2.1 482')
    spiral.uri = 'sip:carol@10.0.0.3'
    spiral.headers.replaceFirst('via', 'SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother')
    l.receive(spiral, '192.0.2.1')
    assert.equal(l.ladder.at(-1), '→ 10.0.0.3 INVITE')
  })
})

describe('what the engine answers itself, and what it hands on', () => {
  it('answers OPTIONS to itself and asks the script about any other', () => {
    const l = lab()
    l.receive(request('OPTIONS', { uri: 'sip:192.0.2.1:5060' }), ALICE)
    assert.equal(l.lastResponse().status, 200)
    assert.match(l.lastResponse().headers.first('allow') ?? '', /INVITE/)
    assert.equal(l.lastResponse().headers.has('accept') && l.lastResponse().headers.has('supported'), true)
    assert.equal(l.asked.length, 0)
    l.receive(request('OPTIONS', { branch: 'z9hG4bK-2' }), ALICE)
    assert.equal(l.asked.length, 1)
  })

  it('hands a save to the registrar, with the user the script authenticated', () => {
    const l = lab()
    l.script.request.push(decision({ do: 'save' }, { authUser: 'alice' }))
    l.receive(request('REGISTER', { uri: 'sip:b.example' }), ALICE)
    assert.equal(l.lastResponse().headers.first('x-user'), 'alice')
  })

  it('answers 500 to a verdict that the request cannot have', () => {
    for (const verdict of [{ do: 'save' }, { do: 'drop' }, { do: 'pass' }] as const) {
      const l = lab()
      l.script.request.push(decision(verdict))
      l.receive(request('MESSAGE'), ALICE)
      assert.equal(l.lastResponse().status, 500)
    }
  })

  it('tells the script that a Route of ours was consumed', () => {
    const l = lab()
    l.receive(
      request('BYE', { toTag: 'x', headers: ['Max-Forwards: 9', 'Route: <sip:192.0.2.1;lr>'] }),
      ALICE,
    )
    assert.equal(l.asked[0]?.routeConsumed, true)
    assert.equal(l.lastTo(BOB, 'BYE').headers.has('route'), false)
  })

  it('forwards no stray ACK to itself and no response that nobody waits for', () => {
    const l = lab()
    l.receive(request('ACK', { uri: 'sip:192.0.2.1:5060', toTag: 'x' }), ALICE)
    assert.equal(l.ladder.filter((line) => line.startsWith('→')).length, 0)
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 200)
    l.clock.advance(70_000)
    l.answer(BOB, 'INVITE', 200)
    assert.equal(l.ladder.at(-1), `← ${BOB} 200`)
  })
})

describe('where an ACK may go', () => {
  const US = '192.0.2.1'
  const ROUTE = 'Route: <sip:192.0.2.1;lr>'
  type Lab = ReturnType<typeof lab>
  /** How many ACKs were sent. */
  const acks = (l: Lab): number => l.ladder.filter((line) => /^→ .* ACK$/.test(line)).length

  it('nowhere when it came by no Route of ours and is for nothing that we know', () => {
    const l = lab()
    l.receive(request('ACK', { uri: 'sip:x@10.0.0.9:2222;transport=tcp', toTag: 'zz' }), ALICE)
    l.receive(request('ACK', { uri: 'sip:x@victim.example' }), ALICE)
    l.receive(request('ACK', { toTag: 'zz', headers: ['Route: <sip:10.0.0.9;lr>'] }), ALICE)
    assert.equal(acks(l), 0)
    assert.equal(l.resolving.length, 0)
    assert.deepEqual(l.leftovers(), [])
  })

  it('on by a Route of ours, the INVITE known or not: we may have been restarted', () => {
    const l = lab()
    l.receive(request('ACK', { toTag: 'x', headers: ['Max-Forwards: 70', ROUTE] }), ALICE)
    assert.equal(l.ladder.at(-1), `→ ${BOB} ACK`)
    l.receive(request('ACK', { toTag: 'x', headers: ['Max-Forwards: 0', ROUTE] }), ALICE)
    assert.equal(acks(l), 1)
  })

  it('on by its Request-URI while the callee may repeat a 2xx that was not record-routed', () => {
    const l = lab()
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 200)
    l.clock.advance(31_900)
    l.receive(request('ACK', { toTag: `t-${BOB}` }), ALICE)
    // Of another fork.
    l.receive(request('ACK', { toTag: 'other', branch: 'z9hG4bK-2' }), ALICE)
    assert.equal(acks(l), 2)
    l.receive(request('ACK', { toTag: `t-${BOB}`, fromTag: 'guess' }), ALICE)
    l.receive(request('ACK', { toTag: `t-${BOB}`, callId: 'guess' }), ALICE)
    assert.equal(acks(l), 2)
    l.clock.advance(200)
    l.receive(request('ACK', { toTag: `t-${BOB}` }), ALICE)
    assert.equal(acks(l), 2)
    assert.deepEqual(l.leftovers(), [])
  })

  it('on after a re-INVITE that came by no Route, from either side', () => {
    const l = lab()
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 200)
    l.clock.advance(20_000)
    for (const [cseq, from, to] of [
      [2, 'a', `t-${BOB}`],
      [3, `t-${BOB}`, 'a'],
    ] as const) {
      const ids = { cseq, fromTag: from, toTag: to, branch: `z9hG4bK-${cseq}` }
      l.receive(request('INVITE', ids), ALICE)
      l.answer(BOB, 'INVITE', 200)
    }
    l.clock.advance(31_900)
    l.receive(request('ACK', { fromTag: 'a', toTag: `t-${BOB}` }), ALICE)
    l.receive(request('ACK', { fromTag: `t-${BOB}`, toTag: 'a' }), ALICE)
    assert.equal(acks(l), 2)
    l.clock.advance(200)
    assert.deepEqual(l.leftovers(), [])
  })

  it('on within a dialog we follow, from a caller that leaves our Route out', () => {
    const l = lab()
    l.script.request.push(relay(null, { recordRoute: true }))
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 200)
    l.receive(request('ACK', { toTag: `t-${BOB}` }), ALICE)
    assert.equal(l.ladder.at(-1), `→ ${BOB} ACK`)
    l.receive(request('ACK', { toTag: 'guess' }), ALICE)
    assert.equal(acks(l), 1)
  })

  it('nowhere for a 200 of the script itself, a refusal and an INVITE that is not answered', () => {
    const l = lab()
    l.script.request.push(reply(200), reply(486), relay())
    l.receive(request('INVITE'), ALICE)
    l.receive(request('ACK', { toTag: l.lastResponse().toTag ?? '' }), ALICE)
    l.receive(request('INVITE', { callId: 'call-2', branch: 'z9hG4bK-2' }), ALICE)
    l.receive(request('ACK', { callId: 'call-2', toTag: l.lastResponse().toTag ?? '' }), ALICE)
    l.receive(request('INVITE', { callId: 'call-3', branch: 'z9hG4bK-3' }), ALICE)
    l.receive(request('ACK', { callId: 'call-3', toTag: 'x' }), ALICE)
    assert.equal(acks(l), 0)
  })

  it('through us again for each Route of ours: a call that spirals', () => {
    const l = lab()
    l.receive(request('ACK', { toTag: 'x', headers: ['Max-Forwards: 70', ROUTE, ROUTE] }), ALICE)
    const again = l.lastTo(US, 'ACK')
    assert.deepEqual(again.headers.all('route'), ['<sip:192.0.2.1;lr>'])
    l.receive(again, US)
    assert.equal(l.lastTo(BOB, 'ACK').headers.has('route'), false)
    assert.equal(l.lastTo(BOB, 'ACK').headers.count('via'), 3)
  })

  it('to us once and not for ever where the remote target is ourselves', () => {
    const l = lab()
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 200)
    l.receive(request('ACK', { uri: 'sip:bob@192.0.2.1', toTag: 'x' }), ALICE)
    l.receive(l.lastTo(US, 'ACK'), US)
    assert.equal(acks(l), 1)
  })
})
