import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { register } from '../../bench/subjects.ts'
import { editorConfig } from '../../src/script/editor.ts'
import { DigestPhone } from '../support/digest-phone.ts'
import { openPhone, type RealPhone } from '../support/phones.ts'
import { missing, root, until } from '../support/programs.ts'
import { RtpParty } from '../support/rtp.ts'
import { startRtpengine } from '../support/rtpengine.ts'
import { SipPeer } from '../support/sip-peer.ts'
import {
  RawPhone,
  requestText,
  responseText,
  startSiphon,
  type Siphon,
  type SiphonOptions,
} from '../support/siphon.ts'
import type { AnswerStep } from '../../src/cli/soft-call.ts'

const ANSWERS = [
  { status: 180, afterMs: 0 },
  { status: 200, afterMs: 300 },
]
const RINGS = [{ status: 180, afterMs: 0 }]
const BUSY = [{ status: 486, afterMs: 0 }]

async function serve(t: TestContext, options: SiphonOptions): Promise<Siphon> {
  const siphon = await startSiphon(options)
  t.after(() => siphon.stop('SIGKILL'))
  return siphon
}

async function phone(
  t: TestContext,
  siphon: Siphon,
  user: string,
  answers?: readonly AnswerStep[],
): Promise<RealPhone> {
  const opened = await openPhone(user, 'example.com', siphon.sip, answers)
  t.after(() => opened.close())
  assert.equal(await opened.register(), 200)
  return opened
}

/** Waits until a metric has a value, so that a test need not know when a handler has run. */
async function settles(siphon: Siphon, name: string, value: number): Promise<void> {
  await until(`${name} to be ${value}`, async () => (await siphon.metric(name)) === value).catch(
    async (error: unknown) => {
      throw new Error(`${String(error)}; it is ${await siphon.metric(name)}`)
    },
  )
}

/** A gateway that refuses every call so. `invited`: Request-URIs of the INVITEs it got. */
async function refusing(t: TestContext, status: string): Promise<{ port: number; invited: string[] }> {
  const socket = createSocket('udp4')
  t.after(() => socket.close())
  const invited: string[] = []
  socket.on('message', (bytes, { port }) => {
    const text = bytes.toString('latin1')
    if (!text.startsWith('INVITE ')) return
    invited.push(text.split(' ')[1] ?? '')
    socket.send(Buffer.from(responseText(text, status), 'latin1'), port, '127.0.0.1')
  })
  await new Promise<void>((done) => void socket.bind(0, '127.0.0.1', done))
  return { port: socket.address().port, invited }
}

describe('examples', () => {
  it('each is run by this file', () => {
    const files = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts'))
    // Those of the back-to-back user agent: b2bua.test.ts, b2bua-examples.test.ts and b2bua-media.test.ts.
    const calls = [
      'attended-transfer.ts',
      'carrier-failover.ts',
      'click-to-dial.ts',
      'sbc.ts',
      'sbc-media.ts',
    ]
    assert.deepEqual(files.filter((name) => !calls.includes(name)).sort(), [
      'authenticated-registrar.ts',
      'gateway-failover.ts',
      'media-proxy.ts',
      'monitoring.ts',
      'proxy-registrar.ts',
      'timer.ts',
    ])
  })

  it('gateway-failover.ts: goes on to the next gateway for its sake only; their calls go to users', async (t) => {
    const [full, busy] = [await refusing(t, '503 Full'), await refusing(t, '486 Busy Here')]
    const siphon = await serve(t, {
      script: 'gateway-failover.ts',
      yaml: `gateway:
  groups:
    - name: carriers
      probe: { enabled: false }
      destinations:
        - { name: full, uri: "sip:127.0.0.1:${full.port}", priority: 1 }
        - { name: busy, uri: "sip:127.0.0.1:${busy.port}", priority: 2 }
`,
    })
    const caller = await RawPhone.open('127.0.0.2')
    t.after(() => caller.close())
    const ask = (): Promise<number> =>
      caller.ask(requestText('INVITE', 'sip:+4930123@carrier.example'), siphon.sip)
    assert.equal(await ask(), 486)
    const uris = [full, busy].map(({ invited }) => [...new Set(invited)])
    assert.deepEqual(uris, [['sip:+4930123@carrier.example'], ['sip:+4930123@carrier.example']])

    await phone(t, siphon, 'bob', ANSWERS)
    const carrier = await openPhone('carrier', 'example.com', siphon.sip)
    t.after(() => carrier.close())
    const call = await carrier.call('sip:bob@example.com', 'answered')
    call.bye()

    for (const name of ['full', 'busy']) {
      await siphon.admin(`/admin/gateways/carriers/${name}/down`, { method: 'POST' })
    }
    assert.equal(await ask(), 503)
    await settles(siphon, 'calls_without_gateway_total', 1)
  })

  it('proxy-registrar.ts: registers phones, rings all of a user, refuses the rest', async (t) => {
    const siphon = await serve(t, { script: 'proxy-registrar.ts' })
    const alice = await phone(t, siphon, 'alice')
    await phone(t, siphon, 'bob', RINGS)
    await phone(t, siphon, 'bob', ANSWERS)
    assert.equal(await siphon.metric('registrations_total'), 3)

    const call = await alice.call('sip:bob@example.com', 'answered')
    call.bye()
    await assert.rejects(alice.call('sip:nobody@example.com', 'answered'), /ended with 404/)
    await until('both records', () => siphon.records().length === 2)
    // In the order in which they end: the BYE may still be under way when the other call is refused.
    const record = siphon.records().find((r) => r['response_code'] === 200)
    const refused = siphon.records().find((r) => r['response_code'] === 404)
    assert.deepEqual(record?.['extra'], { branches: 2 })
    assert.equal(record['disconnect_initiator'], 'caller')
    assert.equal(refused?.['disconnect_initiator'], 'server')
    assert.equal(await siphon.metric('calls_routed_total{result="found"}'), 1)
    assert.equal(await siphon.metric('calls_routed_total{result="not_found"}'), 1)
    assert.equal(await siphon.metric('call_branches_sum'), 2)
  })

  it('authenticated-registrar.ts: users of ours log in, strangers may call them, nobody calls out', async (t) => {
    const yaml = 'auth: { realm: example.com, users: { alice: secret, bob: builder } }'
    const siphon = await serve(t, { script: 'authenticated-registrar.ts', yaml })
    const open = async (user: string, password: string): Promise<DigestPhone> => {
      const opened = await DigestPhone.open(siphon.sip, { user }, password)
      t.after(() => opened.close())
      return opened
    }
    const alice = await open('alice', 'secret')
    const bob = await open('bob', 'builder')
    const stranger = await open('nobody', 'x')
    const own = { from: 'sip:bob@example.com', to: 'sip:bob@example.com', headers: ['Expires: 60'] }
    assert.deepEqual(await bob.ask(bob.request('REGISTER', 'sip:example.com', own)), [401, 200])
    assert.deepEqual(await stranger.ask(stranger.request('REGISTER', 'sip:example.com', own)), [401, 401])

    const calls = (from: string) => ({ from: `sip:${from}` })
    const invite = (phone: DigestPhone, to: string, from: string): Promise<number[]> =>
      phone.ask(phone.request('INVITE', `sip:${to}`, calls(from)))
    assert.deepEqual(await invite(alice, 'carol@example.com', 'alice@example.com'), [407, 480])
    assert.deepEqual(await invite(alice, '1@carrier.example', 'alice@example.com'), [403], 'nobody calls out')
    assert.deepEqual(await invite(bob, 'carol@example.com', 'alice@example.com'), [407, 403], 'not as alice')
    assert.deepEqual(await invite(stranger, 'carol@example.com', 'who@else.example'), [480], 'from outside')
    assert.deepEqual(await invite(stranger, '1@carrier.example', 'who@else.example'), [403])
    assert.deepEqual(
      await invite(stranger, 'bob@example.com', 'alice@example.com'),
      [407, 407],
      'not under our name',
    )
    assert.equal(await siphon.sum('siphon_script_errors_total'), 0)
  })

  it('monitoring.ts: counts calls, levels and set-up times right over several workers', async (t) => {
    const siphon = await serve(t, { script: 'monitoring.ts', scriptOptions: { sync_pool_size: 4 } })
    const alice = await phone(t, siphon, 'alice')
    await phone(t, siphon, 'bob', ANSWERS)
    await phone(t, siphon, 'busy', BUSY)
    // Two phones that refuse are one call that failed.
    await phone(t, siphon, 'busy', BUSY)
    await phone(t, siphon, 'away', RINGS)

    const up = await Promise.all(
      Array.from({ length: 12 }, () => alice.call('sip:bob@example.com', 'answered')),
    )
    await settles(siphon, 'calls_active{direction="inbound"}', 12)
    await settles(siphon, 'calls_total{direction="inbound",result="ok"}', 12)
    for (const call of up.slice(0, 5)) call.bye()
    await settles(siphon, 'calls_active{direction="inbound"}', 7)
    for (const call of up) call.bye()
    await settles(siphon, 'calls_active{direction="inbound"}', 0)

    await assert.rejects(alice.call('sip:busy@example.com', 'answered'), /ended with 486/)
    await assert.rejects(alice.call('sip:nobody@example.com', 'answered'), /ended with 404/)
    await settles(siphon, 'calls_total{direction="inbound",result="failed"}', 2)
    const given = await alice.call('sip:away@example.com', 'ringing')
    given.cancel()
    await alice.ended(given)
    assert.equal(given.status, 487)
    await settles(siphon, 'calls_total{direction="inbound",result="cancelled"}', 1)
    await settles(siphon, 'calls_total{direction="inbound",result="failed"}', 2)

    // Bob lets it ring for 0.3 s: no call was set up faster, and none in the bucket above a second.
    assert.equal(await siphon.metric('call_setup_seconds_count'), 12)
    assert.equal(await siphon.metric('call_setup_seconds_bucket{le="0.25"}'), 0)
    assert.equal(await siphon.metric('call_setup_seconds_bucket{le="1.0"}'), 12)
    const mean = (await siphon.metric('call_setup_seconds_sum')) / 12
    const own = (await siphon.metric('siphon_call_setup_seconds_sum')) / 12
    assert.ok(Math.abs(mean - own) < 0.05, `the script says ${mean} s, the server ${own} s`)

    await until('a record for each', () => siphon.records().length === 15)
    for (const record of siphon.records()) assert.deepEqual(record['extra'], { billing_id: 'B-12345' })
    assert.equal(await siphon.sum('siphon_script_errors_total'), 0)
  })

  it(
    "media-proxy.ts: anchors a call's media, and refuses what it cannot anchor",
    { skip: missing('rtpengine') },
    async (t) => {
      const engine = await startRtpengine({ rtpPorts: [25_000, 25_099] })
      t.after(() => engine.stop())
      const one = `{ address: "${engine.address}", timeout_ms: 300 }`
      const media = `media: { rtpengine: ${one}, health_check_interval_secs: 1 }`
      const siphon = await serve(t, { script: 'media-proxy.ts', yaml: media })
      const [alice, bob] = [await SipPeer.open(siphon.sip), await SipPeer.open(siphon.sip)]
      const [a, b] = [await RtpParty.open(), await RtpParty.open()]
      t.after(() => [alice, bob, a, b].forEach((party) => party.close()))
      await register(siphon.sip, 'sip:bob@example.com', bob.contact)
      bob.onRequest = (request) => {
        if (request.method === 'BYE') bob.answer(request, 200)
        if (request.method !== 'INVITE') return
        b.hear(request.body)
        const routes = request.headers.all('record-route').map((route) => ['Record-Route', route] as const)
        bob.answer(request, 200, { headers: routes, body: b.sdp, contentType: 'application/sdp' })
      }
      const unknown = a.sdp.replace(' RTP/AVP 0', ' RTP/AVP 96').replace('rtpmap:0 PCMU', 'rtpmap:96 odd')
      for (const sdp of [undefined, unknown]) {
        const refused = alice.invite('sip:bob@example.com', sdp === undefined ? {} : { sdp })
        assert.equal((await refused.final()).status, 488)
      }
      const call = alice.invite('sip:bob@example.com', { sdp: a.sdp })
      const answer = await call.final()
      a.hear(answer.body)
      await until('both to hear', () => {
        a.send('hello')
        b.send('hello')
        return a.received.length > 0 && b.received.length > 0
      })
      assert.deepEqual(await engine.calls(), [call.callId])
      assert.equal(await call.bye(answer), 200)
      await until('no call at rtpengine', async () => (await engine.calls()).length === 0)
      await settles(siphon, 'media_anchored_total{result="ok"}', 1)

      await engine.process.stop('SIGKILL')
      await settles(siphon, 'siphon_rtpengine_instances_up', 0)
      assert.equal((await alice.invite('sip:bob@example.com', { sdp: a.sdp }).final()).status, 503)
      await settles(siphon, 'media_anchored_total{result="no_instance"}', 1)
    },
  )

  it('timer.ts: pushes the health of the node', async (t) => {
    const pushes: unknown[] = []
    const collector = createServer((request, response) => {
      let text = ''
      request.on('data', (chunk: Buffer) => (text += chunk.toString()))
      request.on('end', () => {
        pushes.push(JSON.parse(text))
        response.writeHead(pushes.length === 1 ? 200 : 503).end()
      })
    })
    await new Promise<void>((done) => collector.listen(0, '127.0.0.1', done))
    t.after(() => void collector.close())
    const address = collector.address()
    const port = typeof address === 'object' ? address?.port : 0
    // As it stands, but every 0.2 s.
    const source = readFileSync(join(root, 'examples/timer.ts'), 'utf8')
    const quick = source.replace('every(\n  10,', 'every(\n  0.2,').replace('jitter: 2', 'jitter: 0')
    assert.notEqual(quick, source)
    const env = { HEALTH_URL: `http://127.0.0.1:${port}/health`, HOSTNAME: 'node-7' }
    const siphon = await serve(t, { script: quick, env })
    await until('two pushes', () => pushes.length >= 2)
    const [first] = pushes as { node: string; uptime_seconds: number }[]
    assert.equal(first?.node, 'node-7')
    assert.ok(first.uptime_seconds > 0 && first.uptime_seconds < 10)
    await settles(siphon, 'health_pushes_total{result="ok"}', 1)
    assert.ok((await siphon.metric('health_pushes_total{result="refused"}')) >= 1)
    collector.close()
    collector.closeAllConnections()
    await until(
      'a failed push',
      async () => (await siphon.metric('health_pushes_total{result="failed"}')) > 0,
    )
  })
})

describe('the script of the contract', () => {
  const script = readFileSync(join(root, 'test/fixtures/contract-script.ts.txt'), 'utf8')

  it('compiles as written', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'siphon-contract-'))
    t.after(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'tsconfig.json'), editorConfig())
    writeFileSync(join(folder, 'script.ts'), script)
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    assert.equal(spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' }).stdout, '')
  })

  it('runs as written', async (t) => {
    const siphon = await serve(t, { script })
    const alice = await phone(t, siphon, 'alice')
    await phone(t, siphon, 'bob', ANSWERS)
    const call = await alice.call('sip:bob@example.com', 'answered')
    call.bye()
    await assert.rejects(alice.call('sip:nobody@example.com', 'answered'), /ended with 404/)
    await settles(siphon, 'calls_total{direction="inbound",result="ok"}', 2)
    await until('both records', () => siphon.records().length === 2)
    for (const record of siphon.records()) assert.deepEqual(record['extra'], { billing_id: 'B-12345' })
    assert.equal(await siphon.metric('siphon_call_attempts_total{result="answered"}'), 1)
    assert.equal(await siphon.sum('siphon_script_errors_total'), 0)
  })
})
