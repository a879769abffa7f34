import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { register } from '../../bench/subjects.ts'
import { missing, root, start, until } from '../support/programs.ts'
import { freePort, startSiphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'

const full = process.env['SIPHON_FULL'] === '1'
const calls = full ? 500 : 150

describe('a network that loses, repeats and reorders', { skip: missing('sipp', 'python3') }, () => {
  it(`${calls} calls complete by repetition: one record each, and nothing is left`, async (t) => {
    const siphon = await startSiphon()
    t.after(() => siphon.stop('SIGKILL'))
    const [calleePort, way] = [await freePort(), await freePort()]
    const callee = startCallee(calleePort)
    t.after(() => callee.stop('SIGKILL'))
    const chaos = start('python3', [
      `${root}/test/interop/tools/chaos.py`,
      ...`udp 127.0.0.1:${way} ${siphon.target} --loss .1 --dup .05 --reorder .05 --delay-ms 20`.split(' '),
    ])
    t.after(() => chaos.stop('SIGKILL'))
    await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${calleePort}`)
    const result = await runCaller({
      target: `127.0.0.1:${way}`,
      localPort: await freePort(),
      rate: 25,
      calls,
      holdMs: 2_000,
    })
    t.diagnostic(`${result.retransmissions} repetitions by the caller`)
    assert.equal(result.successful, calls, result.output.slice(-4_000))
    assert.ok(result.retransmissions > 0, 'the network lost nothing')

    await until('calls to end', async () => (await siphon.metric('siphon_calls_active')) === 0, 40_000)
    // The last of them takes 32 s: test/scenario/lossy-network.test.ts has a clock of its own.
    const transactions = 'siphon_transactions_active'
    if (full) await until('transactions to end', async () => (await siphon.sum(transactions)) === 0, 70_000)
    for (const gauge of ['siphon_proxy_dialog_sessions', 'siphon_cdr_sessions'])
      assert.equal(await siphon.metric(gauge), 0, gauge)
    assert.equal(await siphon.metric('siphon_call_attempts_total{result="answered"}'), calls)
    assert.equal(await siphon.sum('siphon_call_attempts_total'), calls)
    await until('every record', () => siphon.records().length >= calls)
    const records = siphon.records()
    assert.equal(records.length, calls)
    assert.equal(new Set(records.map((r) => r['call_id'])).size, calls)
    assert.ok(records.every((r) => r['disconnect_initiator'] === 'caller' && r['response_code'] === 200))
  })
})
