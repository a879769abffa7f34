import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { register } from '../../bench/subjects.ts'
import { scratch } from '../support/cdr.ts'
import { capture, receiveHep } from '../support/collectors.ts'
import { missing, until } from '../support/programs.ts'
import {
  ackOf,
  freePort,
  RawPhone,
  requestText,
  responseText,
  type Siphon,
  startSiphon,
} from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'

const full = process.env['SIPHON_FULL'] === '1'
const unavailable = 'siphon_call_attempts_total{result="unavailable"}'
const holdMs = full ? 30_000 : 4_000

/** Two calls, neither of which ends by itself. */
async function oneUpAndOneRinging(siphon: Siphon, caller: RawPhone, callee: RawPhone): Promise<void> {
  await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${callee.port}`)
  for (const status of ['200 OK', '180 Ringing']) {
    const seen = callee.received.length
    caller.send(requestText('INVITE', 'sip:service@127.0.0.1'), siphon.sip)
    const invite = await until('the INVITE', () =>
      callee.received.slice(seen).find((m) => m.startsWith('INVITE')),
    )
    callee.send(responseText(invite, status), siphon.sip)
    await until(`the ${status}`, () => caller.received.some((m) => m.startsWith(`SIP/2.0 ${status}`)))
  }
}

describe('drain', () => {
  it(`SIGTERM during 200 calls/s of ${holdMs / 1000} s`, { skip: missing('sipp', 'tshark') }, async () => {
    const hep = await receiveHep()
    const siphon = await startSiphon({
      yaml: `server: { drain_secs: 60, lame_duck_secs: 1 }
tracing: { hep: { endpoint: "127.0.0.1:${hep.port}" } }`,
    })
    const packets = await capture(siphon.sip)
    const calleePort = await freePort()
    const callee = startCallee(calleePort)
    try {
      await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${calleePort}`)
      // The last caller must have come before the last of the calls that go on has ended, and the process with it.
      const calls = 200 * (full ? 20 : 6)
      const running = runCaller({
        target: siphon.target,
        localPort: await freePort(),
        rate: 200,
        calls,
        holdMs,
        scenario: 'uac-refusable.xml',
      })
      await until('calls to be up', async () => (await siphon.metric('siphon_calls_active')) > 300, 20_000)
      const before = await siphon.sum('siphon_call_attempts_total')
      siphon.process.child.kill('SIGTERM')
      await until('ready to turn 503', async () => (await siphon.admin('/admin/ready')).status === 503)
      assert.equal((await siphon.admin('/admin/health')).status, 200)
      await until('calls to be refused', async () => (await siphon.metric(unavailable)) > 0)
      // What is no new dialog goes on.
      await register(siphon.sip, 'sip:late@127.0.0.1', `sip:late@127.0.0.1:${calleePort}`)

      const result = await running
      const ended = performance.now()
      assert.equal(await siphon.process.exited, 0, siphon.process.output())
      assert.ok(performance.now() - ended < 15_000, 'the exit waited for nothing')
      assert.deepEqual([result.successful, result.failed, result.retransmissions], [calls, 0, 0])
      const records = siphon.records()
      const answered = records.filter((r) => r['response_code'] === 200)
      const refused = records.filter((r) => r['response_code'] === 503)
      assert.equal(new Set(records.map((r) => r['call_id'])).size, calls)
      assert.equal(answered.length + refused.length, calls)
      assert.equal(records.length, calls)
      assert.ok(refused.length > 0, 'nothing was refused: the drain came too late to be seen')
      assert.ok(answered.length > before + 50, 'calls were refused before the lame-duck time was over')
      assert.ok(
        answered.every((r) => r['disconnect_initiator'] === 'caller' && (r['duration_secs'] as number) > 0),
      )
      assert.ok(refused.every((r) => r['disconnect_initiator'] === 'server'))
      // What was still to be sent when the last call ended has been.
      const crossed = await packets.stop()
      await until('the trace to be read', () => hep.packets() >= crossed)
      assert.equal(hep.packets(), crossed)
    } finally {
      hep.close()
      await packets.stop()
      await callee.stop('SIGKILL')
      await siphon.stop('SIGKILL')
    }
  })

  it('at drain_secs it cuts the records of calls that live on and of those that ring, and exits 0', async () => {
    const siphon = await startSiphon({ yaml: 'server: { drain_secs: 1 }' })
    const [caller, callee] = [await RawPhone.open(), await RawPhone.open()]
    try {
      await oneUpAndOneRinging(siphon, caller, callee)
      const start = performance.now()
      assert.equal(await siphon.stop('SIGTERM', 8_000), 0, siphon.process.output())
      assert.ok(performance.now() - start >= 1_000)
      const records = siphon.records()
      assert.deepEqual(records.map((r) => [r['response_code'], r['disconnect_initiator']]).toSorted(), [
        [0, 'server'],
        [200, 'server'],
      ])
      assert.ok(records.every((r) => typeof r['timestamp_end'] === 'string'))
    } finally {
      caller.close()
      callee.close()
      await siphon.stop('SIGKILL')
    }
  })

  it('a node with nothing to wait for exits at once, and tells new callers when to try again', async () => {
    const siphon = await startSiphon({ yaml: 'server: { drain_secs: 60 }' })
    const phone = await RawPhone.open()
    try {
      assert.equal(await phone.ask(requestText('INVITE', 'sip:nobody@127.0.0.1'), siphon.sip), 404)
      // Not acknowledged yet: what awaits an ACK holds the exit up.
      const invite = requestText('INVITE', 'sip:nobody@127.0.0.1')
      phone.send(invite, siphon.sip)
      await until('the 404', () => phone.received.filter((m) => m.startsWith('SIP/2.0 404')).length === 2)
      siphon.process.child.kill('SIGTERM')
      await until('the drain', async () => (await siphon.admin('/admin/ready')).status === 503)
      const code = await until('a refusal', async () => {
        const status = await phone.ask(requestText('INVITE', 'sip:nobody@127.0.0.1'), siphon.sip)
        return status === 503 && status
      })
      assert.equal(code, 503)
      assert.match(phone.received.find((m) => m.startsWith('SIP/2.0 503')) ?? '', /^Retry-After: \d+\r$/m)
      const start = performance.now()
      const answer = phone.received.findLast((m) => m.startsWith('SIP/2.0 404')) ?? ''
      phone.send(ackOf(invite, answer), siphon.sip)
      assert.equal(await siphon.process.exited, 0)
      const took = performance.now() - start
      assert.ok(took < 30_000, `an idle node took ${took} ms to exit`)
    } finally {
      phone.close()
      await siphon.stop('SIGKILL')
    }
  })

  it('a lost answer is given again while a drain ends', async (t) => {
    const siphon = await startSiphon({ yaml: 'server: { drain_secs: 60 }' })
    const phone = await RawPhone.open()
    t.after(() => phone.close())
    const message = requestText('MESSAGE', 'sip:nobody@127.0.0.1')
    assert.equal(await phone.ask(message, siphon.sip), 404)
    siphon.process.child.kill('SIGTERM')
    await until('the drain', async () => (await siphon.admin('/admin/ready')).status === 503)
    await setTimeout(500)
    assert.equal(await phone.ask(message, siphon.sip), 404)
    assert.equal(await siphon.process.exited, 0)
  })

  it('a second signal exits at once, with the records of the calls that are up', async (t) => {
    const siphon = await startSiphon({ yaml: 'server: { drain_secs: 60, lame_duck_secs: 30 }' })
    const [caller, callee] = [await RawPhone.open(), await RawPhone.open()]
    t.after(() => [caller.close(), callee.close()])
    await oneUpAndOneRinging(siphon, caller, callee)
    siphon.process.child.kill('SIGTERM')
    await until('the drain', async () => (await siphon.admin('/admin/ready')).status === 503)
    const start = performance.now()
    assert.equal(await siphon.stop('SIGTERM'), 1)
    assert.ok(performance.now() - start < 15_000)
    assert.deepEqual(
      siphon
        .records()
        .map((r) => [r['response_code'], r['disconnect_initiator']])
        .toSorted(),
      [
        [0, 'server'],
        [200, 'server'],
      ],
    )
  })

  it('a disk that does not answer holds up no exit: what it has not taken is spooled', async (t) => {
    const folder = scratch(t)
    const stuck = join(folder, 'pipe')
    // Nobody reads it: the write that fills it never ends.
    execFileSync('mkfifo', [stuck])
    const siphon = await startSiphon({
      yaml: `server: { drain_secs: 1 }
cdr: { enabled: true, file: { path: "${stuck}" }, spool_path: "${join(folder, 'spool')}" }`,
    })
    const phone = await RawPhone.open()
    t.after(() => phone.close())
    const calls = 300
    for (let i = 0; i < calls; i++)
      assert.equal(await phone.ask(requestText('INVITE', 'sip:nobody@127.0.0.1'), siphon.sip), 404)
    let left = 0
    await until('every record to be written or queued', async () => {
      const written = await siphon.metric('siphon_cdr_records_total{sink="file",outcome="delivered"}')
      left = await siphon.metric('siphon_cdr_queue_depth{sink="file"}')
      return left > 50 && written + left === calls
    })
    // No thread of libuv comes back: only SIGKILL ends the process, which is no code.
    await siphon.stop('SIGTERM', 30_000)
    assert.match(siphon.process.output(), /a write does not end; it is given up/)
    const spooled = readFileSync(join(folder, 'spool/spool-file.jsonl'), 'utf8').trimEnd().split('\n')
    assert.equal(spooled.length, left)
  })
})
