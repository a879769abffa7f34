import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decision, fork, lab, relay, reply, request } from './lab.ts'

const ALICE = '10.0.0.1'
const BOB = '10.0.0.2'

type Lab = ReturnType<typeof lab>

/** A record-routed call that Bob answers. */
function answered(l: Lab): void {
  l.script.request.push(relay(null, { recordRoute: true }))
  l.receive(request('INVITE'), ALICE)
  l.answer(BOB, 'INVITE', 180)
  l.answer(BOB, 'INVITE', 200)
  l.receive(
    request('ACK', { toTag: `t-${BOB}`, headers: ['Max-Forwards: 70', 'Route: <sip:192.0.2.1:5060;lr>'] }),
    ALICE,
  )
}

function bye(l: Lab, headers: readonly string[] = []): void {
  const route = ['Max-Forwards: 70', 'Route: <sip:192.0.2.1:5060;lr>', ...headers]
  l.receive(request('BYE', { toTag: `t-${BOB}`, cseq: 2, headers: route }), ALICE)
}

describe('RFC 3261 §16: a call through the proxy', () => {
  it('passes INVITE, 180, 200, ACK, BYE, 200 and leaves nothing behind', () => {
    const l = lab()
    answered(l)
    assert.equal(l.dialogs.size, 1)
    assert.equal(l.calls.active, 1)
    l.clock.advance(10_000)
    bye(l, ['Reason: Q.850;cause=16'])
    l.answer(BOB, 'BYE', 200)
    assert.deepEqual(l.ladder, [
      `← ${ALICE} INVITE`,
      `→ ${ALICE} 100`,
      `→ ${BOB} INVITE`,
      `← ${BOB} 180`,
      `→ ${ALICE} 180`,
      `← ${BOB} 200`,
      `→ ${ALICE} 200`,
      `← ${ALICE} ACK`,
      `→ ${BOB} ACK`,
      `← ${ALICE} BYE`,
      `→ ${BOB} BYE`,
      `← ${BOB} 200`,
      `→ ${ALICE} 200`,
    ])
    assert.equal(l.dialogs.size, 0)
    assert.equal(l.calls.active, 0)
    assert.deepEqual(l.decided, [{ callId: 'call-1', result: 'answered', code: 200, setupMs: 0 }])
    const [record] = l.records
    assert.equal(l.records.length, 1)
    assert.equal(record?.durationMs, 10_000)
    assert.equal(record?.disconnectInitiator, 'caller')
    assert.equal(record?.sipReason, 'Q.850;cause=16')
    assert.equal(record?.destinationIp, BOB)
    assert.equal(record?.fromUri, 'sip:alice@a.example')
    l.clock.advance(60_000)
    assert.deepEqual(l.leftovers(), [])
  })

  it('changes only what §16.6 names', () => {
    const l = lab()
    l.script.request.push(relay(null, { recordRoute: true }))
    l.receive(
      request('INVITE', { headers: ['Max-Forwards: 70', 'Record-Route: <sip:edge.example;lr>'] }),
      ALICE,
    )
    const invite = l.lastTo(BOB, 'INVITE')
    assert.equal(invite.uri, 'sip:bob@10.0.0.2')
    assert.equal(invite.headers.first('max-forwards'), '69')
    assert.deepEqual(invite.headers.all('record-route'), ['<sip:192.0.2.1:5060;lr>', '<sip:edge.example;lr>'])
    assert.match(
      invite.headers.first('via') ?? '',
      /^SIP\/2\.0\/UDP 192\.0\.2\.1:5060;branch=z9hG4bKours\d+\.[0-9a-f]+$/,
    )
    assert.equal(invite.headers.count('via'), 2)
  })

  it('names both ways in Record-Route when the transport changes (RFC 5658)', () => {
    const l = lab()
    l.script.request.push(relay('sip:10.0.0.2;transport=tcp', { recordRoute: true }))
    l.receive(request('INVITE'), ALICE)
    assert.deepEqual(l.lastTo(BOB, 'INVITE').headers.all('record-route'), [
      '<sip:192.0.2.1:5060;transport=tcp;lr;r2=on>',
      '<sip:192.0.2.1:5060;lr;r2=on>',
    ])
  })

  it('follows a call without Record-Route to its 2xx only', () => {
    const l = lab()
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 200)
    assert.equal(l.records[0]?.endedAt, null)
    assert.equal(l.records[0]?.durationMs, 0)
    assert.equal(l.decided[0]?.result, 'answered')
    assert.equal(l.calls.active, 0)
    l.clock.advance(60_000)
    assert.deepEqual(l.leftovers(), [])
  })

  it('passes each 2xx repetition and makes no second record of it', () => {
    const l = lab()
    answered(l)
    l.answer(BOB, 'INVITE', 200)
    assert.equal(l.ladder.filter((line) => line === `→ ${ALICE} 200`).length, 2)
    bye(l)
    l.answer(BOB, 'BYE', 200)
    l.answer(BOB, 'INVITE', 200)
    assert.equal(l.dialogs.size, 0)
    assert.equal(l.records.length, 1)
    l.clock.advance(60_000)
    assert.deepEqual(l.leftovers(), [])
  })

  it('replaces the Request-URI for a fork and not for a relay target', () => {
    const l = lab()
    l.script.request.push(relay('sip:10.0.0.9:5080'))
    l.receive(request('INVITE'), ALICE)
    assert.equal(l.lastTo('10.0.0.9', 'INVITE').uri, 'sip:bob@10.0.0.2')
    l.script.request.push(fork(['sip:bob@10.0.0.7:5070?Subject=x']))
    l.receive(request('MESSAGE'), ALICE)
    assert.equal(l.lastTo('10.0.0.7', 'MESSAGE').uri, 'sip:bob@10.0.0.7:5070')
  })

  it('names the party that the Request-URI last went to, and then the one that answered', () => {
    const l = lab()
    const party = () => l.calls.page(null, 1).views[0]?.bParty
    l.state.auto = false
    l.script.request.push(fork(['sip:bob@10.0.0.7:5070?Subject=x', 'sip:bob@10.0.0.8']))
    l.receive(request('INVITE'), ALICE)
    assert.equal(party(), null)
    l.state.auto = true
    l.run()
    assert.equal(party(), 'sip:bob@10.0.0.8')
    l.answer('10.0.0.7', 'INVITE', 180)
    assert.equal(party(), 'sip:bob@10.0.0.8')
  })

  it('names the party that answered, whichever went out last', () => {
    const l = lab()
    l.script.request.push(
      fork(['sip:bob@10.0.0.7:5070?Subject=x', 'sip:bob@10.0.0.8'], 'parallel', { recordRoute: true }),
    )
    l.receive(request('INVITE'), ALICE)
    l.answer('10.0.0.7', 'INVITE', 200)
    assert.equal(l.calls.page(null, 1).views[0]?.bParty, 'sip:bob@10.0.0.7:5070')
  })

  it("makes the script's edits on the copy, the Request-URI included", () => {
    const l = lab()
    l.script.request.push(
      relay(null, {
        edits: [
          ['set', 'X-One', '1'],
          ['ruri', 'sip:carol@10.0.0.3'],
          ['body', 'hi', 'text/plain'],
        ],
      }),
    )
    l.receive(request('MESSAGE'), ALICE)
    const message = l.lastTo('10.0.0.3', 'MESSAGE')
    assert.equal(message.uri, 'sip:carol@10.0.0.3')
    assert.equal(message.headers.first('x-one'), '1')
    assert.equal(message.headers.first('content-type'), 'text/plain')
    assert.equal(message.body, 'hi')
  })

  it('reaches a registered contact over its own connection (RFC 5626)', () => {
    const l = lab()
    const flow = l.flowOf('10.0.0.4', 'tcp', 40_000)
    l.registered.set('sip:bob@10.9.9.9;transport=tcp', flow)
    l.script.request.push(fork(['sip:bob@10.9.9.9;transport=tcp']))
    l.receive(request('MESSAGE'), ALICE)
    assert.equal(l.ladder.at(-1), '→ 10.0.0.4 MESSAGE')
  })

  it('resolves names before it sends, and answers 404 for a name without address', () => {
    const l = lab()
    l.names.set('gw.example.net', ['10.0.0.5'])
    l.script.request.push(relay('sip:gw.example.net'), relay('sip:nowhere.example.net'))
    l.receive(request('INVITE'), ALICE)
    l.resolving.shift()?.()
    assert.equal(l.ladder.at(-1), '→ 10.0.0.5 INVITE')
    l.receive(request('MESSAGE'), ALICE)
    l.resolving.shift()?.()
    assert.equal(l.ladder.at(-1), `→ ${ALICE} 404`)
  })
})

describe('how calls end (contract §3, §5)', () => {
  const refusals = [
    [486, 486, 'busy', 'callee'],
    [600, 600, 'busy', 'callee'],
    [480, 480, 'no_answer', 'callee'],
    [408, 408, 'no_answer', 'callee'],
    [603, 603, 'rejected', 'callee'],
    [404, 404, 'unavailable', 'callee'],
    [503, 500, 'unavailable', 'callee'],
    [500, 500, 'error', 'callee'],
    [407, 407, 'challenged', 'callee'],
  ] as const
  for (const [status, code, result, initiator] of refusals) {
    it(`counts a callee's ${status} after ringing as ${result}`, () => {
      const l = lab()
      l.script.request.push(relay(null, { recordRoute: true }))
      l.receive(request('INVITE'), ALICE)
      l.answer(BOB, 'INVITE', 180)
      assert.equal(l.dialogs.size, 1)
      l.answer(BOB, 'INVITE', status)
      assert.equal(l.ladder.at(-1), `→ ${ALICE} ${code}`)
      l.receive(request('ACK', { branch: 'z9hG4bK-INVITE-1', toTag: l.lastResponse().toTag ?? '' }), ALICE)
      assert.deepEqual(
        l.decided.map((d) => [d.result, d.code]),
        [[result, code]],
      )
      assert.equal(l.records[0]?.disconnectInitiator, initiator)
      assert.equal(l.records[0]?.challenged, status === 407)
      assert.equal(l.ladder.includes(`→ ${BOB} ACK`), true)
      l.clock.advance(60_000)
      assert.deepEqual(l.leftovers(), [])
    })
  }

  it("counts a caller's CANCEL as cancelled, with the 487 from downstream", () => {
    const l = lab()
    l.script.request.push(relay(null, { recordRoute: true }))
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 180)
    l.receive(request('CANCEL', { branch: 'z9hG4bK-INVITE-1', headers: ['Reason: SIP;cause=200'] }), ALICE)
    assert.deepEqual(l.ladder.slice(-2), [`→ ${ALICE} 200`, `→ ${BOB} CANCEL`])
    l.answer(BOB, 'CANCEL', 200)
    l.answer(BOB, 'INVITE', 487)
    assert.equal(l.ladder.at(-1), `→ ${ALICE} 487`)
    assert.equal(l.decided[0]?.result, 'cancelled')
    assert.equal(l.records[0]?.disconnectInitiator, 'caller')
    assert.equal(l.records[0]?.sipReason, 'SIP;cause=200')
    l.clock.advance(70_000)
    assert.deepEqual(l.leftovers(), [])
  })

  it('passes the Reasons of a CANCEL on, to every branch, and none of its own', () => {
    const l = lab()
    const reasons = ['SIP;cause=200;text="Call completed elsewhere"', 'Q.850;cause=16']
    l.script.request.push(fork(['sip:bob@10.0.0.2', 'sip:bob@10.0.0.3']))
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 180)
    const headers = ['Max-Forwards: 70', ...reasons.map((reason) => `Reason: ${reason}`)]
    l.receive(request('CANCEL', { branch: 'z9hG4bK-INVITE-1', headers }), ALICE)
    assert.deepEqual(l.lastTo(BOB, 'CANCEL').headers.all('reason'), reasons)
    // Its CANCEL has waited for this one's first response.
    l.answer('10.0.0.3', 'INVITE', 180)
    assert.deepEqual(l.lastTo('10.0.0.3', 'CANCEL').headers.all('reason'), reasons)

    const other = lab()
    other.script.request.push(fork(['sip:bob@10.0.0.2', 'sip:bob@10.0.0.3']))
    other.receive(request('INVITE'), ALICE)
    other.answer(BOB, 'INVITE', 180)
    other.answer('10.0.0.3', 'INVITE', 603, { headers: [['Reason', 'Q.850;cause=21']] })
    assert.equal(other.lastTo(BOB, 'CANCEL').headers.has('reason'), false)
  })

  it('tells whoever rang beside the one that answered that the call was completed elsewhere', () => {
    const l = lab()
    const [second, third] = ['10.0.0.3', '10.0.0.4']
    l.script.request.push(fork(['sip:bob@10.0.0.2', `sip:bob@${second}`, `sip:bob@${third}`]))
    l.receive(request('INVITE'), ALICE)
    l.answer(second, 'INVITE', 180)
    l.answer(BOB, 'INVITE', 200)
    const elsewhere = ['SIP;cause=200;text="Call completed elsewhere"']
    assert.deepEqual(l.lastTo(second, 'CANCEL').headers.all('reason'), elsewhere)
    // Its CANCEL has waited for this one's first response.
    l.answer(third, 'INVITE', 180)
    assert.deepEqual(l.lastTo(third, 'CANCEL').headers.all('reason'), elsewhere)
  })

  it('lets a 2xx that crosses the CANCEL win', () => {
    const l = lab()
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 180)
    l.receive(request('CANCEL', { branch: 'z9hG4bK-INVITE-1' }), ALICE)
    l.answer(BOB, 'INVITE', 200)
    assert.equal(l.ladder.at(-1), `→ ${ALICE} 200`)
    assert.deepEqual(
      l.decided.map((d) => d.result),
      ['answered'],
    )
  })

  it('answers 487 by itself when the callee never answers the CANCEL', () => {
    const l = lab()
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 180)
    l.receive(request('CANCEL', { branch: 'z9hG4bK-INVITE-1' }), ALICE)
    l.clock.advance(33_000)
    assert.equal(l.lastResponse().status, 487)
    assert.equal(l.decided[0]?.result, 'cancelled')
    l.clock.advance(70_000)
    assert.deepEqual(l.leftovers(), [])
  })

  it('answers 487 when the CANCEL comes while the script thinks, forwards nothing and tells onCancel', () => {
    const l = lab()
    l.state.auto = false
    l.handled.add('cancel')
    l.receive(request('INVITE'), ALICE)
    l.receive(request('CANCEL', { branch: 'z9hG4bK-INVITE-1' }), ALICE)
    l.run()
    assert.deepEqual(l.ladder, [`← ${ALICE} INVITE`, `← ${ALICE} CANCEL`, `→ ${ALICE} 200`, `→ ${ALICE} 487`])
    assert.deepEqual(
      l.asked.map(({ kind }) => kind),
      ['request', 'cancel'],
    )
    l.clock.advance(70_000)
    assert.deepEqual(l.leftovers(), [])
    assert.equal(l.records.length, 1)
  })

  it('answers 481 to a CANCEL for nothing, without state', () => {
    const l = lab()
    l.receive(request('CANCEL'), ALICE)
    assert.equal(l.ladder.at(-1), `→ ${ALICE} 481`)
    assert.deepEqual(l.leftovers(), [])
  })

  it('counts timer B as timeout and timer C as no_answer (§16.8)', () => {
    const l = lab({ timerCMs: 181_000 })
    l.receive(request('INVITE'), ALICE)
    l.clock.advance(32_000)
    assert.equal(l.lastResponse().status, 408)
    assert.deepEqual([l.decided[0]?.result, l.records[0]?.disconnectInitiator], ['timeout', 'timeout'])

    l.receive(request('INVITE', { callId: 'call-2', branch: 'z9hG4bK-2' }), ALICE)
    l.answer(BOB, 'INVITE', 180)
    l.clock.advance(100_000)
    l.answer(BOB, 'INVITE', 180)
    l.clock.advance(180_999)
    assert.equal(l.ladder.includes(`→ ${BOB} CANCEL`), false)
    l.clock.advance(1)
    assert.equal(l.ladder.at(-1), `→ ${BOB} CANCEL`)
    l.answer(BOB, 'INVITE', 487)
    assert.equal(l.lastResponse().status, 408)
    assert.deepEqual([l.decided[1]?.result, l.records[1]?.disconnectInitiator], ['no_answer', 'timeout'])
    l.clock.advance(70_000)
    assert.deepEqual(l.leftovers(), [])
  })

  it('counts an unreachable next hop as error', () => {
    const l = lab()
    l.unreachable.add(BOB)
    l.receive(request('INVITE'), ALICE)
    assert.equal(l.lastResponse().status, 500)
    assert.deepEqual([l.decided[0]?.result, l.records[0]?.disconnectInitiator], ['error', 'error'])
    l.clock.advance(70_000)
    assert.deepEqual(l.leftovers(), [])
  })

  for (const [reason, phrase] of [
    ['exception', 'Script Error'],
    ['timeout', 'Script Timeout'],
    ['worker_lost', 'Script Error'],
  ] as const) {
    it(`answers 500 ${phrase} when the script fails by ${reason}`, () => {
      const l = lab()
      l.failing.push({ ok: false, reason, what: 'x' })
      l.receive(request('INVITE'), ALICE)
      assert.equal(l.lastResponse().reason, phrase)
      assert.deepEqual(
        [l.decided[0]?.result, l.records[0]?.disconnectInitiator, l.records[0]?.responseCode],
        ['error', 'server', 500],
      )
    })
  }

  it("records the script's own reply, its cdr fields and its user", () => {
    const l = lab()
    l.script.request.push({ ...reply(403), cdr: '{"a":1}', authUser: 'alice' })
    l.receive(request('INVITE'), ALICE)
    const [record] = l.records
    assert.deepEqual(
      [record?.responseCode, record?.disconnectInitiator, record?.extra, record?.authUser, record?.requested],
      [403, 'server', '{"a":1}', 'alice', true],
    )
  })

  it('answers 500 to header text that would break the message', () => {
    const l = lab()
    l.script.request.push(reply(200, [['X-Bad', 'a\r\nVia: b']]))
    l.receive(request('MESSAGE'), ALICE)
    assert.deepEqual([l.lastResponse().status, l.lastResponse().reason], [500, 'Script Error'])
  })

  it('ends the call by the callee at its BYE, and keeps it while the BYE is only challenged', () => {
    const l = lab()
    answered(l)
    const fromBob = { uri: 'sip:alice@10.0.0.1', fromTag: `t-${BOB}`, toTag: 'a' }
    l.receive(request('BYE', { ...fromBob, branch: 'z9hG4bKb1' }), BOB)
    l.answer(ALICE, 'BYE', 407)
    assert.equal(l.dialogs.size, 1)
    l.receive(request('BYE', { ...fromBob, branch: 'z9hG4bKb2', cseq: 2 }), BOB)
    l.answer(ALICE, 'BYE', 200)
    assert.equal(l.dialogs.size, 0)
    assert.equal(l.records[0]?.disconnectInitiator, 'callee')
  })

  it('ends the call when nobody answers its BYE, and sends no 408 (RFC 4320)', () => {
    const l = lab()
    answered(l)
    bye(l)
    l.clock.advance(32_000)
    assert.equal(l.ladder.includes(`→ ${ALICE} 408`), false)
    assert.equal(l.records.length, 1)
    l.clock.advance(70_000)
    assert.deepEqual(l.leftovers(), [])
  })

  it('ends a dialog that is never refreshed at its Session-Expires, by timeout', () => {
    const l = lab()
    l.script.request.push(relay(null, { recordRoute: true }))
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 200, { headers: [['Session-Expires', '90;refresher=uac']] })
    l.clock.advance(60_000)
    l.receive(request('UPDATE', { toTag: `t-${BOB}`, cseq: 2 }), ALICE)
    l.answer(BOB, 'UPDATE', 200, { headers: [['Session-Expires', '90']] })
    l.clock.advance(89_000)
    assert.equal(l.dialogs.size, 1)
    l.clock.advance(1_000)
    assert.equal(l.dialogs.size, 0)
    assert.deepEqual([l.records[0]?.disconnectInitiator, l.records[0]?.durationMs], ['timeout', 150_000])
  })

  it('records what is cut off when the server stops', () => {
    const l = lab()
    answered(l)
    l.receive(request('INVITE', { callId: 'call-2', branch: 'z9hG4bK-2' }), ALICE)
    l.dispatch.close()
    l.layer.close()
    assert.deepEqual(
      l.records.map((r) => [r.callId, r.disconnectInitiator, r.responseCode]),
      [
        ['call-1', 'server', 200],
        ['call-2', 'server', 0],
      ],
    )
    assert.deepEqual(
      l.decided.map((d) => d.result),
      ['answered', 'error'],
    )
    assert.deepEqual(l.leftovers(), [])
  })
})

describe('forks', () => {
  const targets = ['sip:bob@10.0.0.2', 'sip:bob@10.0.0.3']

  it('cancels the losers when one answers', () => {
    const l = lab()
    l.script.request.push(fork(targets, 'parallel', { recordRoute: true }))
    l.receive(request('INVITE'), ALICE)
    l.answer('10.0.0.2', 'INVITE', 180)
    l.answer('10.0.0.3', 'INVITE', 180)
    assert.equal(l.dialogs.size, 2)
    l.answer('10.0.0.3', 'INVITE', 200)
    assert.deepEqual(l.ladder.slice(-2), [`→ ${ALICE} 200`, '→ 10.0.0.2 CANCEL'])
    assert.equal(l.dialogs.size, 1)
    l.answer('10.0.0.2', 'CANCEL', 200)
    l.answer('10.0.0.2', 'INVITE', 487)
    assert.equal(l.decided.length, 1)
    assert.equal(l.ladder.includes(`→ ${ALICE} 487`), false)
    l.calls.closeAll('server')
    assert.equal(l.records[0]?.destinationIp, '10.0.0.3')
    l.dialogs.close()
    l.clock.advance(70_000)
    assert.deepEqual(l.leftovers(), [])
  })

  it('of fifty dead phones ends with one 408, and leaves nothing', () => {
    const l = lab()
    l.script.request.push(fork(Array.from({ length: 50 }, (_, i) => `sip:bob@10.0.1.${i}`)))
    l.receive(request('INVITE'), ALICE)
    // Timer B of each.
    l.clock.advance(33_000)
    assert.equal(l.lastResponse().status, 408)
    assert.equal(l.ladder.filter((line) => line === `→ ${ALICE} 408`).length >= 1, true)
    l.clock.advance(70_000)
    assert.equal(l.decided.length, 1)
    assert.deepEqual(l.leftovers(), [])
  })

  it('tries one after another when asked to', () => {
    const l = lab()
    l.script.request.push(fork(targets, 'sequential'))
    l.receive(request('INVITE'), ALICE)
    assert.equal(l.ladder.includes('→ 10.0.0.3 INVITE'), false)
    l.answer('10.0.0.2', 'INVITE', 486)
    assert.equal(l.ladder.at(-1), '→ 10.0.0.3 INVITE')
    l.answer('10.0.0.3', 'INVITE', 200)
    assert.equal(l.lastResponse().status, 200)
  })

  it('has each target once, however often the script names it (§16.5)', () => {
    const [one = '', two = ''] = targets
    for (const strategy of ['parallel', 'sequential'] as const) {
      const l = lab()
      l.script.request.push(fork([one, two, one, one, two], strategy))
      l.receive(request('INVITE', { headers: ['Max-Forwards: 70', 'Max-Breadth: 2'] }), ALICE)
      l.answer('10.0.0.2', 'INVITE', 486)
      l.answer('10.0.0.3', 'INVITE', 486)
      assert.equal(l.lastResponse().status, 486)
      const invites = l.ladder.filter((line) => /^→ .* INVITE$/.test(line))
      assert.deepEqual(invites, ['→ 10.0.0.2 INVITE', '→ 10.0.0.3 INVITE'])
      l.clock.advance(70_000)
      assert.deepEqual(l.leftovers(), [])
    }
  })

  it('keeps two registered contacts of one URI apart, and two gateways', () => {
    const l = lab()
    const [one = ''] = targets
    const same = [one, one, one]
    l.script.request.push(
      decision({ do: 'fork', targets: same, contacts: ['1', '2', '1'], strategy: 'parallel' }),
    )
    l.receive(request('INVITE'), ALICE)
    assert.equal(l.ladder.filter((line) => line === '→ 10.0.0.2 INVITE').length, 2)
    l.script.request.push(
      decision({ do: 'fork', targets: same, gateways: ['a', 'a', 'b'], strategy: 'parallel' }),
    )
    l.receive(request('MESSAGE', { callId: 'call-2' }), ALICE)
    assert.equal(l.ladder.filter((line) => line === '→ 10.0.0.2 MESSAGE').length, 2)
  })

  it('waits for all, prefers a 6xx, and gathers the challenges of all', () => {
    const l = lab()
    l.script.request.push(fork(targets))
    l.receive(request('MESSAGE'), ALICE)
    l.answer('10.0.0.2', 'MESSAGE', 401, { headers: [['WWW-Authenticate', 'Digest realm="two"']] })
    l.answer('10.0.0.3', 'MESSAGE', 407, { headers: [['Proxy-Authenticate', 'Digest realm="three"']] })
    assert.equal(l.lastResponse().status, 401)
    assert.equal(l.lastResponse().headers.first('proxy-authenticate'), 'Digest realm="three"')

    l.script.request.push(fork(targets))
    l.receive(request('INVITE'), ALICE)
    l.answer('10.0.0.2', 'INVITE', 180)
    l.answer('10.0.0.3', 'INVITE', 603)
    assert.equal(l.ladder.at(-1), '→ 10.0.0.2 CANCEL')
    l.answer('10.0.0.2', 'INVITE', 487)
    assert.equal(l.lastResponse().status, 603)
  })
})

describe('onReply and onFailure', () => {
  it('asks onReply about each response in order, and passes on what it edits', () => {
    const l = lab()
    l.state.auto = false
    l.handled.add('reply')
    l.script.reply.push(
      decision({ do: 'drop' }),
      decision({ do: 'pass' }, { edits: [['set', 'X-Seen', '1']] }),
    )
    l.receive(request('INVITE'), ALICE)
    l.run()
    l.clock.advance(300)
    l.answer(BOB, 'INVITE', 183)
    l.clock.advance(1_200)
    l.answer(BOB, 'INVITE', 200)
    assert.equal(l.lastResponse().status, 100)
    l.run()
    assert.deepEqual(
      l.asked.map(({ kind, response }) => `${kind} ${response?.status}`),
      ['request undefined', 'reply 183', 'reply 200'],
    )
    assert.deepEqual(
      l.asked.map(({ elapsedMs }) => elapsedMs),
      [0, 300, 1_500],
    )
    assert.equal(l.lastResponse().headers.first('x-seen'), '1')
    assert.equal(l.ladder.includes(`→ ${ALICE} 183`), false)
    // A repetition is passed as the first was, without asking again.
    l.answer(BOB, 'INVITE', 200)
    assert.equal(l.lastResponse().headers.first('x-seen'), '1')
    assert.equal(l.asked.length, 3)
    l.clock.advance(70_000)
    assert.deepEqual(l.leftovers(), [])
  })

  it('asks onReply once about the 2xx of each fork further on, and repeats each as it was left', () => {
    const l = lab()
    l.handled.add('reply')
    l.script.request.push(relay(null, { recordRoute: true }))
    for (const seen of ['x', 'y']) {
      l.script.reply.push(decision({ do: 'pass' }, { edits: [['set', 'X-Seen', seen]] }))
    }
    l.receive(request('INVITE'), ALICE)
    const heard: unknown[] = []
    for (let i = 0; i < 4; i++) {
      for (const toTag of ['x', 'y']) {
        l.answer(BOB, 'INVITE', 200, { toTag })
        heard.push([l.lastResponse().toTag, l.lastResponse().headers.first('x-seen')])
      }
    }
    const [x, y] = [
      ['x', 'x'],
      ['y', 'y'],
    ]
    assert.deepEqual(heard, [x, y, x, y, x, y, x, y])
    assert.equal(l.asked.filter(({ kind }) => kind === 'reply').length, 2)
    assert.equal(l.dialogs.size, 2)
    for (const [i, toTag] of ['x', 'y'].entries()) {
      l.receive(request('BYE', { toTag, cseq: i + 2, branch: `z9hG4bK-${toTag}` }), ALICE)
      l.answer(BOB, 'BYE', 200)
    }
    assert.equal(l.records.length, 1)
    l.clock.advance(70_000)
    assert.deepEqual(l.leftovers(), [])
  })

  it('passes a response on at once when the pool is full', () => {
    const l = lab()
    l.handled.add('reply')
    l.receive(request('INVITE'), ALICE)
    l.state.full = true
    l.answer(BOB, 'INVITE', 180)
    assert.equal(l.lastResponse().status, 180)
  })

  it('gives the INVITE up when onReply rejects it', () => {
    const l = lab()
    l.handled.add('reply')
    l.script.reply.push(decision({ do: 'reject', code: 606, reason: 'No' }))
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 183)
    assert.deepEqual(l.ladder.slice(-2), [`→ ${ALICE} 606`, `→ ${BOB} CANCEL`])
    l.answer(BOB, 'INVITE', 487)
    assert.equal(l.records[0]?.disconnectInitiator, 'server')
    l.clock.advance(70_000)
    assert.deepEqual(l.leftovers(), [])
  })

  it('tries others when onFailure says so, at most eight times, as one attempt', () => {
    const l = lab()
    l.handled.add('failure')
    l.script.failure.push(...Array.from({ length: 12 }, () => relay('sip:10.0.0.8')))
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 486)
    for (let i = 0; i < 8; i++) l.answer('10.0.0.8', 'INVITE', 486)
    assert.equal(l.lastResponse().status, 486)
    assert.equal(l.decided.length, 1)
    assert.equal(l.asked.filter(({ kind }) => kind === 'failure').length, 8)
    l.clock.advance(70_000)
    assert.deepEqual(l.leftovers(), [])
  })

  it('lets onFailure override the answer', () => {
    const l = lab()
    l.handled.add('failure')
    l.script.failure.push(reply(404))
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 503)
    assert.equal(l.lastResponse().status, 404)
    assert.equal(l.decided[0]?.result, 'unavailable')
  })

  it('follows no dialog when onFailure answers a record-routed call itself', () => {
    const l = lab()
    l.handled.add('failure')
    l.script.request.push(relay(null, { recordRoute: true }))
    l.script.failure.push(reply(200))
    l.receive(request('INVITE'), ALICE)
    l.answer(BOB, 'INVITE', 180)
    l.answer(BOB, 'INVITE', 486)
    assert.equal(l.lastResponse().status, 200)
    assert.equal(l.dialogs.size, 0)
    assert.deepEqual(
      l.records.map((r) => [r.responseCode, r.endedAt]),
      [[200, null]],
    )
    l.clock.advance(70_000)
    assert.deepEqual(l.leftovers(), [])
  })
})
