import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { register } from '../../bench/subjects.ts'
import { capture, receiveHep } from '../support/collectors.ts'
import { missing, until } from '../support/programs.ts'
import { freePort, startSiphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'

/** SIPHON_FULL=1 runs the figures that are promised, instead of a few seconds of them. */
const full = process.env['SIPHON_FULL'] === '1'
const rate = full ? 1_000 : 200
const secs = full ? 60 : 5

describe('calls through the quick-start script, with all four ways on', () => {
  it(
    `carries ${rate} calls/s for ${secs} s, and every way counts the same`,
    { skip: missing('sipp', 'tshark') },
    async () => {
      const hep = await receiveHep()
      const siphon = await startSiphon({
        yaml: `tracing: { hep: { endpoint: "127.0.0.1:${hep.port}", agent_id: truth } }`,
      })
      const calleePort = await freePort()
      const callee = startCallee(calleePort)
      const packets = await capture(siphon.sip)
      try {
        await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${calleePort}`)
        const calls = rate * secs
        const result = await runCaller({ target: siphon.target, localPort: await freePort(), rate, calls })
        assert.equal(result.successful, calls)
        assert.equal(result.failed, 0)
        assert.equal(result.retransmissions, 0)

        await until(
          'all tables to be empty',
          async () => (await siphon.metric('siphon_calls_active')) === 0,
          40_000,
        )
        const empty = async (name: string): Promise<boolean> => (await siphon.sum(name)) === 0
        await until('transactions to end', () => empty('siphon_transactions_active'), 40_000)
        await until('dialogs to end', () => empty('siphon_proxy_dialog_sessions'), 40_000)
        await until('records to be closed', () => empty('siphon_cdr_sessions'), 40_000)

        const messages =
          (await siphon.sum('siphon_requests_total')) + (await siphon.sum('siphon_responses_total'))
        await until('HEP to be delivered', () => hep.packets() >= messages)
        await until('records to be written', () => siphon.records().length >= calls)
        assert.equal(await siphon.metric('siphon_call_attempts_total{result="answered"}'), calls)
        assert.equal(siphon.records().length, calls)
        assert.equal(new Set(siphon.records().map((r) => r['call_id'])).size, calls)
        assert.equal(hep.calls((m) => /^CSeq: \d+ INVITE/m.test(m)).size, calls)
        assert.equal(hep.packets(), messages)
        assert.equal(await packets.stop(), messages)
        assert.equal(await siphon.metric('siphon_hep_packets_total{outcome="sent"}'), messages)
        assert.equal(await siphon.sum('siphon_retransmissions_total'), 0)
      } finally {
        await callee.stop('SIGKILL')
        await siphon.stop('SIGKILL')
        hep.close()
        await packets.stop()
      }
    },
  )
})
