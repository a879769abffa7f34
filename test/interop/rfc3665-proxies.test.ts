import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { register } from '../../bench/subjects.ts'
import { Dialog } from '../../src/sip/dialog/dialog.ts'
import { ANSWERED } from '../support/call-flows.ts'
import { DigestPhone } from '../support/digest-phone.ts'
import { missing, until } from '../support/programs.ts'
import { freePort, type Siphon, startSiphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'
import {
  keepCaller,
  pause,
  recv,
  respond,
  scenarioFile,
  send,
  sendBack,
  sendOnBranch,
} from '../support/sipp-scenario.ts'

/** The call flows of RFC 3665 with two proxies in them: atlanta, which knows its callers, and biloxi, where the callee is. */

const biloxi = `import { auth, proxy, registrar } from 'siphon'

proxy.onRequest(async (request) => {
  if (request.method === 'REGISTER') return registrar.save(request)
  if (request.inDialog) return request.looseRoute() ? request.relay() : request.reply(404)
  const ring = async () => {
    request.recordRoute()
    return request.fork(await registrar.lookup(request.ruri))
  }
  if (!request.ruri.startsWith('sip:closed')) return ring()
  return auth.requireProxyDigest(request, ring, { realm: 'biloxi', password: 'secret' })
})
`
const atlanta = (onward: string, dead: string): string => `import { auth, proxy } from 'siphon'

proxy.onRequest((request) => {
  if (request.inDialog) return request.looseRoute() ? request.relay() : request.reply(404)
  request.recordRoute()
  if (request.ruri.includes('failing')) {
    const user = request.ruri.split('@')[0]
    return request.fork([user + '@${dead}', user + '@${onward}'], { strategy: 'sequential' })
  }
  return auth.requireProxyDigest(request, () => request.relay('sip:${onward}'), { realm: 'atlanta', password: 'secret' })
})
`

const LOGIN = '[authentication username=alice password=secret]'

/** INVITE, 407, INVITE with credentials. */
const CHALLENGED = [
  send('INVITE', 1, { sdp: true }),
  recv(100, { optional: true }),
  recv(407, { attributes: 'auth="true"' }),
  sendOnBranch('ACK', 1),
  send('INVITE', 2, { sdp: true, headers: [LOGIN] }),
]
const HUNG_UP = [
  ...ANSWERED,
  send('ACK', 2, { inDialog: true }),
  recv('BYE'),
  respond('200 OK', { tag: false }),
]
const HANGS_UP = [
  recv('INVITE', { attributes: 'rrs="true"', action: keepCaller }),
  respond('180 Ringing'),
  respond('200 OK', { sdp: true, repeat: true }),
  recv('ACK'),
  pause(50),
  sendBack('BYE', 1),
  recv(200),
]

const TAKES_A_CALL = [
  recv('INVITE', { attributes: 'rrs="true"' }),
  respond('180 Ringing'),
  respond('200 OK', { sdp: true, repeat: true }),
  recv('ACK'),
  recv('BYE'),
  respond('200 OK', { tag: false }),
]

describe('call flows of RFC 3665 through two proxies', { skip: missing('sipp') }, () => {
  let first: Siphon
  let second: Siphon
  before(async () => {
    second = await startSiphon({ script: biloxi })
    const dead = `127.0.0.1:${await freePort()};transport=tcp`
    first = await startSiphon({ script: atlanta(second.target, dead) })
  })
  after(() => Promise.all([first.stop('SIGKILL'), second.stop('SIGKILL')]))

  /** A callee that is registered at biloxi while `work` runs, and must have seen the whole flow. */
  async function called(
    user: string,
    callee: readonly string[],
    work: (user: string) => Promise<void>,
  ): Promise<void> {
    const port = await freePort()
    await register(second.sip, `sip:${user}@127.0.0.1`, `sip:${user}@127.0.0.1:${port}`)
    const running = startCallee(port, {
      scenario: scenarioFile('callee', callee),
      extra: ['-m', '1', '-trace_err', '-error_file', '/dev/stderr'],
    })
    try {
      await work(user)
      assert.equal(await running.exited, 0, running.output())
    } finally {
      await running.stop('SIGKILL')
    }
    for (const proxy of [first, second]) {
      const record = await until('its record', () =>
        proxy.records().find((r) => String(r['ruri']).startsWith(`sip:${user}@`)),
      )
      assert.equal(record['response_code'], 200)
    }
  }

  const sippCalls = async (service: string): Promise<void> => {
    const result = await runCaller({
      ...{ target: first.target, localPort: await freePort(), rate: 50, calls: 1, service },
      scenario: scenarioFile('caller', [...CHALLENGED, ...HUNG_UP]),
      extra: ['-trace_err', '-error_file', '/dev/stderr', '-timeout', '20s'],
    })
    assert.equal(result.successful, 1, result.output)
  }

  it('3.2 session through two proxies, the first of which asks for credentials', () =>
    called('bob', HANGS_UP, sippCalls))

  it('3.3 both ask: the INVITE that is let through carries credentials for each', () =>
    // sipp keeps one challenge at a time: this caller is ours.
    called('closed', TAKES_A_CALL, async (user) => {
      const alice = await DigestPhone.open(first.sip, { user: 'alice' }, 'secret')
      try {
        const invite = alice.request('INVITE', `sip:${user}@127.0.0.1:${first.sip}`)
        const statuses = await alice.ask(invite)
        assert.deepEqual(statuses, [407, 407, 200])
        const dialog = Dialog.uac(invite, alice.lastAnswer)
        alice.sendAck(dialog.ack(alice.lastAnswer.cseq.number).request)
        assert.equal((await alice.send(dialog.request('BYE').request)).status, 200)
      } finally {
        alice.close()
      }
    }))

  it('3.4 the proxy that is asked first is dead, and the other one asks for credentials', async () => {
    await called('closed-failing', HANGS_UP, sippCalls)
    assert.equal(await first.metric('siphon_call_attempts_total{result="answered"}'), 3)
  })
})
