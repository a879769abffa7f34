import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { it, type TestContext } from 'node:test'
import { receiveHep } from '../support/collectors.ts'
import { until } from '../support/programs.ts'
import { recordsLab } from '../support/records-lab.ts'
import { SipPeer } from '../support/sip-peer.ts'
import { RawPhone, requestText, type Siphon } from '../support/siphon.ts'

/** Every metric the contract names, on the real server: there from the start with all its labels, and moved by what it counts. */

const RESULTS = 'answered cancelled busy no_answer rejected unavailable timeout error challenged shed'.split(
  ' ',
)
const PATHS = ['udp', 'tcp'].flatMap((t) => ['in', 'out'].map((d) => `direction="${d}",transport="${t}"`))
const KINDS = ['invite_client', 'invite_server', 'non_invite_client', 'non_invite_server']

/** Family, type, and the label sets that must be there before anything has happened. */
const FAMILIES: readonly (readonly [string, 'gauge' | 'counter' | 'histogram', readonly string[]])[] = [
  ['siphon_memory_allocated_bytes', 'gauge', ['']],
  ['siphon_pyexec_pool_size', 'gauge', ['']],
  ['siphon_pyexec_pool_max', 'gauge', ['']],
  ['siphon_pyexec_inflight', 'gauge', ['']],
  ['siphon_pyexec_queue_depth', 'gauge', ['']],
  ['siphon_pyexec_jobs_shed_total', 'counter', ['']],
  ['siphon_pyexec_jobs_completed_total', 'counter', ['']],
  ['siphon_proxy_dialog_sessions', 'gauge', ['']],
  ['siphon_rtpengine_instances_up', 'gauge', ['']],
  ['siphon_rtpengine_instances', 'gauge', ['']],
  ['siphon_rtpengine_instance_up', 'gauge', ['address="RTPENGINE"']],
  ['siphon_registrations_active', 'gauge', ['']],
  ['siphon_cdr_sessions', 'gauge', ['']],
  [
    'siphon_requests_total',
    'counter',
    ['INVITE', 'REGISTER', 'OTHER'].flatMap((m) => PATHS.map((p) => `method="${m}",${p}`)),
  ],
  [
    'siphon_responses_total',
    'counter',
    ['100', '200', '503'].flatMap((c) => PATHS.map((p) => `code="${c}",${p}`)),
  ],
  ['siphon_retransmissions_total', 'counter', ['in', 'out'].map((d) => `method="INVITE",direction="${d}"`)],
  ['siphon_malformed_messages_total', 'counter', ['udp', 'tcp'].map((t) => `transport="${t}"`)],
  ['siphon_transactions_active', 'gauge', KINDS.map((k) => `kind="${k}"`)],
  ['siphon_dialogs_active', 'gauge', ['']],
  ['siphon_connections_active', 'gauge', ['tcp', 'tls', 'ws', 'wss'].map((t) => `transport="${t}"`)],
  ['siphon_calls_active', 'gauge', ['']],
  ['siphon_call_attempts_total', 'counter', RESULTS.map((r) => `result="${r}"`)],
  ['siphon_call_setup_seconds', 'histogram', ['']],
  ['siphon_call_duration_seconds', 'histogram', ['']],
  ['siphon_script_handler_seconds', 'histogram', ['handler="onRequest"']],
  [
    'siphon_script_errors_total',
    'counter',
    ['exception', 'timeout'].map((r) => `handler="onRequest",reason="${r}"`),
  ],
  ['siphon_script_generation', 'gauge', ['']],
  [
    'siphon_cdr_records_total',
    'counter',
    ['delivered', 'retried', 'dropped', 'dead', 'spooled'].map((o) => `sink="http",outcome="${o}"`),
  ],
  ['siphon_cdr_queue_depth', 'gauge', ['sink="file"', 'sink="http"']],
  ['siphon_hep_packets_total', 'counter', ['outcome="sent"', 'outcome="dropped_ring_full"']],
  ['siphon_hep_queue_depth', 'gauge', ['']],
  ['siphon_hep_connected', 'gauge', ['']],
  ['siphon_build_info', 'gauge', [`version="0.1.0",node="${process.versions.node}"`]],
  ['siphon_start_time_seconds', 'gauge', ['']],
  ['process_cpu_seconds_total', 'counter', ['']],
  ['process_resident_memory_bytes', 'gauge', ['']],
  ['nodejs_heap_size_used_bytes', 'gauge', ['control', 'engine'].map((t) => `thread="${t}"`)],
]

/** Not 0 from the start, because what they measure is not. */
const LEVELS =
  /^(siphon_(memory|thread_live|pyexec_pool|rtpengine|hep_connected|script_generation|build_info|start_time|registrar_store_up)|process_|nodejs_)/

/** What did not move in this test, for a reason. */
const STILL = new Set([
  // No listener for them here: test/interop/tls.test.ts.
  ...['tls', 'ws', 'wss'].map((t) => `siphon_connections_active{transport="${t}"}`),
  // test/interop/collectors.test.ts, test/observe/cdr and test/observe/hep.
  ...['dropped', 'dead', 'spooled'].map((o) => `siphon_cdr_records_total{sink="http",outcome="${o}"}`),
  'siphon_hep_packets_total{outcome="dropped_ring_full"}',
  'siphon_hep_queue_depth',
  // test/interop/stuck-script.test.ts
  'siphon_script_errors_total{handler="onRequest",reason="timeout"}',
])

/** An rtpengine that answers pings. */
async function pongs(t: TestContext): Promise<string> {
  const socket = createSocket('udp4')
  t.after(() => void socket.close())
  socket.on('message', (m, { port }) =>
    socket.send(`${m.toString('latin1').split(' ')[0]} d6:result4:ponge`, port),
  )
  await new Promise<void>((done) => void socket.bind(0, '127.0.0.1', done))
  return `127.0.0.1:${socket.address().port}`
}

/** A collector that answers once it is told to. */
async function hesitant(t: TestContext): Promise<{ port: number; go(): void }> {
  const waiting: (() => void)[] = []
  let going = false
  const server = createServer((request, response) => {
    const answer = (): void => void response.writeHead(going ? 200 : 503).end()
    request.resume().on('end', () => (going ? answer() : waiting.push(answer)))
  })
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const go = (): void => {
    for (const answer of waiting.splice(0)) answer()
    going = true
  }
  return { port: (server.address() as AddressInfo).port, go }
}

/** The highest value of every series, from now on. */
function watch(t: TestContext, siphon: Siphon): { most: Map<string, number>; look(): Promise<void> } {
  const most = new Map<string, number>()
  const look = async (): Promise<void> => {
    for (const [name, value] of await siphon.metrics()) most.set(name, Math.max(most.get(name) ?? 0, value))
  }
  const timer = setInterval(() => void look().catch(() => undefined), 50)
  t.after(() => clearInterval(timer))
  return { most, look }
}

it('the metrics of the contract are there from the start, and move', async (t) => {
  const rtpengine = await pongs(t)
  const collector = await hesitant(t)
  const hep = await receiveHep()
  t.after(() => hep.close())
  const lab = await recordsLab({
    scriptOptions: {
      sync_pool_size: 1,
      sync_pool_max: 1,
      handlers_per_worker: 1,
      executor_queue_capacity: 2,
    },
    yaml: `cdr: { enabled: true, backends: [file, http], file: { path: cdr.jsonl }, http: { url: "http://127.0.0.1:${collector.port}/" } }
tracing: { hep: { endpoint: "127.0.0.1:${hep.port}" } }
media: { rtpengine: { address: "${rtpengine}" } }
server: { instance_id: records-test }`,
  })
  t.after(() => lab.close())
  const { siphon } = lab
  const series = FAMILIES.flatMap(([name, type, labels]) =>
    labels.map((l) => {
      const family = type === 'histogram' ? `${name}_count` : name
      return l === '' ? family : `${family}{${l.replace('RTPENGINE', rtpengine)}}`
    }),
  )
  await t.test('there from the start, at 0, with their types', async () => {
    const text = await (await fetch(siphon.metricsUrl)).text()
    const types = new Map([...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map(([, name, type]) => [name, type]))
    for (const [name, type] of FAMILIES) assert.equal(types.get(name), type, name)
    const now = await siphon.metrics()
    assert.deepEqual(
      series.filter((s) => !now.has(s)),
      [],
    )
    const moved = [...now].filter(([name, value]) => value !== 0 && !LEVELS.test(name))
    assert.deepEqual(moved, [])
  })

  const { most, look } = watch(t, siphon)
  const udp = await RawPhone.open()
  t.after(() => udp.close())
  const tcp = await SipPeer.open(siphon.sip, 'tcp')
  t.after(() => tcp.close())

  await t.test('registrations, other methods, rubbish', async () => {
    const own = { from: 'sip:a@example.com', to: 'sip:a@example.com' }
    assert.equal(await udp.ask(requestText('REGISTER', 'sip:example.com', own), siphon.sip), 200)
    await udp.ask(requestText('FROBNICATE', 'sip:example.com', { headers: ['X-Do: reply 405'] }), siphon.sip)
    const rubbish = 'SIP is what this is not\r\n\r\n'
    udp.send(rubbish, siphon.sip)
    const stream = connect(siphon.sip, '127.0.0.1').on('error', () => undefined)
    stream.end(rubbish)
  })

  await t.test('a call that is answered, over both transports', async () => {
    for (const from of [lab.caller, tcp]) {
      lab.answers(180, 200)
      const call = lab.call('relay', { from })
      const ok = await call.final()
      await until('it to be seen', async () => (await siphon.metric('siphon_proxy_dialog_sessions')) === 1)
      await look()
      await call.bye(ok)
    }
  })

  await t.test('calls that come to nothing, each in its way', async () => {
    for (const status of [486, 603, 480, 401, 408]) {
      lab.answers(status)
      assert.equal((await lab.call().final()).status, status)
    }
    assert.equal((await lab.call('reply 404').final()).status, 404)
    assert.equal((await lab.call('throw').final()).status, 500)
    lab.answers(180)
    const given = lab.call()
    await given.response(180, 180)
    given.cancel()
    assert.equal((await given.final()).status, 487)
    // Nobody answers at first: both sides repeat.
    lab.answers()
    const repeated = lab.call('slow 300')
    lab.caller.send(repeated.invite)
    const out = 'siphon_retransmissions_total{method="INVITE",direction="out"}'
    await until('our INVITE to be repeated', async () => (await siphon.metric(out)) > 0)
    repeated.cancel()
    lab.answers(487)
    assert.equal((await repeated.final()).status, 487)
  })

  await t.test('a call that finds no room', async () => {
    lab.answers(486)
    const running = lab.call('slow 1000')
    await until('a handler to run', async () => (await siphon.metric('siphon_pyexec_inflight')) === 1)
    const waiting = lab.call('relay')
    await until('a job to wait', async () => (await siphon.metric('siphon_pyexec_queue_depth')) === 1)
    await look()
    assert.equal((await lab.call('relay', { from: tcp }).final()).status, 503)
    for (const call of [running, waiting]) assert.equal((await call.final()).status, 486)
  })

  await t.test('all of them have moved', async () => {
    await until(
      'records to wait',
      async () => (await siphon.metric('siphon_cdr_queue_depth{sink="http"}')) > 0,
    )
    await look()
    collector.go()
    const queues = 'siphon_cdr_queue_depth'
    await until('the collector to have them', async () => (await siphon.sum(queues)) === 0, 30_000)
    await look()
    // One path of each kind of message; the others are the same code.
    const some = series.filter((s) => !/_(requests|responses)_total/.test(s)).filter((s) => !STILL.has(s))
    some.push('siphon_requests_total{method="OTHER",direction="in",transport="udp"}')
    for (const path of PATHS.filter((p) => p !== 'direction="out",transport="tcp"'))
      some.push(`siphon_requests_total{method="INVITE",${path}}`)
    for (const path of PATHS.filter((p) => p !== 'direction="in",transport="tcp"'))
      some.push(`siphon_responses_total{code="200",${path}}`)
    assert.deepEqual(
      some.filter((s) => (most.get(s) ?? 0) <= 0),
      [],
    )
  })
})
