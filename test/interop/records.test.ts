import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { until } from '../support/programs.ts'
import { closedPort, recordsLab, type RecordsLab } from '../support/records-lab.ts'
import { calleeBye, finalTo, SipPeer } from '../support/sip-peer.ts'

/** Of every ending: the one record with each of its fields, the one attempt counted, nothing left behind. */
describe('one record for each call attempt, whatever ends it', () => {
  let lab: RecordsLab
  before(async () => {
    lab = await recordsLab()
  })
  after(() => lab.close())

  /** Runs one ending; the attempts counted meanwhile. */
  async function counted(run: () => Promise<void>): Promise<Record<string, number>> {
    const earlier = await lab.attempts()
    await run()
    const now = await lab.attempts()
    return Object.fromEntries(
      Object.entries(now).flatMap(([k, n]) => (n === earlier[k] ? [] : [[k, n - (earlier[k] ?? 0)]])),
    )
  }

  it('answered, ended by the caller', async () => {
    const attempts = await counted(async () => {
      lab.answers(180, 200)
      const call = lab.call()
      const ok = await call.final()
      assert.equal(await lab.siphon.metric('siphon_cdr_sessions'), 1)
      assert.equal(await call.bye(ok, ['Reason: Q.850;cause=16;text="done"']), 200)
      await lab.record(call, {
        answered: true,
        response_code: 200,
        disconnect_initiator: 'caller',
        sip_reason: 'Q.850;cause=16;text="done"',
      })
    })
    assert.deepEqual(attempts, { answered: 1 })
  })

  it('answered, ended by the callee', async () => {
    const attempts = await counted(async () => {
      lab.answers(200)
      const call = lab.call()
      await call.final()
      const invite = await lab.callee.heard(
        'the INVITE',
        (m): m is Extract<typeof m, { kind: 'request' }> =>
          m.kind === 'request' && m.method === 'INVITE' && m.callId === call.callId,
      )
      const bye = calleeBye(lab.callee, invite)
      lab.callee.send(bye)
      assert.equal(await finalTo(lab.callee, bye), 200)
      await lab.record(call, { answered: true, response_code: 200, disconnect_initiator: 'callee' })
    })
    assert.deepEqual(attempts, { answered: 1 })
  })

  it('answered without Record-Route: nobody tells us the end', async () => {
    const attempts = await counted(async () => {
      lab.answers(200)
      const call = lab.call('plain')
      await call.final()
      await lab.record(call, { answered: true, ended: false, response_code: 200, disconnect_initiator: null })
    })
    assert.deepEqual(attempts, { answered: 1 })
  })

  for (const [status, result] of [
    [486, 'busy'],
    [603, 'rejected'],
    [480, 'no_answer'],
  ] as const) {
    it(`refused by the callee with ${status}`, async () => {
      const attempts = await counted(async () => {
        lab.answers(180, status)
        const call = lab.call()
        assert.equal((await call.final()).status, status)
        await lab.record(call, { answered: false, response_code: status, disconnect_initiator: 'callee' })
      })
      assert.deepEqual(attempts, { [result]: 1 })
    })
  }

  for (const [verb, status, result] of [
    ['reply 404', 404, 'unavailable'],
    ['throw', 500, 'error'],
  ] as const) {
    it(`${verb} in the script`, async () => {
      const attempts = await counted(async () => {
        const call = lab.call(verb)
        assert.equal((await call.final()).status, status)
        await lab.record(call, {
          answered: false,
          response_code: status,
          disconnect_initiator: 'server',
          destination_ip: null,
          destination_port: null,
        })
      })
      assert.deepEqual(attempts, { [result]: 1 })
    })
  }

  it('cancelled by the caller', async () => {
    const attempts = await counted(async () => {
      lab.answers(180)
      const call = lab.call()
      await call.response(180, 180)
      call.cancel([['Reason', 'SIP;cause=200;text="Call completed elsewhere"']])
      assert.equal((await call.final()).status, 487)
      await lab.record(call, {
        answered: false,
        response_code: 487,
        disconnect_initiator: 'caller',
        sip_reason: 'SIP;cause=200;text="Call completed elsewhere"',
      })
    })
    assert.deepEqual(attempts, { cancelled: 1 })
  })

  it('cancelled while the script is thinking', async () => {
    const attempts = await counted(async () => {
      const call = lab.call('slow 300')
      await call.response(100, 100)
      call.cancel()
      assert.equal((await call.final()).status, 487)
      await lab.record(call, {
        answered: false,
        response_code: 487,
        disconnect_initiator: 'caller',
        destination_ip: null,
        destination_port: null,
      })
    })
    assert.deepEqual(attempts, { cancelled: 1 })
  })

  it('on its way to nobody: the TCP connection is refused', async () => {
    const attempts = await counted(async () => {
      const port = await closedPort()
      const call = lab.call('relay', { to: `sip:127.0.0.1:${port};transport=tcp` })
      assert.equal((await call.final()).status, 500)
      await lab.record(call, {
        answered: false,
        response_code: 500,
        disconnect_initiator: 'error',
        destination_port: port,
      })
    })
    assert.deepEqual(attempts, { error: 1 })
  })

  it('a caller over TCP', async () => {
    const caller = await SipPeer.open(lab.siphon.sip, 'tcp')
    const attempts = await counted(async () => {
      lab.answers(180, 200)
      const call = lab.call('relay', { from: caller })
      const ok = await call.final()
      assert.equal(await call.bye(ok), 200)
      await lab.record(call, { answered: true, response_code: 200, disconnect_initiator: 'caller' }, caller)
    })
    caller.close()
    assert.deepEqual(attempts, { answered: 1 })
  })

  it('INVITEs repeated by the caller are one attempt', async () => {
    const attempts = await counted(async () => {
      lab.answers(180)
      const call = lab.call()
      for (let i = 0; i < 3; i++) lab.caller.send(call.invite)
      await call.response(180, 180)
      const invite = await lab.callee.heard(
        'the INVITE',
        (m): m is Extract<typeof m, { kind: 'request' }> => m.kind === 'request' && m.callId === call.callId,
      )
      lab.callee.answer(invite, 486)
      assert.equal((await call.final()).status, 486)
      await lab.record(call, { answered: false, response_code: 486, disconnect_initiator: 'callee' })
    })
    assert.deepEqual(attempts, { busy: 1 })
  })

  it('and nothing else: as many records as calls, every gauge of calls back to 0', async () => {
    await lab.quiet()
    assert.equal(lab.siphon.records().length, lab.recorded.size)
    assert.equal(new Set(lab.siphon.records().map((r) => r['id'])).size, lab.recorded.size)
    assert.equal(
      await lab.siphon.metric('siphon_cdr_records_total{sink="file",outcome="delivered"}'),
      lab.recorded.size,
    )
  })
})

describe('one record for each call attempt that runs into a limit', () => {
  it('no answer: timer C', async (t) => {
    const lab = await recordsLab({ yaml: 'transaction: { timer_c_secs: 1 }' })
    t.after(() => lab.close())
    lab.answers(180)
    const call = lab.call()
    assert.equal((await call.final()).status, 408)
    await lab.record(call, { answered: false, response_code: 408, disconnect_initiator: 'timeout' })
    assert.deepEqual(await lab.attempts(), { no_answer: 1 })
    assert.equal(await lab.siphon.metric('siphon_calls_active'), 0)
    assert.equal(await lab.siphon.metric('siphon_proxy_dialog_sessions'), 0)
    assert.equal(lab.siphon.records().length, 1)
  })

  it('shed: told so over TCP, and over UDP one record however often it is repeated', async (t) => {
    const lab = await recordsLab({
      scriptOptions: {
        sync_pool_size: 1,
        sync_pool_max: 1,
        handlers_per_worker: 1,
        executor_queue_capacity: 2,
      },
      yaml: 'server: { instance_id: records-test, drain_secs: 3 }',
    })
    t.after(() => lab.close())
    const tcp = await SipPeer.open(lab.siphon.sip, 'tcp')
    t.after(() => tcp.close())
    lab.answers(486)
    const running = lab.call('slow 2000')
    await until('a handler to run', async () => (await lab.siphon.metric('siphon_pyexec_inflight')) === 1)
    const waiting = lab.call('relay')
    await until('a job to wait', async () => (await lab.siphon.metric('siphon_pyexec_queue_depth')) === 1)

    const told = lab.call('relay', { from: tcp })
    const refusal = await told.final()
    assert.deepEqual([refusal.status, refusal.headers.first('retry-after')], [503, '5'])
    const lost = lab.call('relay')
    const late = lab.call('relay')
    for (let i = 0; i < 2; i++) for (const call of [lost, late]) lab.caller.send(call.invite)
    const shed = 'siphon_pyexec_jobs_shed_total'
    await until('seven to be shed', async () => (await lab.siphon.metric(shed)) === 7)
    assert.equal((await running.final()).status, 486)
    assert.equal((await waiting.final()).status, 486)
    lab.caller.send(late.invite)
    assert.equal((await late.final()).status, 486)

    const nowhere = { destination_ip: null, destination_port: null, answered: false }
    await lab.record(told, { ...nowhere, response_code: 503, disconnect_initiator: 'server' }, tcp)
    for (const call of [running, waiting, late])
      await lab.record(call, { answered: false, response_code: 486, disconnect_initiator: 'callee' })
    assert.deepEqual(await lab.attempts(), { busy: 3, shed: 1 })
    // Its caller may still come again, for 32 s; or the server ends first.
    assert.equal(await lab.siphon.stop('SIGTERM', 15_000), 0, lab.siphon.process.output())
    await lab.record(lost, {
      ...nowhere,
      unanswered: true,
      response_code: 0,
      disconnect_initiator: 'server',
    })
    assert.equal(lab.siphon.records().length, 5)
  })

  it('cut off by a drain: one that was up, one that rang, one refused', async (t) => {
    const lab = await recordsLab({ yaml: 'server: { instance_id: records-test, drain_secs: 2 }' })
    t.after(() => lab.close())
    lab.answers(200)
    const up = lab.call()
    await up.final()
    lab.answers(180)
    const ringing = lab.call()
    await ringing.response(180, 180)
    lab.siphon.process.child.kill('SIGTERM')
    await until('the drain', async () => (await lab.siphon.admin('/admin/ready')).status === 503)
    const refused = lab.call()
    const answer = await refused.final()
    assert.deepEqual([answer.status, answer.headers.first('retry-after')], [503, '5'])
    assert.equal(await lab.siphon.process.exited, 0, lab.siphon.process.output())
    const byServer = { disconnect_initiator: 'server' } as const
    await lab.record(up, { ...byServer, answered: true, response_code: 200 })
    await lab.record(ringing, { ...byServer, answered: false, unanswered: true, response_code: 0 })
    await lab.record(refused, {
      ...byServer,
      answered: false,
      response_code: 503,
      destination_ip: null,
      destination_port: null,
    })
    assert.equal(lab.siphon.records().length, 3)
  })
})
