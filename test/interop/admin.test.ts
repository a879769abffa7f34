import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Request, Response as Answer } from '../../src/sip/message/message.ts'
import { adminExamples, askExample } from '../support/admin-examples.ts'
import { scratch } from '../support/cdr.ts'
import { root, start, until } from '../support/programs.ts'
import { recordsLab } from '../support/records-lab.ts'
import { SipPeer } from '../support/sip-peer.ts'
import { freePort, node, RawPhone, requestText, startSiphon, type Siphon } from '../support/siphon.ts'

/** The admin API of the contract, asked of the real server. Forms of answers: test/observe/admin. */

const TOKEN = { authorization: 'Bearer s3cret' }

async function registered(t: TestContext, siphon: Siphon, ...users: string[]): Promise<RawPhone> {
  const phone = await RawPhone.open()
  t.after(() => phone.close())
  for (const user of users) {
    const own = { from: `sip:${user}@example.com`, to: `sip:${user}@example.com` }
    assert.equal(await phone.ask(requestText('REGISTER', 'sip:example.com', own), siphon.sip), 200)
  }
  return phone
}

/** Method, path and status, for comparison. */
async function statuses(
  siphon: Siphon,
  asked: readonly (readonly [string, string, Record<string, string>?])[],
) {
  const seen: string[] = []
  for (const [method, path, headers] of asked) {
    const answer = await fetch(siphon.adminUrl + path, { method, ...(headers && { headers }) })
    await answer.arrayBuffer()
    seen.push(`${method} ${path} ${answer.status}`)
  }
  return seen
}

/** A JSON value with the type of each value in the place of it. */
function form(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(form)
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, form(inner)]))
}

describe('the admin API of a running server', { concurrency: 4 }, () => {
  it('lists, shows and removes registrations, however their address is written', async (t) => {
    const siphon = await startSiphon()
    t.after(() => siphon.stop('SIGKILL'))
    const phone = await registered(t, siphon, 'alice', 'bob', 'carol')
    const list = (await siphon.admin('/admin/registrations')).body as Record<string, unknown>[]
    assert.deepEqual(
      list.map(({ aor, uri, q }) => [aor, uri, q]),
      ['alice', 'bob', 'carol'].map((user) => [
        `sip:${user}@example.com`,
        `sip:tester@127.0.0.1:${phone.port}`,
        1,
      ]),
    )
    for (const { expires_remaining: left } of list)
      assert.ok(Number.isInteger(left) && (left as number) > 3_500 && (left as number) <= 3_600, String(left))

    const pages: unknown[][] = []
    for (let path: string | undefined = '/admin/registrations?limit=2'; path !== undefined;) {
      const answer: Response = await fetch(siphon.adminUrl + path)
      pages.push((await answer.json()) as unknown[])
      path = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1]
    }
    assert.deepEqual(pages.flat().length, 3)
    assert.ok(pages.every((page) => page.length <= 2))

    const spellings = ['alice@example.com', 'sip:alice@EXAMPLE.com', 'sip%3Aalice%40example.com']
    for (const aor of spellings) {
      const { status, body } = await siphon.admin(`/admin/registrations/${aor}`)
      const { aor: shown, contacts } = body as { aor: string; contacts: unknown[] }
      assert.deepEqual([status, shown, contacts.length], [200, 'sip:alice@example.com', 1])
    }
    const stats = (await siphon.admin('/admin/stats')).body as Record<string, number>
    assert.equal(stats['registrations_active'], 3)
    assert.ok(Number.isInteger(stats['uptime_seconds']))
    assert.deepEqual(
      await siphon.admin('/admin/registrations/sip%3Aalice%40Example.com', { method: 'DELETE' }),
      {
        status: 200,
        body: { status: 'removed', aor: 'sip:alice@example.com' },
      },
    )
    assert.deepEqual(
      await statuses(siphon, [
        ['GET', '/admin/registrations/alice@example.com'],
        ['DELETE', '/admin/registrations/alice@example.com'],
        ['GET', '/admin/nothing'],
        ['POST', '/admin/stats'],
        ['HEAD', '/admin/health'],
        ['GET', '/admin/openapi.json'],
        ['GET', '/admin/bans'],
        ['DELETE', '/admin/bans/192.0.2.1'],
        ['GET', '/admin/gateways'],
        ['POST', '/admin/gateways/none/none/down'],
        ['GET', '/metrics'],
      ]),
      [
        'GET /admin/registrations/alice@example.com 404',
        'DELETE /admin/registrations/alice@example.com 404',
        'GET /admin/nothing 404',
        'POST /admin/stats 405',
        'HEAD /admin/health 200',
        'GET /admin/openapi.json 200',
        'GET /admin/bans 200',
        'DELETE /admin/bans/192.0.2.1 404',
        'GET /admin/gateways 200',
        'POST /admin/gateways/none/none/down 404',
        'GET /metrics 200',
      ],
    )
    assert.equal(await siphon.metric('siphon_registrations_active'), 2)
  })

  it('finds a user with a slash as encodeURIComponent writes it', async (t) => {
    const siphon = await startSiphon()
    t.after(() => siphon.stop('SIGKILL'))
    await registered(t, siphon, 'a/b')
    for (const aor of [encodeURIComponent('sip:a/b@Example.com'), 'a%252Fb@example.com']) {
      const { status, body } = await siphon.admin(`/admin/registrations/${aor}`)
      assert.deepEqual([status, (body as { aor: string }).aor], [200, 'sip:a/b@example.com'])
    }
    const gone = await siphon.admin('/admin/registrations/a%2Fb@example.com', { method: 'DELETE' })
    assert.deepEqual(gone, { status: 200, body: { status: 'removed', aor: 'sip:a/b@example.com' } })
  })

  it('answers every example of docs/admin-api.md in the form that the page shows', async (t) => {
    const lab = await recordsLab({
      script: `import { b2bua, proxy, registrar, security } from 'siphon'
b2bua.onInvite((call) => call.getHeader('X-Do') === 'proxy' ? call.proxy() : call.dial(call.getHeader('X-To') ?? ''))
proxy.onRequest(async (request) => {
  if (request.method === 'REGISTER') return registrar.save(request)
  if (request.method === 'OPTIONS') return request.reply((await security.ban('192.0.2.66', 3600, 'test')) ? 200 : 500)
  request.recordRoute()
  return request.relay(request.getHeader('X-To'))
})
`,
      admin: 'auth: { token: s3cret }',
      yaml: `gateway:
  groups:
    - name: carriers
      probe: { enabled: false }
      destinations: [{ name: gw1, uri: "sip:gw1.example.net:5060", weight: 2, attrs: { region: eu } }]
`,
    })
    t.after(() => lab.close())
    const phone = await RawPhone.open()
    t.after(() => phone.close())
    const alice = {
      from: 'sip:alice@example.com',
      to: 'sip:alice@example.com',
      headers: ['User-Agent: phone/1'],
    }
    assert.equal(await phone.ask(requestText('REGISTER', 'sip:example.com', alice), lab.siphon.sip), 200)
    assert.equal(await phone.ask(requestText('OPTIONS', 'sip:bans@example.com'), lab.siphon.sip), 200)
    await lab.call('proxy').final()
    lab.answers(180)
    await lab.call('b2bua').response(180, 180)

    const shown = adminExamples.find(({ path }) => path === '/admin/calls')?.body as { id: string }[]
    const live = (await lab.siphon.admin('/admin/calls')).body as { id: string }[]
    for (const example of adminExamples) {
      const at = shown.findIndex(({ id }) => example.path.endsWith(id))
      const path = at < 0 ? example.path : `/admin/calls/${live[at]?.id}`
      const answer = await askExample(lab.siphon.adminUrl, example, path)
      const body: unknown = await answer.json()
      const what = `${example.method} ${example.path}`
      assert.deepEqual([what, answer.status], [what, example.status])
      // What is wrong is said in the same words everywhere; what is there differs in its values only.
      if (answer.ok) assert.deepEqual([what, form(body)], [what, form(example.body)])
      else assert.deepEqual(body, example.body)
    }
  })

  it('removes the registration of a phone in a call, which goes on over the connection that the phone has', async (t) => {
    const siphon = await startSiphon({
      script: `import { proxy, registrar } from 'siphon'
proxy.onRequest(async (request) => {
  if (request.method === 'REGISTER') return registrar.save(request)
  if (request.inDialog) return request.looseRoute() ? request.relay() : request.reply(404)
  request.recordRoute()
  return request.fork(await registrar.lookup(request.ruri))
})
`,
    })
    t.after(() => siphon.stop('SIGKILL'))
    const [caller, phone] = [await SipPeer.open(siphon.sip), await SipPeer.open(siphon.sip, 'tcp')]
    t.after(() => (caller.close(), phone.close()))
    const asked = (method: string): Promise<Request> =>
      phone.heard(method, (m): m is Request => m.kind === 'request' && m.method === method)
    const bob = 'sip:bob@example.com'
    const register = (cseq: number): Promise<Answer> => {
      const who = [`From: <${bob}>;tag=1`, `To: <${bob}>`, 'Call-ID: r', `CSeq: ${cseq} REGISTER`]
      phone.send(phone.request('REGISTER', 'sip:example.com', who))
      return phone.heard('its 200', (m): m is Answer => m.kind === 'response' && m.cseq.number === cseq)
    }
    const remove = { method: 'DELETE' }
    assert.equal((await register(1)).status, 200)
    const call = caller.invite(bob)
    const invite = await asked('INVITE')
    phone.answer(invite, 180)
    await call.response(180, 180)
    assert.equal((await siphon.admin('/admin/registrations/bob@example.com', remove)).status, 200)
    phone.answer(invite, 200)
    const answered = await call.final()
    assert.equal(answered.status, 200)
    await asked('ACK')
    assert.equal((await register(2)).status, 200)
    assert.equal((await siphon.admin('/admin/registrations/bob@example.com', remove)).status, 200)
    caller.send(call.inDialog('BYE', answered))
    phone.answer(await asked('BYE'), 200)
    await caller.heard(
      'the 200',
      (m): m is Answer => m.kind === 'response' && m.cseq.method === 'BYE' && m.status === 200,
    )
    assert.equal((await register(3)).status, 200)
  })

  it('lists proxied calls, and says why it cannot hang one up', async (t) => {
    const lab = await recordsLab()
    t.after(() => lab.close())
    lab.answers(180)
    const call = lab.call()
    await call.response(180, 180)
    const calls = async (): Promise<Record<string, unknown>[]> =>
      (await lab.siphon.admin('/admin/calls')).body as Record<string, unknown>[]
    const [row = {}] = await calls()
    const { id, since_seconds: since, ...rest } = row
    assert.deepEqual(rest, {
      call_id: call.callId,
      kind: 'proxy',
      state: 'ringing',
      a_party: 'sip:tester@example.com',
      b_party: 'sip:bob@example.com',
    })
    assert.ok(Number.isInteger(since) && (since as number) < 5)
    const hangUp = { method: 'DELETE' }
    assert.equal((await lab.siphon.admin(`/admin/calls/${String(id)}`, hangUp)).status, 409)
    assert.equal((await lab.siphon.admin('/admin/calls/no-such', hangUp)).status, 404)
    call.cancel()
    assert.equal((await call.final()).status, 487)
    await until('no call', async () => (await calls()).length === 0)
  })

  it('names as b_party where a call went, as long as it went anywhere', async (t) => {
    const lab = await recordsLab({
      script: `import { b2bua, proxy } from 'siphon'
const sdp = 'v=0\\r\\no=- 1 1 IN IP4 127.0.0.1\\r\\ns=-\\r\\nc=IN IP4 127.0.0.1\\r\\nt=0 0\\r\\n'
b2bua.onInvite((call) => call.getHeader('X-Do') === 'answer' ? call.answer(200) : call.dial(call.getHeader('X-To') ?? ''))
proxy.onRequest(async (request) => {
  await b2bua.originate({ to: 'sip:carol@example.com', from: 'sip:desk@example.com', nextHop: request.getHeader('X-To') ?? '', sdp })
  return request.reply(202)
})
`,
    })
    t.after(() => lab.close())
    const parties = async (): Promise<unknown[]> =>
      ((await lab.siphon.admin('/admin/calls')).body as Record<string, unknown>[]).map((row) => [
        row['state'],
        row['a_party'],
        row['b_party'],
      ])
    const TESTER = 'sip:tester@example.com'
    lab.answers(180)
    const dialled = lab.call('dial')
    await dialled.response(180, 180)
    const dialledTo = `sip:127.0.0.1:${lab.callee.port}`
    assert.deepEqual(await parties(), [['ringing', TESTER, dialledTo]])
    const invite = lab.callee.received.find((m) => m.kind === 'request' && m.method === 'INVITE')
    assert.ok(invite?.kind === 'request')
    lab.callee.answer(invite, 200)
    await dialled.final()
    await lab.call('answer').final()
    const expected = [
      ['answered', TESTER, dialledTo],
      ['answered', TESTER, null],
    ]
    assert.deepEqual(await parties(), expected)
    lab.answers(180, 200)
    const phone = await RawPhone.open()
    t.after(() => phone.close())
    const wish = requestText('MESSAGE', 'sip:desk@example.com', {
      headers: [`X-To: sip:127.0.0.1:${lab.callee.port}`],
    })
    assert.equal(await phone.ask(wish, lab.siphon.sip), 202)
    await until('the third call', async () => (await parties()).length === 3)
    await until('its answer', async () => ((await parties())[2] as unknown[])[0] === 'answered')
    assert.deepEqual((await parties())[2], ['answered', 'sip:desk@example.com', 'sip:carol@example.com'])
  })

  for (const protectReads of [false, true]) {
    it(`wants the token for what changes something${protectReads ? ', and for reads when told to' : ''}`, async (t) => {
      const siphon = await startSiphon({ admin: `auth: { token: s3cret, protect_reads: ${protectReads} }` })
      t.after(() => siphon.stop('SIGKILL'))
      await registered(t, siphon, 'alice')
      const read = protectReads ? 401 : 200
      const aor = '/admin/registrations/alice@example.com'
      assert.deepEqual(
        await statuses(siphon, [
          ['GET', '/admin/health'],
          ['GET', '/admin/ready'],
          ['GET', '/admin/stats'],
          ['GET', aor],
          ['GET', '/metrics'],
          ['DELETE', aor],
          ['DELETE', aor, { authorization: 'Bearer s3cre' }],
          ['GET', aor, TOKEN],
          ['DELETE', aor, TOKEN],
        ]),
        [
          'GET /admin/health 200',
          'GET /admin/ready 200',
          `GET /admin/stats ${read}`,
          `GET ${aor} ${read}`,
          `GET /metrics ${read}`,
          `DELETE ${aor} 401`,
          `DELETE ${aor} 401`,
          `GET ${aor} 200`,
          `DELETE ${aor} 200`,
        ],
      )
    })
  }

  it('is not ready before the script is, and lives meanwhile', async (t) => {
    const folder = scratch(t)
    const [sip, admin] = [await freePort(), await freePort()]
    const gate = join(folder, 'gate')
    writeFileSync(gate, '')
    writeFileSync(
      join(folder, 'script.ts'),
      `import { existsSync } from 'node:fs'
import { proxy } from 'siphon'
while (existsSync('${gate}')) await new Promise((done) => setTimeout(done, 20))
proxy.onRequest((request) => request.reply(404))
`,
    )
    const config = join(folder, 'siphon.yaml')
    writeFileSync(
      config,
      `listen: { udp: ["127.0.0.1:${sip}"] }\nscript: { path: script.ts }\nadmin: { listen: "127.0.0.1:${admin}" }\n`,
    )
    const running = start(node, ['src/bin/siphon.ts', 'run', '-c', config])
    t.after(() => running.stop('SIGKILL'))
    const ask = async (what: string): Promise<unknown[]> => {
      const answer = await fetch(`http://127.0.0.1:${admin}/admin/${what}`)
      return [answer.status, ((await answer.json()) as { status: string }).status]
    }
    await until('the admin port', () => ask('health'))
    assert.deepEqual(await ask('health'), [200, 'ok'])
    assert.deepEqual(await ask('ready'), [503, 'starting'])
    rmSync(gate)
    await until('it to be ready', async () => (await ask('ready'))[0] === 200)
    assert.deepEqual(await ask('ready'), [200, 'ready'])
  })

  it("F67: is not ready while the script's workers die as fast as they start, and the server lives", async (t) => {
    const folder = scratch(t)
    const ill = join(folder, 'ill')
    const siphon = await startSiphon({
      script: `import { existsSync } from 'node:fs'
import { proxy } from 'siphon'
proxy.onRequest((request) => request.reply(404))
setInterval(() => existsSync('${ill}') && process.exit(3), 50)
`,
    })
    t.after(() => siphon.stop('SIGKILL'))
    const ready = async (): Promise<number> => (await siphon.admin('/admin/ready')).status
    writeFileSync(ill, '')
    await until('it to be not ready', async () => (await ready()) === 503, 30_000)
    assert.deepEqual((await siphon.admin('/admin/ready')).body, { status: 'starting' })
    assert.equal((await siphon.admin('/admin/health')).status, 200)
    const tcp = await SipPeer.open(siphon.sip, 'tcp')
    t.after(() => tcp.close())
    await until(
      'a call to be told so',
      async () => (await tcp.invite('sip:x@127.0.0.1').final()).status === 503,
    )
    // After growing pauses: a dozen a second would be ten times as many.
    const lost = siphon.process.output().match(/is lost: the script ended its thread/g)?.length ?? 0
    assert.ok(lost < 20, `${lost} workers were lost`)
    rmSync(ill)
    await until('it to be ready again', async () => (await ready()) === 200, 40_000)
    const phone = await registered(t, siphon)
    assert.equal(await phone.ask(requestText('INVITE', 'sip:x@127.0.0.1'), siphon.sip), 404)
  })

  it('is not healthy when the engine has not ticked for ten seconds, and again when it does', async (t) => {
    const file = join(scratch(t), 'stuck')
    const hook = pathToFileURL(`${root}/test/support/stuck-hook.ts`).href
    const siphon = await startSiphon({ env: { NODE_OPTIONS: `--import=${hook}`, STUCK_FILE: file } })
    t.after(() => siphon.stop('SIGKILL'))
    const health = async (): Promise<number> => (await siphon.admin('/admin/health')).status
    assert.equal(await health(), 200)
    writeFileSync(file, '')
    const began = performance.now()
    await until('it to be noticed', async () => (await health()) === 503, 20_000)
    assert.ok(performance.now() - began > 9_000)
    // The other ways are on another thread.
    assert.equal((await siphon.admin('/admin/ready')).status, 200)
    assert.match(await (await fetch(siphon.metricsUrl)).text(), /^siphon_build_info/m)
    rmSync(file)
    await until('it to tick again', async () => (await health()) === 200)
  })
})
