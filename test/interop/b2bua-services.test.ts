import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { register } from '../../bench/subjects.ts'
import { ANSWERED, flows } from '../support/call-flows.ts'
import { missing, until, type Running } from '../support/programs.ts'
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

/**
 * The services of RFC 5359 §2 that a back-to-back user agent is in, with sipp as every party. Hold (2.1) and the flows of RFC
 * 3665 are in b2bua-flows.test.ts, unattended transfer (2.4) in b2bua-mix.test.ts, click to dial (2.18) in
 * b2bua-examples.test.ts; docs/b2bua.md lists what cannot pass, and why.
 */
const script = `import { b2bua, proxy, registrar } from 'siphon'

proxy.onRequest('REGISTER', (request) => registrar.save(request))
proxy.onRequest((request) => request.reply(405))

const phones = async (call, ...users) =>
  (await Promise.all(users.map((user) => registrar.lookup('sip:' + user + '@127.0.0.1')))).flat()

b2bua.onInvite(async (call) => {
  if (call.replaces) return call.acceptReplaces()
  if (/sip:nuisance@/.test(call.fromUri ?? '')) return call.reject(403, 'Screened')
  if (call.ruri.includes('premium')) return call.reject(403, 'Not Allowed')
  if (call.ruri.includes('away')) return call.fork(await phones(call, 'deputy-away'))
  if (call.ruri.includes('findme')) {
    return call.fork(await phones(call, 'desk', 'mobile', 'home'), { strategy: 'sequential', timeout: 1 })
  }
  const contacts = await registrar.lookup(call.ruri)
  return contacts.length > 0 ? call.fork(contacts, { timeout: 1 }) : call.reject(404)
})
b2bua.onFailure(async (call, reply) => {
  const forwards =
    (call.ruri.includes('busy') && reply.statusCode === 486) || (call.ruri.includes('silent') && reply.statusCode === 408)
  return forwards ? call.fork(await phones(call, call.ruri.includes('busy') ? 'deputy-busy' : 'deputy-silent')) : reply.relay()
})
b2bua.onRefer((call) => call.acceptRefer())
`

const flow = (name: string): (typeof flows)[number] => {
  const found = flows.find((f) => f.name.startsWith(name))
  assert.ok(found, name)
  return found
}

const HUNG_UP = [recv('BYE'), respond('200 OK', { tag: false })]
const ANSWERS = [respond('180 Ringing'), respond('200 OK', { sdp: true, repeat: true }), recv('ACK')]
const TAKES = [recv('INVITE'), ...ANSWERS, ...HUNG_UP]
const CALLS = [send('INVITE', 1, { sdp: true }), ...ANSWERED, send('ACK', 1, { inDialog: true })]
const TALKS = [...CALLS, pause(50), send('BYE', 3, { inDialog: true }), recv(200)]
/** Its other party is another one from now on. */
const MOVED = [
  recv('INVITE', { action: expect('m=audio') }),
  respond('200 OK', { sdp: true, repeat: true, tag: false }),
  recv('ACK'),
]

/** A second dialog in one scenario: what follows `///` in a Call-ID is what sipp finds the call by. */
function second(
  method: string,
  cseq: number,
  more: readonly string[] = [],
  sdp = false,
  /** The server, where sipp has not been told it. */
  at = '[remote_ip]:[remote_port]',
): string {
  const body = sdp
    ? [
        'Content-Type: application/sdp',
        'Content-Length: [len]',
        '',
        'v=0',
        'o=user2 1 1 IN IP4 [local_ip]',
        's=-',
        'c=IN IP4 [media_ip]',
        't=0 0',
        'm=audio 6002 RTP/AVP 0',
        'a=rtpmap:0 PCMU/8000',
        '',
      ]
    : ['Content-Length: 0', '', '']
  const lines = [
    `${method} sip:other@${at} SIP/2.0`,
    `Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bKsecond[pid]-[call_number]-${cseq}-${method}`,
    'From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPpTag02[call_number]',
    method === 'INVITE' ? `To: <sip:other@${at}>` : 'To:[$to2]',
    'Call-ID: second///[call_id]',
    `CSeq: ${cseq} ${method}`,
    'Max-Forwards: 70',
    'Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>',
    ...more,
    ...body,
  ]
  return `  <send${method === 'ACK' ? '' : ' retrans="500"'}><![CDATA[\n${lines.join('\n')}\n]]></send>`
}

const keep = (header: string, name: string): string =>
  `<ereg regexp=".*" search_in="hdr" header="${header}:" assign_to="${name}"/>`
const keepTag = (header: string, name: string): string =>
  `<ereg regexp=";tag=([^;&gt; ]*)" search_in="hdr" header="${header}:" assign_to="unused${name},${name}"/><log message="[$unused${name}]"/>`

describe('services of RFC 5359 through the B2BUA', { skip: missing('sipp') }, () => {
  let siphon: Siphon
  before(async () => {
    siphon = await startSiphon({ script })
  })
  after(() => siphon.stop('SIGKILL'))

  /** Takes one call as each of these users; `done` fails unless it went as the scenario says. */
  const takes = async (
    t: TestContext,
    steps: readonly string[],
    ...users: readonly string[]
  ): Promise<{ port: number; done: () => Promise<void> }> => {
    const port = await freePort()
    const running: Running = startCallee(port, {
      scenario: scenarioFile('callee', steps),
      extra: ['-m', '1', '-timeout', '10', '-timeout_error', '-cid_str', '%u-%p'],
    })
    t.after(() => running.stop('SIGKILL'))
    for (const user of users) {
      await siphon.admin(`/admin/registrations/sip:${user}@127.0.0.1`, { method: 'DELETE' })
      await register(siphon.sip, `sip:${user}@127.0.0.1`, `sip:${user}@127.0.0.1:${port}`)
    }
    return { port, done: async () => assert.equal(await running.exited, 0, running.output()) }
  }

  const calls = async (service: string, steps: readonly string[]): Promise<void> => {
    const { successful, output } = await runCaller({
      target: siphon.target,
      localPort: await freePort(),
      rate: 1,
      calls: 1,
      service,
      scenario: scenarioFile('caller', steps),
      extra: ['-timeout', '15', '-timeout_error', '-cid_str', '%u-%p'],
    })
    assert.equal(successful, 1, output)
  }

  // sipp looks at its calls once a second: waiting for one costs nobody anything.
  describe('each', { concurrency: 4 }, () => {
    it('2.2 consultation hold: one call waits while another one is made and ended', async (t) => {
      const held = await takes(t, [recv('INVITE'), ...ANSWERS, ...MOVED, ...MOVED, ...HUNG_UP], 'held')
      const asked = await takes(t, TAKES, 'asked')
      const again = (cseq: number): string[] => [
        send('INVITE', cseq, { inDialog: true, sdp: true }),
        recv(100, { optional: true }),
        recv(200, { attributes: 'rrs="true"' }),
        send('ACK', cseq, { inDialog: true }),
      ]
      await Promise.all([
        calls('held', [
          ...CALLS,
          ...again(2),
          pause(800),
          ...again(3),
          send('BYE', 4, { inDialog: true }),
          recv(200),
        ]),
        calls('asked', [pause(300), ...TALKS]),
      ])
      await Promise.all([held.done(), asked.done()])
    })

    it('2.3 music on hold: the held party is asked for an offer, and gets the answer of the music with the ACK', async (t) => {
      const music = await takes(t, TAKES, 'music')
      const holder = await takes(
        t,
        [
          recv('INVITE', { attributes: 'rrs="true"', action: keepCaller }),
          ...ANSWERS,
          pause(50),
          sendBack('INVITE', 14),
          recv(100, { optional: true }),
          recv(200, { attributes: 'rrs="true"', action: expect('m=audio') }),
          sendBack('ACK', 14, { sdp: true }),
          pause(50),
          sendBack('BYE', 15),
          recv(200),
        ],
        'holder',
      )
      await Promise.all([
        calls('holder', [
          ...CALLS,
          recv('INVITE'),
          respond('200 OK', { sdp: true, repeat: true, tag: false }),
          recv('ACK', { action: expect('m=audio') }),
          ...HUNG_UP,
        ]),
        calls('music', TALKS),
      ])
      await Promise.all([holder.done(), music.done()])
    })

    it('2.5 attended transfer: the transferor has called the target, and puts the two together', async (t) => {
      const bob = await takes(
        t,
        [
          recv('INVITE', { attributes: 'rrs="true"', action: keepCaller }),
          ...ANSWERS,
          ...MOVED,
          pause(100),
          sendBack('BYE', 1),
          recv(200),
        ],
        'bob',
      )
      const carol = await takes(
        t,
        [
          recv('INVITE'),
          ...ANSWERS,
          recv('INVITE'),
          respond('200 OK', { sdp: true, repeat: true, tag: false }),
          recv('ACK', { action: expect('m=audio') }),
          ...HUNG_UP,
        ],
        'other',
      )
      const replaces = 'second%2F%2F%2F[call_id]%3Bto-tag%3D[$tag2]%3Bfrom-tag%3D[pid]SIPpTag02[call_number]'
      await calls('bob', [
        send('INVITE', 1, { sdp: true }),
        recv(100, { optional: true }),
        recv(180, { optional: true }),
        recv(200, { attributes: 'rrs="true"', action: keep('To', 'to1') }),
        send('ACK', 1, { inDialog: true }),
        second('INVITE', 1, [], true),
        recv(100, { optional: true }),
        recv(180, { optional: true }),
        recv(200, { action: keep('To', 'to2') + keepTag('To', 'tag2') }),
        second('ACK', 1),
        pause(50),
        `  <send retrans="500"><![CDATA[
REFER sip:bob@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bKrefer[pid]-[call_number]
From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
To:[$to1]
Call-ID: [call_id]
CSeq: 2 REFER
Max-Forwards: 70
Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>
Refer-To: <sip:other@[remote_ip]:[remote_port]?Replaces=${replaces}>
Content-Length: 0

]]></send>`,
        recv(202),
        recv('NOTIFY', { action: expect('SIP/2.0 100') }),
        respond('200 OK', { tag: false }),
        // The second call ends when the two are together, the first when the transferor has been told.
        recv('BYE'),
        respond('200 OK', { tag: false }),
        recv('NOTIFY', { action: expect('SIP/2.0 200') }),
        respond('200 OK', { tag: false }),
        ...HUNG_UP,
      ])
      await Promise.all([bob.done(), carol.done()])
    })

    for (const [name, service, first] of [
      ['2.7 call forwarding, unconditional', 'away', null],
      ['2.8 call forwarding, busy', 'busy', flow('3.9').callee],
      [
        '2.9 call forwarding, no answer',
        'silent',
        [recv('INVITE'), respond('180 Ringing'), recv('CANCEL'), respond('200 OK', { tag: false })],
      ],
    ] as const) {
      it(name, async (t) => {
        const forwarding = first === null ? null : await takes(t, first, service)
        const deputy = await takes(t, TAKES, `deputy-${service}`)
        // Both ring: two provisional responses may come.
        const rings = [
          recv(100, { optional: true }),
          recv(180, { optional: true }),
          recv(180, { optional: true }),
        ]
        await calls(service, [
          send('INVITE', 1, { sdp: true }),
          ...rings,
          recv(200, { attributes: 'rrs="true"' }),
          send('ACK', 1, { inDialog: true }),
          pause(50),
          send('BYE', 2, { inDialog: true }),
          recv(200),
        ])
        await Promise.all([forwarding?.done(), deputy.done()])
      })
    }

    it('2.12 find-me: one phone is busy, one does not answer, the third has the call', async (t) => {
      const desk = await takes(t, flow('3.9').callee, 'desk')
      const mobile = await takes(
        t,
        [recv('INVITE'), respond('180 Ringing'), recv('CANCEL'), respond('200 OK', { tag: false })],
        'mobile',
      )
      const home = await takes(t, TAKES, 'home')
      const ring = recv(180, { optional: true })
      await calls('findme', [
        send('INVITE', 1, { sdp: true }),
        recv(100, { optional: true }),
        ...[ring, ring, ring],
        recv(200, { attributes: 'rrs="true"' }),
        send('ACK', 1, { inDialog: true }),
        pause(50),
        send('BYE', 2, { inDialog: true }),
        recv(200),
      ])
      await Promise.all([desk.done(), mobile.done(), home.done()])
      const record = await until('the record', () =>
        siphon.records().find((r) => String(r['ruri']).includes('findme')),
      )
      assert.equal((record['legs'] as string[]).length, 3)
    })

    for (const [name, service, from] of [
      ['2.13 incoming call screening', 'anybody', '<sip:nuisance@[local_ip]:[local_port]>'],
      ['2.14 outgoing call screening', 'premium', '<sip:sipp@[local_ip]:[local_port]>'],
    ] as const) {
      it(name, () =>
        calls(service, [
          send('INVITE', 1, { sdp: true, from }),
          recv(100, { optional: true }),
          recv(403),
          sendOnBranch('ACK', 1),
        ]),
      )
    }

    it('2.15 call park: the park server takes the place of the one who parks', async (t) => {
      const parked = await takes(
        t,
        [
          recv('INVITE', { attributes: 'rrs="true"', action: keepCaller }),
          ...ANSWERS,
          ...MOVED,
          pause(50),
          sendBack('BYE', 1),
          recv(200),
        ],
        'parked',
      )
      await calls('parked', [
        send('INVITE', 1, { sdp: true }),
        recv(100, { optional: true }),
        recv(180, { optional: true }),
        recv(200, { attributes: 'rrs="true"', action: keepTag('To', 'tag1') }),
        send('ACK', 1, { inDialog: true }),
        pause(50),
        second(
          'INVITE',
          1,
          ['Require: replaces', 'Replaces: [call_id];to-tag=[$tag1];from-tag=[pid]SIPpTag00[call_number]'],
          true,
        ),
        recv(100, { optional: true }),
        // The one who parked is hung up as the server gets its answer.
        ...HUNG_UP,
        recv(200, { action: keep('To', 'to2') }),
        second('ACK', 1),
        ...HUNG_UP,
      ])
      await parked.done()
    })

    it('2.16 call pickup: who rings is relieved by another phone', async (t) => {
      // One sipp is the phone that rings and the one that picks up: it knows the dialog, as a subscriber to dialog events would.
      const phones = await takes(
        t,
        [
          recv('INVITE', { action: keepTag('From', 'tag1') }),
          respond('180 Ringing'),
          pause(100),
          second(
            'INVITE',
            1,
            ['Replaces: [call_id];to-tag=[$tag1];from-tag=[pid]SIPpTag01[call_number];early-only'],
            true,
            siphon.target,
          ),
          recv(100, { optional: true }),
          recv(200, { action: keep('To', 'to2') + expect('m=audio') }),
          second('ACK', 1, [], false, siphon.target),
          recv('CANCEL', { action: expect('Call completed elsewhere') }),
          respond('200 OK', { tag: false }),
          recv('BYE'),
          respond('200 OK', { tag: false }),
        ],
        'ringing',
      )
      await Promise.all([
        phones.done(),
        calls('ringing', [...CALLS, pause(100), send('BYE', 3, { inDialog: true }), recv(200)]),
      ])
    })

    it('2.17 automatic redial: a busy callee is called again when it is free', async (t) => {
      const busy = await takes(t, flow('3.9').callee, 'occupied')
      await calls('occupied', flow('3.9').caller)
      await busy.done()
      const free = await takes(t, TAKES, 'occupied')
      await calls('occupied', TALKS)
      await free.done()
    })
  })

  it('leaves nothing behind', async () => {
    for (const name of ['siphon_calls_active', 'siphon_dialogs_active', 'siphon_b2bua_calls_active']) {
      await until(`${name} to be 0`, async () => (await siphon.metric(name)) === 0, 40_000)
    }
  })
})
