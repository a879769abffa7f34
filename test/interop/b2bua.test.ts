import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { register } from '../../bench/subjects.ts'
import { receiveHep } from '../support/collectors.ts'
import { missing, until } from '../support/programs.ts'
import { freePort, startSiphon, type Siphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'

/** SIPHON_FULL=1 runs the figures that are promised, instead of a few seconds of them. */
const full = process.env['SIPHON_FULL'] === '1'
const rate = full ? 300 : 100
const secs = full ? 60 : 4

/** Everything that a call holds is let go 32 s after its last message. */
async function empties(siphon: Siphon): Promise<void> {
  for (const name of [
    'siphon_calls_active',
    'siphon_b2bua_calls_active',
    'siphon_dialogs_active',
    'siphon_cdr_sessions',
    'siphon_pyexec_inflight',
  ]) {
    await until(`${name} to be 0`, async () => (await siphon.sum(name)) === 0, 40_000)
  }
}

describe('calls through examples/sbc.ts', () => {
  it(
    `carries ${rate} calls/s for ${secs} s; sipp, metrics, records and HEP count the same`,
    { skip: missing('sipp') },
    async () => {
      const hep = await receiveHep()
      const siphon = await startSiphon({
        script: 'sbc.ts',
        yaml: `tracing: { hep: { endpoint: "127.0.0.1:${hep.port}", agent_id: sbc } }`,
      })
      const calleePort = await freePort()
      const callee = startCallee(calleePort)
      try {
        await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${calleePort}`)
        const calls = rate * secs
        const result = await runCaller({ target: siphon.target, localPort: await freePort(), rate, calls })
        assert.equal(result.successful, calls)
        assert.equal(result.failed, 0)
        await empties(siphon)
        const messages =
          (await siphon.sum('siphon_requests_total')) + (await siphon.sum('siphon_responses_total'))
        await until('HEP to be delivered', () => hep.packets() >= messages)
        await until('records to be written', () => siphon.records().length >= calls)
        assert.equal(await siphon.metric('siphon_call_attempts_total{result="answered"}'), calls)
        const records = siphon.records()
        assert.equal(records.length, calls)
        assert.deepEqual(
          new Set(records.map((r) => [r['kind'], r['disconnect_initiator'], r['destination_port']].join())),
          new Set([`b2bua,caller,${calleePort}`]),
        )
        // One correlation id for both legs: as many as there were calls, each the A leg's Call-ID.
        const correlated = hep.calls((m) => /^CSeq: \d+ (INVITE|ACK|BYE)/m.test(m))
        assert.deepEqual([...correlated].sort(), records.map((r) => r['call_id']).sort())
        assert.equal(hep.packets(), messages)
        // The legs' transactions wait for repetitions for 32 s: for the long run only.
        if (!full) return
        await until(
          'legs to be forgotten',
          async () => (await siphon.metric('siphon_b2bua_legs_active')) === 0,
          40_000,
        )
        assert.equal(await siphon.metric('siphon_b2bua_legs_total{result="answered"}'), calls)
        assert.equal(await siphon.metric('siphon_b2bua_leg_setup_seconds_count'), calls)
      } finally {
        await callee.stop('SIGKILL')
        await siphon.stop('SIGKILL')
        hep.close()
      }
    },
  )
})
