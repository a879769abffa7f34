import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { register } from '../../bench/subjects.ts'
import { badCollector, type BadCollector } from '../support/bad-collector.ts'
import { scratch } from '../support/cdr.ts'
import { missing, until } from '../support/programs.ts'
import { freePort, startSiphon, type Siphon } from '../support/siphon.ts'
import { percentile, runCaller, startCallee } from '../support/sipp.ts'

/** Calls of each phase: 100 in a second. How much later they are answered is measured by bench/collectors.ts. */
const RATE = 100
const CALLS = 100

const skip = missing('sipp', 'python3')

interface Traffic {
  readonly siphon: Siphon
  /** Calls so far. */
  calls(): number
  /** Runs one phase: no call may fail. Gives the p99 of INVITE to 200, ms. */
  phase(what: string): Promise<number>
}

async function traffic(t: TestContext, yaml: string): Promise<Traffic> {
  const siphon = await startSiphon({ yaml })
  t.after(() => siphon.stop('SIGKILL'))
  const calleePort = await freePort()
  const callee = startCallee(calleePort)
  t.after(() => callee.stop('SIGKILL'))
  await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${calleePort}`)
  let calls = 0
  return {
    siphon,
    calls: () => calls,
    phase: async (what) => {
      const localPort = await freePort()
      const result = await runCaller({ target: siphon.target, localPort, rate: RATE, calls: CALLS })
      assert.deepEqual(
        [result.successful, result.failed],
        [CALLS, 0],
        `calls while the collector was ${what}`,
      )
      // A machine that pauses for half a second makes a few; an engine that waits for a collector, one a call.
      assert.ok(result.retransmissions < CALLS / 2, `${result.retransmissions} repetitions: ${what}`)
      calls += CALLS
      await until('calls to end', async () => (await siphon.metric('siphon_calls_active')) === 0)
      assert.equal(await siphon.metric('siphon_call_attempts_total{result="answered"}'), calls)
      const p99 = percentile(result.responseTimes, 0.99)
      t.diagnostic(`${what}: p99 of INVITE to 200 was ${p99} ms`)
      return p99
    },
  }
}

/** Records accepted = the sum of the outcomes + queued. */
async function assertAccount({ siphon, calls }: Traffic): Promise<void> {
  await until('records to reach the control thread', async () => {
    const all = await siphon.metrics()
    const outcomes = ['delivered', 'retried', 'dropped', 'dead', 'spooled'].map(
      (o) => all.get(`siphon_cdr_records_total{sink="http",outcome="${o}"}`) ?? Number.NaN,
    )
    const queued = all.get('siphon_cdr_queue_depth{sink="http"}') ?? Number.NaN
    assert.equal(
      outcomes.reduce((sum, n) => sum + n, queued),
      calls(),
    )
    return true
  })
}

describe('a record collector that misbehaves', { skip }, () => {
  it('leaves calls as they were, and gets every record when it is good again', async (t) => {
    const collector = await badCollector('http', 'refuse')
    t.after(() => collector.stop())
    const url = `http://127.0.0.1:${collector.port}/v1/cdr`
    const load = await traffic(
      t,
      `cdr: { enabled: true, backend: http, http: { url: "${url}", timeout_secs: 2 } }`,
    )
    await load.phase('dead from the start')
    await assertAccount(load)
    assert.equal((await collector.stats()).reqs, 0)

    await collector.mode('ok')
    const everything = async (): Promise<void> => {
      await until('every record', async () => (await collector.stats()).distinct === load.calls(), 60_000)
      const queued = 'siphon_cdr_queue_depth{sink="http"}'
      await until('the queue to empty', async () => (await load.siphon.metric(queued)) === 0)
      await assertAccount(load)
      // Requests that were under way when the collector changed its mind.
      assert.ok((await collector.stats()).duplicates <= 8)
    }
    await everything()
    const good = await load.phase('good')
    for (const mode of ['slow:1', 'hang', 'rst', 'refuse', 'status:503']) {
      await collector.mode(mode)
      const p99 = await load.phase(mode)
      t.diagnostic(`${mode} : good = ${(p99 / good).toFixed(2)}`)
      await assertAccount(load)
    }
    await collector.mode('ok')
    await everything()
    assert.equal(await load.siphon.metric('siphon_cdr_records_total{sink="http",outcome="dropped"}'), 0)
  })

  it('keeps what it does not take beyond the end of the server, for the next start', async (t) => {
    const collector = await badCollector('http', 'hang')
    t.after(() => collector.stop())
    const url = `http://127.0.0.1:${collector.port}/v1/cdr`
    const yaml = `cdr: { enabled: true, backend: http, spool_path: "${scratch(t)}", http: { url: "${url}", timeout_secs: 2 } }\nserver: { drain_secs: 0 }`
    const first = await traffic(t, yaml)
    await first.phase('hanging')
    assert.equal(await first.siphon.stop('SIGTERM', 15_000), 0, first.siphon.process.output())
    assert.match(first.siphon.process.output(), /100 records not delivered at the end: kept in/)
    await collector.mode('ok')
    const second = await startSiphon({ yaml })
    t.after(() => second.stop('SIGKILL'))
    await until('every record', async () => (await collector.stats()).distinct === CALLS, 30_000)
  })
})

describe('a HEP server that misbehaves', { skip }, () => {
  it('leaves calls as they were, and a new connection begins with a whole packet', async (t) => {
    const collector = await badCollector('tcp', 'refuse')
    t.after(() => collector.stop())
    const load = await traffic(t, hepTo(collector))
    const { siphon } = load
    await load.phase('dead from the start')
    assert.equal(await siphon.metric('siphon_hep_connected'), 0)
    await everyBooked(siphon)
    await collector.mode('ok')
    await everySettled(siphon)
    // What waited in the ring for the connection was not lost.
    const messages = await messagesOf(siphon)
    assert.equal(await siphon.metric('siphon_hep_packets_total{outcome="sent"}'), messages)
    await until('all of it', async () => (await collector.stats()).answered === messages)
    const good = await load.phase('good')
    for (const mode of ['rst', 'refuse']) {
      await collector.mode(mode)
      const p99 = await load.phase(mode)
      t.diagnostic(`${mode} : good = ${(p99 / good).toFixed(2)}`)
      await everyBooked(siphon)
    }
    await collector.mode('ok')
    await everySettled(siphon)
    assert.equal(await siphon.metric('siphon_hep_connected'), 1)
    // Sent is not yet read.
    let distinct = -1
    await until('the collector to have read it', async () => {
      const before = distinct
      await setTimeout(200)
      distinct = (await collector.stats()).distinct
      return distinct === before
    })
    await load.phase('good again')
    await everySettled(siphon)
    await until('the last phase', async () => (await collector.stats()).distinct === distinct + CALLS)
    assert.equal((await collector.stats()).framing_errors ?? 0, 0)
  })

  it('that accepts and never reads leaves calls as they were', async (t) => {
    const collector = await badCollector('tcp', 'noread')
    t.after(() => collector.stop())
    const load = await traffic(t, hepTo(collector))
    await load.phase('not reading')
    await load.phase('not reading still')
    assert.equal((await collector.stats()).answered, 0)
    await everyBooked(load.siphon)
  })
})

function hepTo({ port }: BadCollector): string {
  return `tracing: { hep: { endpoint: "127.0.0.1:${port}", transport: tcp, agent_id: bad } }`
}

/** Messages that crossed our sockets. */
async function messagesOf(siphon: Siphon): Promise<number> {
  return (await siphon.sum('siphon_requests_total')) + (await siphon.sum('siphon_responses_total'))
}

/** Packets produced = the sum of the outcomes + queued, while nothing is under way. */
async function everyBooked(siphon: Siphon): Promise<void> {
  await until('each message to be sent, lost or waiting', async () => {
    const booked =
      (await siphon.sum('siphon_hep_packets_total')) + (await siphon.metric('siphon_hep_queue_depth'))
    return booked > 0 && booked === (await messagesOf(siphon))
  })
}

/** Waits until each message was sent or counted as lost. */
async function everySettled(siphon: Siphon): Promise<void> {
  const packets = 'siphon_hep_packets_total'
  await until(
    'every message sent or counted as lost',
    async () => (await siphon.sum(packets)) === (await messagesOf(siphon)),
    45_000,
  )
}
