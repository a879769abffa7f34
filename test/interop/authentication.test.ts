import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import type { DigestAlgorithm } from '../../src/sip/auth/algorithm.ts'
import { DigestPhone } from '../support/digest-phone.ts'
import { missing, root, start, until } from '../support/programs.ts'
import { freePort, RawPhone, requestText, startSiphon, type Siphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'

const USERS = 'users: { alice: "secret", bob: "builder" }'
const SCRIPT = 'authenticated-registrar.ts'

async function phone(
  t: TestContext,
  port: number,
  user: string,
  password: string,
  algorithms?: readonly DigestAlgorithm[],
): Promise<DigestPhone> {
  const opened = await DigestPhone.open(port, { user }, password, algorithms)
  t.after(() => opened.close())
  return opened
}

const login = (aor: string) => ({ from: aor, to: aor, headers: ['Expires: 60'] })

/** sipp registers as bob, and calls him ten times as alice. */
async function sippCalls(siphon: Siphon): Promise<void> {
  const callee = await freePort()
  const account = (user: string, password: string): string[] => [
    '-au',
    user,
    '-ap',
    password,
    '-timeout',
    '20s',
  ]
  // From the port at which the callee then listens: the Contact is the sender's own.
  const bob = await runCaller({
    ...{ target: siphon.target, localPort: callee, rate: 1, calls: 1, service: 'bob' },
    ...{ scenario: 'register-auth.xml', extra: account('bob', 'builder') },
  })
  assert.deepEqual([bob.successful, bob.failed], [1, 0], bob.output)
  const uas = startCallee(callee)
  const bound = `:${callee.toString(16).toUpperCase().padStart(4, '0')} `
  await until('the callee', () => readFileSync('/proc/net/udp', 'latin1').includes(bound))
  const calls = await runCaller({
    ...{ target: siphon.target, localPort: await freePort(), rate: 10, calls: 10, service: 'bob' },
    ...{ scenario: 'uac-auth.xml', extra: account('alice', 'secret') },
  })
  await uas.stop('SIGKILL')
  assert.deepEqual([calls.successful, calls.failed], [10, 0], calls.output)
}

describe('programs that log in', () => {
  let siphon: Siphon
  before(async () => {
    siphon = await startSiphon({ script: SCRIPT, yaml: `auth: { realm: example.com, ${USERS} }` })
  })
  after(() => siphon.stop('SIGKILL'))
  const registered = async (user: string): Promise<boolean> =>
    (await siphon.admin(`/admin/registrations/${user}@example.com`)).status === 200

  it('sipp registers, calls and is recorded under its name', { skip: missing('sipp') }, async () => {
    await sippCalls(siphon)
    await until('ten records', () => siphon.records().length === 10)
    for (const record of siphon.records()) {
      assert.equal(record['auth_user'], 'alice')
      assert.deepEqual(record['extra'], { account: 'alice' })
    }
    assert.equal(await siphon.metric('siphon_call_attempts_total{result="challenged"}'), 10)
    assert.equal(await siphon.metric('siphon_call_attempts_total{result="answered"}'), 10)
  })

  it('sipsak registers', { skip: missing('sipsak') }, async () => {
    const contact = `sip:alice@127.0.0.1:${await freePort()}`
    const to = `sip:alice@${siphon.target}`
    const run = start('sipsak', [
      '-U',
      '-i',
      '-C',
      contact,
      '-s',
      to,
      '-u',
      'alice',
      '-a',
      'secret',
      '-x',
      '60',
      '-v',
    ])
    assert.equal(await run.exited, 0, run.output())
    assert.match(run.output(), /completed successful/)
    assert.equal((await siphon.admin('/admin/registrations/alice@127.0.0.1')).status, 200)
  })

  it('baresip registers', { skip: missing('baresip') }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'baresip-'))
    const proxy = `sip:${siphon.target};transport=udp`
    const account = `<sip:alice@example.com>;auth_user=alice;auth_pass=secret;outbound="${proxy}";regint=60\n`
    const modules =
      'module_path /usr/lib/baresip/modules\nmodule g711.so\nmodule_tmp account.so\nmodule_app menu.so\n'
    writeFileSync(join(folder, 'config'), `${modules}sip_listen 127.0.0.1:${await freePort()}\n`)
    writeFileSync(join(folder, 'accounts'), account)
    writeFileSync(join(folder, 'contacts'), '')
    const running = start('baresip', ['-f', folder])
    try {
      await until('baresip to be registered', () => registered('alice')).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${running.output()}`)
      })
    } finally {
      await running.stop()
    }
  })

  it('nobody gets in with a wrong password, a stranger neither, and nothing tells them apart', async (t) => {
    const before = await siphon.sum('siphon_credential_failures_total')
    for (const user of ['alice', 'nobody']) {
      const guess = await phone(t, siphon.sip, user, 'guess')
      const uri = 'sip:example.com'
      assert.deepEqual(
        await guess.ask(guess.request('REGISTER', uri, login(`sip:${user}@example.com`))),
        [401, 401],
      )
    }
    assert.equal((await siphon.sum('siphon_credential_failures_total')) - before, 2)
    assert.equal(await siphon.metric('siphon_credential_failures_total{reason="wrong"}'), 1)
    assert.equal(await siphon.metric('siphon_credential_failures_total{reason="unknown_user"}'), 1)
  })

  it('who calls under the name of another gets 403', async (t) => {
    const bob = await phone(t, siphon.sip, 'bob', 'builder')
    const call = bob.request('INVITE', 'sip:alice@example.com', { from: 'sip:alice@example.com' })
    assert.deepEqual(await bob.ask(call), [407, 403])
  })

  for (const attack of ['replay', 'enum']) {
    it(`attack: ${attack}`, { skip: missing('python3') }, async () => {
      const tool = join(root, 'test/interop/tools/attack.py')
      const args = [
        tool,
        attack,
        '--target',
        siphon.target,
        '--user',
        'alice',
        '--pass',
        'secret',
        '--domain',
        'example.com',
      ]
      const run = start('python3', args)
      assert.equal(await run.exited, 0, run.output())
    })
  }
})

describe('auth-int', { skip: missing('sipp') }, () => {
  it('sipp signs the bodies of its calls', async (t) => {
    const yaml = `auth: { realm: example.com, ${USERS}, qop: [auth-int] }`
    const siphon = await startSiphon({ script: SCRIPT, yaml })
    t.after(() => siphon.stop('SIGKILL'))
    await sippCalls(siphon)
    assert.equal(await siphon.sum('siphon_credential_failures_total'), 0)
  })
})

describe('algorithms that are offered beside one another', () => {
  it('a phone takes the best it knows; others register none but themselves', async (t) => {
    const siphon = await startSiphon({
      script: SCRIPT,
      yaml: `auth: { realm: example.com, ${USERS}, algorithms: [SHA-512-256, SHA-256, MD5], qop: [auth-int] }
registrar: { enforce_auth_aor_match: true }`,
    })
    t.after(() => siphon.stop('SIGKILL'))
    for (const algorithm of ['SHA-512-256', 'SHA-256', 'MD5'] as const) {
      const alice = await phone(t, siphon.sip, 'alice', 'secret', [algorithm])
      const register = alice.request('REGISTER', 'sip:example.com', login('sip:alice@example.com'))
      assert.deepEqual(await alice.ask(register), [401, 200], algorithm)
      assert.deepEqual(await alice.ask(register), [200], 'the nonce is good for the next count')
    }
    const bob = await phone(t, siphon.sip, 'bob', 'builder')
    assert.deepEqual(
      await bob.ask(bob.request('REGISTER', 'sip:example.com', login('sip:alice@example.com'))),
      [401, 403],
    )
    assert.equal(await siphon.sum('siphon_credential_failures_total'), 0)
  })
})

describe('users that a service knows', () => {
  it('known, unknown, remembered; and while it is down nobody gets in and nobody is blamed', async (t) => {
    let asked = 0
    const server: Server = createServer((request, response) => {
      asked++
      const known = request.url === '/users/alice' && request.headers.authorization === 'Bearer tok'
      response.writeHead(known ? 200 : 404).end(known ? 'secret' : '')
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const { port } = server.address() as AddressInfo
    const http = `{ url: "http://127.0.0.1:${port}/users/{username}", auth_header: "Bearer tok", cache_ttl_secs: 600 }`
    const siphon = await startSiphon({
      script: SCRIPT,
      yaml: `auth: { realm: example.com, backend: http, http: ${http} }`,
      scriptOptions: { sync_pool_size: 1, sync_pool_max: 1 },
    })
    t.after(() => siphon.stop('SIGKILL'))
    const register = async (user: string): Promise<number[]> => {
      const opened = await phone(t, siphon.sip, user, 'secret')
      return opened.ask(opened.request('REGISTER', 'sip:example.com', login(`sip:${user}@example.com`)))
    }
    assert.deepEqual(await register('alice'), [401, 200])
    assert.deepEqual(await register('nobody'), [401, 401])
    assert.deepEqual(await register('alice'), [401, 200])
    assert.deepEqual(await register('nobody'), [401, 401])
    assert.equal(asked, 2)
    server.close()
    server.closeAllConnections()
    assert.deepEqual(await register('alice'), [401, 200], 'remembered')
    assert.deepEqual(await register('bob'), [401, 503])
    const outcome = (name: string): Promise<number> =>
      siphon.metric(`siphon_auth_http_requests_total{outcome="${name}"}`)
    assert.deepEqual([await outcome('found'), await outcome('unknown'), await outcome('error')], [1, 1, 1])
    assert.equal(await siphon.metric('siphon_auth_ha1_cache_hits_total'), 3)
    assert.equal(await siphon.metric('siphon_credential_failures_total{reason="unknown_user"}'), 2)
    assert.equal(await siphon.metric('siphon_credential_failures_total{reason="wrong"}'), 0)
    // Who sends nothing is asked, service or no service.
    const raw = await RawPhone.open()
    t.after(() => raw.close())
    const bare = requestText('REGISTER', 'sip:example.com', login('sip:bob@example.com'))
    assert.equal(await raw.ask(bare, siphon.sip), 401)
  })
})

describe('our client side', { skip: missing('kamailio') }, () => {
  for (const algorithm of [
    'MD5',
    // Kamailio 5.6 offers auth-int but does not hash the body: it cannot check what it asked for.
    'SHA-256',
  ] as const) {
    it(`answers Kamailio: ${algorithm}, one nonce for many requests`, async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'kamailio-'))
      const port = await freePort()
      writeFileSync(
        join(folder, 'k.cfg'),
        `debug=1
log_stderror=yes
children=1
listen=udp:127.0.0.1:${port}
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "auth.so"
modparam("auth", "algorithm", "${algorithm}")
modparam("auth", "nonce_count", 1)
request_route {
  if (!pv_www_authenticate("carrier", "secret", "0")) {
    www_challenge("carrier", "1");
    exit;
  }
  sl_send_reply("200", "OK");
}
`,
      )
      const kamailio = start('kamailio', [
        '-DD',
        '-E',
        '-f',
        join(folder, 'k.cfg'),
        '-m',
        '32',
        '-M',
        '4',
        '-Y',
        folder,
      ])
      t.after(() => kamailio.stop('SIGTERM'))
      const probe = await phone(t, port, 'probe', 'x')
      // Until it listens, what is sent is lost.
      await until('kamailio', () => probe.send(probe.request('OPTIONS', 'sip:carrier'), 200))
      const trunk = await phone(t, port, 'trunk', 'secret')
      const body = { headers: ['Content-Type: text/plain'], body: 'hello' }
      const message = (): ReturnType<typeof trunk.request> => trunk.request('MESSAGE', 'sip:1@carrier', body)
      assert.deepEqual(await trunk.ask(message()), [401, 200], kamailio.output())
      for (let i = 0; i < 5; i++) assert.deepEqual(await trunk.ask(message()), [200])
      const wrong = await phone(t, port, 'trunk', 'guess')
      assert.deepEqual(await wrong.ask(wrong.request('MESSAGE', 'sip:1@carrier', body)), [401, 401])
    })
  }
})
