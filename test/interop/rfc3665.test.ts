import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { missing, until, type Running } from '../support/programs.ts'
import { freePort, startSiphon, type Siphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'
import { flows } from '../support/call-flows.ts'
import { expect, recv, scenarioFile, send, sendOnBranch } from '../support/sipp-scenario.ts'

/**
 * The call flows of RFC 3665 that pass a proxy, a redirect server or a registrar, with sipp as every user agent. Not here:
 * §3.1 (no server in it), §3.5 (an ALG, not a proxy). Those of two proxies: rfc3665-proxies.test.ts.
 */

const script = `import { auth, proxy, registrar } from 'siphon'

proxy.onRequest(async (request) => {
  if (request.method === 'REGISTER') {
    return auth.requireDigest(request, () => registrar.save(request), { password: 'secret' })
  }
  if (request.inDialog) return request.looseRoute() ? request.relay() : request.reply(404)
  if (request.ruri.includes('moved')) {
    return request.reply(302, undefined, { headers: { Contact: request.getHeader('X-Now-At') ?? '' } })
  }
  if (request.method === 'INVITE') request.recordRoute()
  const contacts = await registrar.lookup(request.ruri)
  return contacts.length > 0 ? request.fork(contacts) : request.reply(404)
})
`

describe('call flows of RFC 3665', { skip: missing('sipp') }, () => {
  let siphon: Siphon
  let silent: Promise<Awaited<ReturnType<typeof runCaller>>>
  before(async () => {
    siphon = await startSiphon({ script })
    // §3.10 takes as long as timer B: 32 s, while the others run.
    const port = await freePort()
    await bind('silent', port)
    silent = runCaller({
      ...caller('silent', await freePort(), [
        send('INVITE', 1, { sdp: true }),
        recv(100, { optional: true }),
        recv(408, { attributes: 'timeout="40000"' }),
        sendOnBranch('ACK', 1),
      ]),
    })
  })
  after(() => siphon.stop('SIGKILL'))

  const caller = (service: string, localPort: number, steps: readonly string[]) => ({
    target: siphon.target,
    localPort,
    rate: 1,
    calls: 1,
    service,
    scenario: scenarioFile('caller', steps),
    extra: ['-trace_err', '-error_file', '/dev/stderr'],
  })

  /** A REGISTER, its challenge, and the REGISTER once more, for `status` in the end. */
  async function bind(
    user: string,
    port: number,
    more: Readonly<{
      contact?: string
      expires?: number
      expectation?: string
      status?: number
      password?: string
      uri?: string
      aor?: string
    }> = {},
  ): Promise<void> {
    const aor = more.aor ?? 'sip:[service]@[remote_ip]'
    const contact = more.contact ?? `<sip:${user}@127.0.0.1:${port}>`
    const register = (cseq: number, headers: readonly string[] = []): string =>
      send('REGISTER', cseq, {
        uri: more.uri ?? 'sip:[remote_ip]:[remote_port]',
        to: `<${aor}>`,
        from: `<${aor}>`,
        headers: [
          ...(contact === '' ? [] : [`Contact: ${contact}`]),
          ...(more.expires === undefined ? [] : [`Expires: ${more.expires}`]),
          ...headers,
        ],
        noContact: true,
      })
    const result = await runCaller(
      caller(user, await freePort(), [
        register(1),
        recv(401, { attributes: 'auth="true"' }),
        register(2, [`[authentication username=${user} password=${more.password ?? 'secret'}]`]),
        recv(more.status ?? 200, more.expectation === undefined ? {} : { action: expect(more.expectation) }),
      ]),
    )
    assert.equal(result.successful, 1, result.output)
  }

  describe('registration', () => {
    it('2.1 a new binding', () =>
      bind('ann', 5071, { expectation: 'Contact: *.sip:ann@127.0.0.1:5071.;expires=3600' }))
    it('2.2 a second contact is listed beside the first', () =>
      bind('ann', 5072, { contact: '<mailto:ann@example.com>', expectation: 'mailto:ann@example.com' }))
    it('2.3 a query changes nothing and lists both', () =>
      bind('ann', 0, { contact: '', expectation: 'sip:ann@127.0.0.1:5071' }))
    it('2.4 all are cancelled', async () => {
      await bind('ann', 0, { contact: '*', expires: 0 })
      assert.equal((await siphon.admin('/admin/registrations/ann@127.0.0.1')).status, 404)
    })
    it('2.5 a wrong password is asked again, and registers nothing', async () => {
      await bind('ann', 5071, { password: 'guess', status: 401 })
      assert.equal((await siphon.admin('/admin/registrations/ann@127.0.0.1')).status, 404)
      assert.equal(await siphon.metric('siphon_credential_failures_total{reason="wrong"}'), 1)
    })
    it('another domain is refused', () =>
      bind('eve', 5071, { uri: 'sip:elsewhere.example', aor: 'sip:eve@elsewhere.example', status: 404 }))
  })

  describe('session', () => {
    for (const [i, flow] of flows.entries()) {
      it(flow.name, async () => {
        const user = `user${i}`
        const port = await freePort()
        await bind(user, port)
        const callee: Running = startCallee(port, {
          scenario: scenarioFile('callee', flow.callee),
          extra: ['-m', '1', '-trace_err', '-error_file', '/dev/stderr'],
        })
        try {
          const result = await runCaller(caller(user, await freePort(), flow.caller))
          assert.equal(result.successful, 1, result.output)
          assert.equal(await callee.exited, 0, callee.output())
        } finally {
          await callee.stop('SIGKILL')
        }
        const record = await until('its record', () =>
          siphon.records().find((r) => r['ruri'] === `sip:${user}@${siphon.target}`),
        )
        const found = Object.fromEntries(Object.keys(flow.record).map((k) => [k, record[k]]))
        assert.deepEqual(found, flow.record)
      })
    }
    it('3.10 no response from the user agent', async () => {
      const result = await silent
      assert.equal(result.successful, 1, result.output)
      const record = await until('its record', () =>
        siphon.records().find((r) => String(r['ruri']).includes('silent')),
      )
      assert.deepEqual([record['response_code'], record['disconnect_initiator']], [408, 'timeout'])
    })
    it('leaves nothing behind', async () => {
      await until('calls to be forgotten', async () => (await siphon.metric('siphon_calls_active')) === 0)
      assert.equal(await siphon.metric('siphon_proxy_dialog_sessions'), 0)
    })
  })
})
