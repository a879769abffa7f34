import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { until } from '../support/programs.ts'
import { assertRecord } from '../support/record-check.ts'
import { BOB, recordsLab, type RecordsLab } from '../support/records-lab.ts'
import { finalTo } from '../support/sip-peer.ts'

/** Which records there are, and what the script adds to them. */

async function labOf(t: TestContext, cdr: string): Promise<RecordsLab> {
  const lab = await recordsLab({
    yaml: `cdr: { enabled: true, file: { path: cdr.jsonl }${cdr} }\nserver: { instance_id: records-test, drain_secs: 0 }`,
  })
  t.after(() => lab.close())
  return lab
}

/** Ends the server in order, so that no record can be still on its way. */
async function allRecords(lab: RecordsLab): Promise<Record<string, unknown>[]> {
  assert.equal(await lab.siphon.stop('SIGTERM', 15_000), 0, lab.siphon.process.output())
  return lab.siphon.records()
}

const refused = { answered: false, response_code: 486, disconnect_initiator: 'callee' } as const

describe('what the script adds to a record', () => {
  it('is merged into it, and text in any script or with line breaks stays one line', async (t) => {
    const lab = await labOf(t, '')
    lab.answers(486)
    const extra = {
      billing_id: 'B-12345',
      nested: { price: 0.5, tags: ['a', null, true] },
      text: 'Zoë \n \u2028',
    }
    // As a header field carries it: bytes of 7 bits.
    const escaped = JSON.stringify(extra).replace(
      /[\u007f-\uffff]/g,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
    const call = lab.call('relay', { headers: [`X-Extra: ${escaped}`] })
    assert.equal((await call.final()).status, 486)
    await lab.record(call, { ...refused, extra })
    assert.equal((await allRecords(lab)).length, 1)
  })

  it('is refused as a script error when it cannot be JSON: the call gets a 500, and its record', async (t) => {
    const lab = await labOf(t, '')
    const call = lab.call('bigint')
    assert.equal((await call.final()).status, 500)
    await lab.record(call, {
      answered: false,
      response_code: 500,
      disconnect_initiator: 'server',
      destination_ip: null,
      destination_port: null,
    })
    const failed = 'siphon_script_errors_total{handler="onRequest",reason="exception"}'
    assert.equal(await lab.siphon.metric(failed), 1)
    assert.match(lab.siphon.process.output(), /extra\.amount is a BigInt/)
  })
})

describe('cdr.auto_emit: false', () => {
  it('records exactly the calls that the script wrote for, at their end', async (t) => {
    const lab = await labOf(t, ', auto_emit: false')
    lab.answers(486)
    const silent = [lab.call(), lab.call('reply 404'), lab.call('throw')]
    for (const call of silent) await call.final()
    const refusedCall = lab.call('relay', { headers: ['X-Extra: {"n":1}'] })
    await refusedCall.final()
    await lab.record(refusedCall, { ...refused, extra: { n: 1 } })
    lab.answers(200)
    const answered = lab.call('relay', { headers: ['X-Extra: {"n":2}'] })
    const ok = await answered.final()
    const sessions = 'siphon_cdr_sessions'
    assert.equal(await lab.siphon.metric(sessions), 1)
    assert.ok(lab.siphon.records().every((r) => r['call_id'] !== answered.callId))
    await answered.bye(ok)
    await lab.record(answered, {
      answered: true,
      response_code: 200,
      disconnect_initiator: 'caller',
      extra: { n: 2 },
    })
    assert.equal(await lab.siphon.metric(sessions), 0)
    assert.deepEqual(await lab.attempts(), { answered: 1, busy: 2, error: 1, unavailable: 1 })
    assert.equal((await allRecords(lab)).length, 2)
  })
})

describe('challenges', () => {
  for (const status of [401, 407]) {
    it(`${status} by the callee makes no record, the INVITE with credentials makes one`, async (t) => {
      const lab = await labOf(t, '')
      lab.answers(status)
      const challenged = lab.call()
      assert.equal((await challenged.final()).status, status)
      lab.answers(486)
      const call = lab.call()
      await call.final()
      await lab.record(call, refused)
      assert.deepEqual(await lab.attempts(), { challenged: 1, busy: 1 })
      assert.equal((await allRecords(lab)).length, 1)
    })
  }

  it('include_challenges: each makes one', async (t) => {
    const lab = await labOf(t, ', include_challenges: true')
    lab.answers(407)
    const call = lab.call()
    assert.equal((await call.final()).status, 407)
    await lab.record(call, { answered: false, response_code: 407, disconnect_initiator: 'callee' })
    assert.equal((await allRecords(lab)).length, 1)
  })
})

async function register(lab: RecordsLab, expires: number, cseq: number): Promise<void> {
  const request = lab.caller.request('REGISTER', 'sip:example.com', [
    'From: <sip:alice@example.com>;tag=r',
    'To: <sip:alice@example.com>',
    'Call-ID: registration-1',
    `CSeq: ${cseq} REGISTER`,
    `Expires: ${expires}`,
    'User-Agent: test peer/1',
  ])
  lab.caller.send(request)
  assert.equal(await finalTo(lab.caller, request), 200)
}

describe('cdr.include_register', () => {
  it('records each change of a registration', async (t) => {
    const lab = await labOf(t, ', include_register: true')
    await register(lab, 600, 1)
    await register(lab, 600, 2)
    await register(lab, 0, 3)
    await until('three records', () => lab.siphon.records().length === 3)
    const events = ['registered', 'refreshed', 'deregistered']
    for (const [i, record] of lab.siphon.records().entries()) {
      assertRecord(record, {
        kind: 'register',
        method: 'REGISTER',
        node: 'records-test',
        call_id: 'registration-1',
        from_uri: 'sip:alice@example.com',
        to_uri: 'sip:alice@example.com',
        ruri: 'sip:example.com',
        response_code: 200,
        source_port: lab.caller.port,
        destination_ip: null,
        destination_port: null,
        transport: 'udp',
        disconnect_initiator: null,
        answered: false,
        unanswered: true,
        extra: { reg_event: events[i], contact: lab.caller.contact },
      })
    }
    assert.equal((await allRecords(lab)).length, 3)
  })

  it('without it registrations leave none', async (t) => {
    const lab = await labOf(t, '')
    await register(lab, 600, 1)
    lab.answers(486)
    const call = lab.call()
    await call.final()
    await lab.record(call, { ...refused, ruri: BOB })
    assert.deepEqual(
      (await allRecords(lab)).map((r) => r['method']),
      ['INVITE'],
    )
  })
})
