import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { register } from '../../bench/subjects.ts'
import { ANSWERED, flows } from '../support/call-flows.ts'
import { capture, receiveHep } from '../support/collectors.ts'
import { missing, until } from '../support/programs.ts'
import { freePort, startSiphon, type Siphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'
import {
  expect,
  keepCaller,
  pause,
  recv,
  respond,
  scenarioFile,
  send,
  sendBack,
  sendOnBranch,
} from '../support/sipp-scenario.ts'

/** SIPHON_FULL=1: as many of each kind. */
const each = process.env['SIPHON_FULL'] === '1' ? 600 : 20
const rate = 20

const script = `import { auth, b2bua, proxy, registrar } from 'siphon'

proxy.onRequest('REGISTER', (request) => registrar.save(request))
proxy.onRequest((request) => request.reply(405))

const dialled = async (call) => {
  call.setCredentials('trunk', 'secret', { realm: 'carrier' })
  const contacts = await registrar.lookup(call.ruri)
  return contacts.length > 0 ? call.fork(contacts, { timeout: 20 }) : call.reject(404)
}
b2bua.onInvite((call) =>
  call.ruri.includes('locked') ? auth.requireProxyDigest(call, () => dialled(call)) : dialled(call),
)
b2bua.onRefer((call) => call.acceptRefer())
`

const flow = (name: string): (typeof flows)[number] => {
  const found = flows.find((f) => f.name.startsWith(name))
  assert.ok(found, name)
  return found
}

const BYE = [pause(50), send('BYE', 3, { inDialog: true }), recv(200)]
const TALK = [send('INVITE', 1, { sdp: true }), ...ANSWERED, send('ACK', 1, { inDialog: true }), ...BYE]
const ANSWERS = [respond('180 Ringing'), respond('200 OK', { sdp: true, repeat: true }), recv('ACK')]
const HUNG_UP = [recv('BYE'), respond('200 OK', { tag: false })]

const scenario = {
  answers: [recv('INVITE'), ...ANSWERS, ...HUNG_UP],
  /** A carrier that wants to know who calls, and does not mind who hangs up. */
  trunk: [
    recv('INVITE'),
    respond('407 Proxy Authentication Required', {
      headers: ['Proxy-Authenticate: Digest realm="carrier", nonce="1", algorithm=MD5'],
    }),
    recv('ACK'),
    recv('INVITE', { action: expect('Proxy-Authorization: *Digest username=.trunk.') }),
    ...ANSWERS,
    ...HUNG_UP,
  ],
  /** It is put through to somebody else, and ends it. */
  moved: [
    recv('INVITE', { attributes: 'rrs="true"', action: keepCaller }),
    ...ANSWERS,
    recv('INVITE', { action: expect('m=audio') }),
    respond('200 OK', { sdp: true, repeat: true, tag: false }),
    recv('ACK'),
    pause(100),
    sendBack('BYE', 1),
    recv(200),
  ],
  /** A caller who puts the callee through to a third. */
  moves: (third: number) => [
    send('INVITE', 1, { sdp: true }),
    ...ANSWERED,
    send('ACK', 1, { inDialog: true }),
    pause(50),
    send('REFER', 2, { inDialog: true, headers: [`Refer-To: <sip:third@127.0.0.1:${third}>`] }),
    recv(202),
    recv('NOTIFY', { action: expect('SIP/2.0 100') }),
    respond('200 OK', { tag: false }),
    recv('NOTIFY', { action: expect('SIP/2.0 200') }),
    respond('200 OK', { tag: false }),
    ...HUNG_UP,
  ],
  /** Asked for a password by the script. */
  locked: [
    send('INVITE', 1, { sdp: true }),
    recv(407, { attributes: 'auth="true"' }),
    sendOnBranch('ACK', 1),
    send('INVITE', 2, { sdp: true, headers: ['[authentication username=alice password=secret]'] }),
    recv(100, { optional: true }),
    recv(180, { optional: true }),
    recv(200, { attributes: 'rrs="true"' }),
    send('ACK', 2, { inDialog: true }),
    ...BYE,
  ],
}

async function callee(
  t: TestContext,
  steps: readonly string[],
  siphon: Siphon,
  ...users: readonly string[]
): Promise<number> {
  const port = await freePort()
  const running = startCallee(port, { scenario: scenarioFile('callee', steps) })
  t.after(() => running.stop('SIGKILL'))
  for (const user of users) {
    await register(siphon.sip, `sip:${user}@127.0.0.1`, `sip:${user}@127.0.0.1:${port}`)
  }
  return port
}

describe('calls of every kind through the B2BUA', { skip: missing('sipp', 'tshark') }, () => {
  it('are counted the same by sipp, metrics, records, HEP and tshark', async (t) => {
    const hep = await receiveHep()
    const siphon = await startSiphon({
      script,
      yaml: `tracing: { hep: { endpoint: "127.0.0.1:${hep.port}", agent_id: mix } }
auth: { realm: inside, backend: static, users: { alice: "secret" } }`,
    })
    t.after(() => siphon.stop('SIGKILL'))
    t.after(() => hep.close())
    const packets = await capture(siphon.sip)
    await callee(t, scenario.answers, siphon, 'plain', 'locked', 'both')
    await callee(t, flow('3.8').callee, siphon, 'both', 'gone')
    await callee(t, flow('3.9').callee, siphon, 'busy')
    await callee(t, scenario.trunk, siphon, 'trunk')
    await callee(t, scenario.moved, siphon, 'moves')
    const third = await callee(t, scenario.answers, siphon)

    const kinds: Readonly<Record<string, readonly string[]>> = {
      plain: TALK,
      both: TALK,
      trunk: TALK,
      locked: scenario.locked,
      moves: scenario.moves(third),
      gone: flow('3.8').caller,
      busy: flow('3.9').caller,
    }
    const callers = []
    for (const [service, steps] of Object.entries(kinds)) {
      const localPort = await freePort()
      callers.push(
        runCaller({
          target: siphon.target,
          localPort,
          rate,
          calls: each,
          service,
          scenario: scenarioFile(service, steps),
          extra: ['-timeout', each > 20 ? '120' : '20', '-timeout_error'],
        }).then((result) => {
          assert.deepEqual([service, result.successful, result.failed], [service, each, 0], result.output)
        }),
      )
    }
    await Promise.all(callers)
    const messages = async (): Promise<number> =>
      (await siphon.sum('siphon_requests_total')) + (await siphon.sum('siphon_responses_total'))
    await until('every call to be over', async () => (await siphon.sum('siphon_calls_active')) === 0)
    let last = -1
    await until('the last message', async () => {
      const before = last
      last = await messages()
      return before === last && hep.packets() >= last
    })
    const attempts = 7 * each
    await until('records', () => siphon.records().length >= attempts)

    const counted = async (result: string): Promise<number> =>
      siphon.metric(`siphon_call_attempts_total{result="${result}"}`)
    assert.deepEqual(
      [
        await counted('answered'),
        await counted('cancelled'),
        await counted('busy'),
        await counted('challenged'),
      ],
      [5 * each, each, each, each],
    )
    assert.equal(await siphon.sum('siphon_call_attempts_total'), 8 * each)
    const records = siphon.records()
    assert.equal(records.length, attempts)
    const answered = records.filter((r) => r['response_code'] === 200)
    assert.equal(answered.length, 5 * each)
    // One correlation id a call, whatever legs it has: the A leg's Call-ID. A challenged INVITE is of the call it began.
    const correlated = hep.calls((m) => /^CSeq: \d+ (INVITE|ACK|BYE|CANCEL|REFER|NOTIFY)/m.test(m))
    assert.deepEqual([...correlated].sort(), records.map((r) => String(r['call_id'])).sort())
    assert.equal(await siphon.metric('siphon_hep_packets_total{outcome="sent"}'), last)
    assert.equal(hep.packets(), last)
    assert.equal(await packets.stop(), last)
    // Two legs of a fork, the transfer's, and one of every other call.
    const legs = records.reduce((sum, r) => sum + (r['legs'] as string[]).length, 0)
    assert.equal(legs, attempts + 2 * each)
  })
})
