import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { DigestPhone } from '../support/digest-phone.ts'
import { missing, until } from '../support/programs.ts'
import { RawPhone, requestText, responseText, type Siphon, startSiphon } from '../support/siphon.ts'

/**
 * F54: somebody sets the clock of the machine. libfaketime stands between the process and the wall clock, and leaves the
 * monotonic one alone, as the kernel does.
 */
const library =
  ['x86_64', 'aarch64']
    .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`)
    .find((path) => existsSync(path)) ?? ''
const script = `import { auth, proxy, registrar } from 'siphon'
proxy.onRequest(async (request) => {
  if (request.inDialog) return request.looseRoute() ? request.relay() : request.reply(404)
  if (request.method === 'REGISTER') {
    return auth.requireDigest(request, () => registrar.save(request), { password: 'secret' })
  }
  request.recordRoute()
  return request.fork(await registrar.lookup(request.ruri))
})
`

describe('the clock of the machine is set', { skip: missing('faketime') }, () => {
  const file = join(mkdtempSync(join(tmpdir(), 'faketime-')), 'offset')
  const setClock = (seconds: number): void =>
    writeFileSync(file, `${seconds < 0 ? '' : '+'}${seconds}\n`, 'latin1')
  let siphon: Siphon
  let bob: RawPhone
  let alice: RawPhone
  let login: DigestPhone
  before(async () => {
    assert.ok(library, 'libfaketime')
    setClock(0)
    siphon = await startSiphon({
      script,
      env: {
        LD_PRELOAD: library,
        FAKETIME_TIMESTAMP_FILE: file,
        FAKETIME_NO_CACHE: '1',
        DONT_FAKE_MONOTONIC: '1',
      },
    })
    ;[bob, alice] = [await RawPhone.open(), await RawPhone.open()]
    login = await DigestPhone.open(siphon.sip, { user: 'bob' }, 'secret')
    const aor = 'sip:bob@127.0.0.1'
    const register = login.request('REGISTER', 'sip:127.0.0.1', { from: aor, to: aor })
    register.headers.set('Contact', `<sip:bob@127.0.0.1:${bob.port}>`)
    assert.deepEqual(await login.ask(register), [401, 200])
  })
  after(async () => {
    for (const phone of [bob, alice, login]) phone.close()
    await siphon.stop('SIGKILL')
  })

  const ofCall = (phone: RawPhone, id: string, begins: RegExp): readonly string[] =>
    phone.received.filter((m) => begins.test(m) && m.includes(`Call-ID: ${id}\r\n`))

  for (const [what, seconds] of [
    ['an hour ahead', 3_600],
    ['back by two hours', -3_600],
    ['a day ahead', 86_400],
  ] as const) {
    it(`${what}: a call keeps its length, a binding its life, a nonce its worth, a timer its pace`, async () => {
      const invite = requestText('INVITE', 'sip:bob@127.0.0.1')
      const id = /^Call-ID: (.*)$/m.exec(invite)?.[1] ?? ''
      alice.send(invite, siphon.sip)
      const got = await until('the call', () => ofCall(bob, id, /^INVITE/)[0])
      const begun = performance.now()
      bob.send(responseText(got, '200 OK'), siphon.sip)
      const ok = await until('the answer', () => ofCall(alice, id, /^SIP\/2\.0 200/)[0])
      const dialog = (method: string, cseq: number): string =>
        requestText(method, 'sip:callee@127.0.0.1')
          .replace(/^\w+ \S+/, `${method} sip:callee@127.0.0.1:${bob.port}`)
          .replace(/^From: .*$/m, /^From: .*$/m.exec(invite)?.[0] ?? '')
          .replace(/^To: .*$/m, /^To: .*$/m.exec(ok)?.[0] ?? '')
          .replace(/^Call-ID: .*$/m, `Call-ID: ${id}`)
          .replace(/^CSeq: .*$/m, `CSeq: ${cseq} ${method}`)
          .replace(/^Max-Forwards/m, `Route: ${/^Record-Route: (.*)$/m.exec(ok)?.[1] ?? ''}\r\nMax-Forwards`)
      alice.send(dialog('ACK', 1), siphon.sip)
      await until('the ACK', () => ofCall(bob, id, /^ACK/)[0])

      setClock(seconds)
      assert.equal((await siphon.admin('/admin/health')).status, 200, 'the engine is not taken for stuck')
      // A request that nobody answers, while the clock is another one: it is repeated by T1 all the same.
      const silent = requestText('INVITE', 'sip:bob@127.0.0.1')
      const silentId = /^Call-ID: (.*)$/m.exec(silent)?.[1] ?? ''
      alice.send(silent, siphon.sip)
      const repeated = (): number => ofCall(bob, silentId, /^INVITE/).length
      await until('its first', () => repeated() === 1)
      const first = performance.now()
      await until('its second', () => repeated() === 2)
      const gap = performance.now() - first
      assert.ok(gap > 300 && gap < 1_500, `T1 took ${gap} ms`)

      const bye = dialog('BYE', 2)
      alice.send(bye, siphon.sip)
      bob.send(responseText(await until('the BYE', () => ofCall(bob, id, /^BYE/)[0]), '200 OK'), siphon.sip)
      const lasted = (performance.now() - begun) / 1_000
      const record = await until('its record', () => siphon.records().find((r) => r['call_id'] === id))
      assert.ok(
        Math.abs(Number(record['duration_secs']) - lasted) <= 1,
        `${record['duration_secs']} for ${lasted}`,
      )
      assert.ok(Number(record['setup_secs']) < 5)

      const { body } = await siphon.admin('/admin/registrations')
      const [row] = body as { expires_remaining: number }[]
      assert.ok(row && row.expires_remaining > 3_500 && row.expires_remaining <= 3_600, JSON.stringify(row))
      const again = login.request('REGISTER', 'sip:127.0.0.1', {
        from: 'sip:bob@127.0.0.1',
        to: 'sip:bob@127.0.0.1',
      })
      again.headers.remove('contact')
      assert.deepEqual(await login.ask(again), [200], 'the nonce is good still')

      bob.send(responseText(ofCall(bob, silentId, /^INVITE/)[0] ?? '', '486 Busy Here'), siphon.sip)
      await until('its end', () => ofCall(alice, silentId, /^SIP\/2\.0 486/)[0])
    })
  }

  it('what is written afterwards has the time that the machine says it is', async () => {
    const last = siphon.records().at(-1)
    const ahead = Date.parse(String(last?.['timestamp_end'])) - Date.now()
    assert.ok(Math.abs(ahead - 86_400_000) < 60_000, `${ahead} ms`)
    assert.equal(await siphon.sum('siphon_credential_failures_total'), 0)
  })
})
