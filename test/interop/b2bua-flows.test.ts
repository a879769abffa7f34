import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { register } from '../../bench/subjects.ts'
import { ANSWERED, type CallFlow, flows } from '../support/call-flows.ts'
import { missing, until } from '../support/programs.ts'
import { freePort, startSiphon, type Siphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'
import { expect, pause, recv, respond, scenarioFile, send, sendOnBranch } from '../support/sipp-scenario.ts'

/**
 * The call flows of RFC 3665 §3 that a back-to-back user agent is in, and hold (RFC 5359 §2.1), with sipp on both sides.
 * Transfers: b2bua-examples.test.ts. A request that is for no call goes to the proxy of the same script.
 */
const script = `import { b2bua, proxy, registrar } from 'siphon'

proxy.onRequest('REGISTER', (request) => registrar.save(request))
proxy.onRequest('INVITE', async (request) => {
  request.recordRoute()
  return request.fork(await registrar.lookup(request.ruri))
})
proxy.onRequest((request) => (request.looseRoute() ? request.relay() : request.reply(404)))

b2bua.onInvite(async (call) => {
  if (call.ruri.includes('moved')) {
    return call.reject(302, undefined, { headers: { Contact: call.getHeader('X-Now-At') ?? '' } })
  }
  if (call.ruri.includes('proxied')) return call.proxy()
  const contacts = await registrar.lookup(call.ruri)
  return contacts.length > 0 ? call.fork(contacts, { timeout: 2 }) : call.reject(404)
})
`

const HELD = [
  send('INVITE', 1, { sdp: true }),
  ...ANSWERED,
  send('ACK', 1, { inDialog: true }),
  pause(50),
  send('INVITE', 2, { inDialog: true, sdp: true, headers: ['Subject: hold'] }),
  recv(100, { optional: true }),
  recv(200, { attributes: 'rrs="true"', action: expect('m=audio') }),
  send('ACK', 2, { inDialog: true }),
  pause(50),
  send('BYE', 3, { inDialog: true }),
  recv(200),
]
const HOLDS = [
  recv('INVITE'),
  respond('180 Ringing'),
  respond('200 OK', { sdp: true, repeat: true }),
  recv('ACK'),
  recv('INVITE', { action: expect('Subject: hold') }),
  respond('200 OK', { sdp: true, repeat: true, tag: false }),
  recv('ACK'),
  recv('BYE'),
  respond('200 OK', { tag: false }),
]

const more: readonly CallFlow[] = [
  {
    name: 'hold by re-INVITE (RFC 5359 §2.1)',
    caller: HELD,
    callee: HOLDS,
    record: { kind: 'b2bua', response_code: 200, disconnect_initiator: 'caller' },
  },
  {
    name: 'nobody answers in time: 408, and the callee is cancelled',
    caller: [
      send('INVITE', 1, { sdp: true }),
      recv(100, { optional: true }),
      recv(180),
      recv(408),
      sendOnBranch('ACK', 1),
    ],
    callee: [recv('INVITE'), respond('180 Ringing'), recv('CANCEL'), respond('200 OK', { tag: false })],
    record: { kind: 'b2bua', response_code: 408, disconnect_initiator: 'timeout' },
  },
  {
    name: 'left to the proxy of the same script',
    caller: [
      send('INVITE', 1, { sdp: true }),
      ...ANSWERED,
      send('ACK', 1, { inDialog: true }),
      pause(50),
      send('BYE', 2, { inDialog: true }),
      recv(200),
    ],
    callee: [
      recv('INVITE', { attributes: 'rrs="true"', action: expect('Record-Route') }),
      respond('200 OK', { sdp: true, repeat: true }),
      recv('ACK'),
      recv('BYE'),
      respond('200 OK', { tag: false }),
    ],
    record: { kind: 'proxy', response_code: 200, disconnect_initiator: 'caller' },
  },
]

describe('call flows through a back-to-back user agent', { skip: missing('sipp') }, () => {
  let siphon: Siphon
  before(async () => {
    siphon = await startSiphon({ script })
  })
  after(() => siphon.stop('SIGKILL'))

  for (const [i, flow] of [...flows, ...more].entries()) {
    it(flow.name, async () => {
      const user = flow.record['kind'] === 'proxy' ? 'proxied' : `user${i}`
      const port = await freePort()
      await register(siphon.sip, `sip:${user}@127.0.0.1`, `sip:${user}@127.0.0.1:${port}`)
      const callee = startCallee(port, {
        scenario: scenarioFile('callee', flow.callee),
        extra: ['-m', '1', '-trace_err', '-error_file', '/dev/stderr'],
      })
      try {
        const result = await runCaller({
          target: siphon.target,
          localPort: await freePort(),
          // At one a second sipp waits for a second before the first.
          rate: 50,
          calls: 1,
          service: user,
          scenario: scenarioFile('caller', flow.caller),
          extra: ['-trace_err', '-error_file', '/dev/stderr'],
        })
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

  it('leaves nothing behind', async () => {
    for (const name of ['siphon_calls_active', 'siphon_dialogs_active', 'siphon_b2bua_calls_active']) {
      await until(`${name} to be 0`, async () => (await siphon.metric(name)) === 0)
    }
  })
})
