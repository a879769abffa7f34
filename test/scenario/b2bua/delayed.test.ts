import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeBencode, encodeBencode, isDictionary, type Dictionary } from '../../../src/base/bencode.ts'
import type { Edit, Job } from '../../../src/core/verdict.ts'
import { MediaEngine } from '../../../src/media/media-engine.ts'
import { BUILT_IN } from '../../../src/media/profiles.ts'
import { mediaRelay } from '../../../src/server/media-services.ts'
import { Dialog } from '../../../src/sip/dialog/dialog.ts'
import type { Response } from '../../../src/sip/message/message.ts'
import { sdp, type AgentCall } from '../../support/agent.ts'
import { b2buaLab, decision, dial } from '../../support/b2bua-lab.ts'
import type { Lab } from '../../support/lab.ts'

/**
 * Calls whose INVITE has no offer (RFC 3261 §13.2.1), with their media at an rtpengine of ours: what it is told, what each side
 * sees, and that nothing is left, of whatever end.
 */
const relayed = (name: string): string => `${sdp(name)}a=relayed\r\n`
/** What an offer gets that nobody answers: as many media, none of them taken. */
const DECLINED = /^v=0\r\no=- 1 1 IN IP4 anonymous\.invalid\r\n(.*\r\n)*m=audio 0 RTP\/AVP 0\r\n$/

interface Told {
  readonly refuses?: 'offer' | 'answer'
  /** Whether the script puts what the callee says through by itself. */
  readonly answers?: boolean
  readonly profile?: string
  readonly to?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

function call({
  refuses,
  answers = false,
  profile = 'rtp_passthrough',
  to = ['bob'],
  headers = {},
}: Told = {}) {
  const commands: Dictionary[] = []
  let made: MediaEngine | null = null
  const media = (room: Lab): MediaEngine => {
    const { clock, spine, identifiers } = room
    const engine = new MediaEngine({
      ...{ clock, spine, identifiers, healthIntervalMs: 0, profiles: BUILT_IN },
      instances: [{ address: { host: '192.0.2.250', port: 2223 }, weight: 1, timeoutMs: 300 }],
    })
    engine.client.use(4, {
      send: (text, to) => {
        const cookie = text.slice(0, text.indexOf(' '))
        const command = decodeBencode(text.slice(cookie.length + 1))
        if (!isDictionary(command)) throw new Error(`no command: ${text}`)
        if (command['command'] !== 'ping') commands.push(command)
        const answer: Dictionary =
          command['command'] === refuses
            ? { result: 'error', 'error-reason': 'no' }
            : {
                result: command['command'] === 'ping' ? 'pong' : 'ok',
                sdp: `${String(command['sdp'] ?? '')}a=relayed\r\n`,
              }
        clock.startTimer(1, () =>
          engine.client.receive(`${cookie} ${encodeBencode(answer)}`, to.host, to.port),
        )
      },
      close: () => Promise.resolve(),
    })
    spine.callEnded.subscribe((record) => engine.complete(record, () => undefined))
    engine.start()
    made = engine
    return engine
  }
  const signal = ({ request, response }: Job) => ({
    callId: request.callId,
    fromTag: request.fromTag ?? '',
    toTag: response?.toTag ?? null,
    viaBranch: null,
    sdp: response?.body ?? '',
    profile: response === null ? profile : null,
    extras: {},
  })
  /** As `rtpengine.answer(reply)` would: what comes of it is what crosses. */
  const passes = (job: Job) => {
    const body = job.response?.body ?? ''
    const edits: Edit[] = body === '' ? [] : [['body', `${body}a=relayed\r\n`, 'application/sdp']]
    return decision({ do: 'relay', target: null }, { edits })
  }
  const room = b2buaLab({
    latencyMs: 10,
    thinks: answers ? 5 : 0,
    begins: (job) => {
      if (job.kind === 'early' || job.kind === 'answered') made?.answer(signal(job), () => undefined)
    },
    media: (_clock, of) => mediaRelay(media(of)),
    script: {
      invite: (job) => {
        made?.awaitOffer(signal(job), (result) => assert.equal(result.ok, true))
        return dial(to)()
      },
      ...(answers ? { early: passes, answered: passes } : {}),
    },
  })
  for (const agent of room.agents) {
    agent.onRequest = (request, of) => {
      if (request.method === 'BYE') of?.answer(200, {}, request)
    }
  }
  const a = room.alice.call('sip:bob@example.com', { sdp: null, headers })
  room.clock.advance(25)
  const b = room.bob.calls[0] as AgentCall
  assert.equal(b.invite.body, '')
  const engine = made as MediaEngine | null
  if (engine === null) throw new Error('no engine')
  const over = (ladder: string): void => {
    room.clock.advance(60)
    room.assertLadder(ladder)
    room.assertEmpty()
    assert.equal(room.records.length, 1)
    assert.deepEqual([engine.sessions, engine.levels.calls, engine.client.pending], [0, 0, 0])
  }
  const asked = (): string[] =>
    commands.map((c) => {
      const who = (tag: unknown): string =>
        tag === undefined ? '-' : tag === a.invite.fromTag ? 'caller' : 'callee'
      return `${String(c['command'])} ${who(c['from-tag'])} ${who(c['to-tag'])}`
    })
  return { ...room, a, b, over, asked, commands }
}

const ALL = ['offer callee -', 'answer callee caller', 'query - -', 'delete - -']

describe('a call without an offer, with media', () => {
  it('has the offer of the 200 and the answer of the ACK anchored, each with the flags of the side that sees it', () => {
    const { alice, bob, clock, a, b, asked, commands, over } = call({ profile: 'rtp_to_srtp' })
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(25)
    assert.equal(alice.last('200 INVITE').body, relayed('offer'))
    a.ack({ sdp: sdp('answer') })
    clock.advance(25)
    assert.equal(bob.lastRequest('ACK').body, relayed('answer'))
    a.bye()
    clock.advance(25)
    over(`
       0  alice  → siphon  INVITE
      10  siphon → alice   100 INVITE
      10  siphon → bob     INVITE
      25  bob    → siphon  200 INVITE
      36  siphon → alice   200 INVITE
      50  alice  → siphon  ACK
      61  siphon → bob     ACK
      75  alice  → siphon  BYE
      85  siphon → alice   200 BYE
      85  siphon → bob     BYE
      95  bob    → siphon  200 BYE`)
    assert.deepEqual(asked(), ALL)
    // The caller speaks RTP/AVP; the callee has its answer in what it has offered (RFC 3264 §6).
    assert.equal(commands[0]?.['transport-protocol'], 'RTP/AVP')
    assert.equal(commands[1]?.['transport-protocol'], undefined)
  })

  it('offers the caller the protocol that the profile knows it to speak', () => {
    for (const [profile, protocol] of [
      ['srtp_to_rtp', 'RTP/SAVP'],
      ['ws_to_rtp', 'UDP/TLS/RTP/SAVPF'],
    ] as const) {
      const { clock, a, b, commands, assertEmpty } = call({ profile })
      b.answer(200, { sdp: sdp('offer') })
      clock.advance(25)
      a.ack({ sdp: sdp('answer') })
      clock.advance(25)
      a.bye()
      assertEmpty()
      assert.equal(commands[0]?.['transport-protocol'], protocol)
    }
  })

  it('goes through once when the script puts the 200 through by itself', () => {
    const { alice, bob, clock, a, b, asked, over } = call({ answers: true })
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(40)
    assert.equal(alice.last('200 INVITE').body, relayed('offer'))
    a.ack({ sdp: sdp('answer') })
    clock.advance(25)
    assert.equal(bob.lastRequest('ACK').body, relayed('answer'))
    a.bye()
    clock.advance(25)
    over(`
        0  alice  → siphon  INVITE
       15  siphon → alice   100 INVITE
       15  siphon → bob     INVITE
       25  bob    → siphon  200 INVITE
       40  siphon → alice   200 INVITE
       65  alice  → siphon  ACK
       76  siphon → bob     ACK
       90  alice  → siphon  BYE
      100  siphon → alice   200 BYE
      100  siphon → bob     BYE
      110  bob    → siphon  200 BYE`)
    assert.deepEqual(asked(), ALL)
  })

  for (const answers of [false, true]) {
    it(`has the offer of a reliable 183 and the answer of the PRACK anchored${answers ? ', by the script' : ''}`, () => {
      const { alice, bob, clock, a, b, asked, assertEmpty } = call({
        answers,
        headers: { Supported: '100rel' },
      })
      b.reliably(183, { sdp: sdp('offer') })
      clock.advance(30)
      const early = alice.last('183 INVITE') as Response
      assert.equal(early.body, relayed('offer'))
      a.prack(early, { sdp: sdp('answer') })
      clock.advance(30)
      assert.equal(bob.lastRequest('PRACK').body, relayed('answer'))
      b.answer(200, {}, bob.lastRequest('PRACK'))
      // Said again, as many do: it is of no consequence, and must not show where the callee is.
      b.answer(200, { sdp: sdp('offer') })
      clock.advance(30)
      assert.equal(alice.got().includes('200 PRACK'), true)
      assert.equal(alice.last('200 INVITE').body, '')
      assert.equal(bob.lastRequest('ACK').body, '')
      a.ack()
      clock.advance(30)
      a.within('INVITE', { sdp: sdp('hold') })
      clock.advance(30)
      assert.equal(bob.lastRequest('INVITE').body, relayed('hold'))
      b.answer(200, { sdp: sdp('held') }, bob.lastRequest('INVITE'))
      clock.advance(30)
      assert.equal(alice.last('200 INVITE').body, relayed('held'))
      a.ack({}, alice.last('200 INVITE') as Response)
      clock.advance(30)
      a.bye()
      assertEmpty()
      assert.deepEqual(asked(), [
        ...ALL.slice(0, 2),
        'offer caller callee',
        'answer caller callee',
        ...ALL.slice(2),
      ])
    })
  }
})

describe('two callees, and an offer of each', () => {
  it('in reliable 183s: each has its answer, and who answers the call has its media', () => {
    const { alice, bob, carol, clock, a, b, asked, over } = call({
      to: ['bob', 'carol'],
      headers: { Supported: '100rel' },
    })
    const c = carol.calls[0] as AgentCall
    b.reliably(183, { sdp: sdp('offer of bob') })
    clock.advance(5)
    c.reliably(183, { sdp: sdp('offer of carol') })
    clock.advance(25)
    for (const [callee, name] of [
      [b, 'bob'],
      [c, 'carol'],
    ] as const) {
      const early = alice.received.find((m) => m.body === relayed(`offer of ${name}`)) as Response
      a.dialog = Dialog.uac(a.invite, early)
      a.prack(early, { sdp: sdp(`answer to ${name}`) })
      clock.advance(25)
      const prack = callee.agent.lastRequest('PRACK')
      assert.equal(prack.body, relayed(`answer to ${name}`))
      callee.answer(200, {}, prack)
      clock.advance(20)
    }
    c.answer(200)
    clock.advance(25)
    a.ack()
    clock.advance(15)
    a.bye()
    over(`
        0  alice  → siphon  INVITE
       10  siphon → alice   100 INVITE
       10  siphon → bob     INVITE
       10  siphon → carol   INVITE
       25  bob    → siphon  183 INVITE
       30  carol  → siphon  183 INVITE
       36  siphon → alice   183 INVITE
       41  siphon → alice   183 INVITE
       55  alice  → siphon  PRACK
       66  siphon → bob     PRACK
       80  bob    → siphon  200 PRACK
       90  siphon → alice   200 PRACK
      100  alice  → siphon  PRACK
      111  siphon → carol   PRACK
      125  carol  → siphon  200 PRACK
      135  siphon → alice   200 PRACK
      145  carol  → siphon  200 INVITE
      155  siphon → carol   ACK
      155  siphon → alice   200 INVITE
      155  siphon → bob     CANCEL
      165  bob    → siphon  200 CANCEL
      165  bob    → siphon  487 INVITE
      170  alice  → siphon  ACK
      175  siphon → bob     ACK
      185  alice  → siphon  BYE
      195  siphon → alice   200 BYE
      195  siphon → carol   BYE
      205  carol  → siphon  200 BYE`)
    assert.deepEqual(asked(), [
      'offer callee -',
      'offer callee -',
      'answer callee caller',
      'answer callee caller',
      ...ALL.slice(2),
    ])
    assert.equal(bob.got().includes('BYE'), false)
  })

  it('in two 200s at once: the second is declined and hung up', () => {
    const { alice, bob, carol, clock, a, b, asked, over } = call({ to: ['bob', 'carol'] })
    b.answer(200, { sdp: sdp('offer of bob') })
    clock.advance(0.5)
    carol.calls[0]?.answer(200, { sdp: sdp('offer of carol') })
    clock.advance(30)
    assert.equal(alice.last('200 INVITE').body, relayed('offer of bob'))
    assert.match(carol.lastRequest('ACK').body, DECLINED)
    a.ack({ sdp: sdp('answer') })
    clock.advance(25)
    assert.equal(bob.lastRequest('ACK').body, relayed('answer'))
    a.bye()
    over(`
       0  alice  → siphon  INVITE
      10  siphon → alice   100 INVITE
      10  siphon → bob     INVITE
      10  siphon → carol   INVITE
      25  bob    → siphon  200 INVITE
      26  carol  → siphon  200 INVITE
      36  siphon → alice   200 INVITE
      36  siphon → carol   ACK
      36  siphon → carol   BYE
      46  carol  → siphon  200 BYE
      56  alice  → siphon  ACK
      67  siphon → bob     ACK
      81  alice  → siphon  BYE
      91  siphon → alice   200 BYE
      91  siphon → bob     BYE
      101 bob    → siphon  200 BYE`)
    assert.deepEqual(asked(), ALL)
  })
})

describe('a preview of the offer', () => {
  it('in an unreliable 183 is put through, and the offer in the 200 again', () => {
    const { alice, bob, clock, a, b, asked, over } = call()
    b.answer(183, { sdp: sdp('offer') })
    clock.advance(25)
    assert.equal(alice.last('183 INVITE').body, relayed('offer'))
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(25)
    assert.equal(alice.last('200 INVITE').body, relayed('offer'))
    a.ack({ sdp: sdp('answer') })
    clock.advance(25)
    assert.equal(bob.lastRequest('ACK').body, relayed('answer'))
    b.bye()
    over(`
        0  alice  → siphon  INVITE
       10  siphon → alice   100 INVITE
       10  siphon → bob     INVITE
       25  bob    → siphon  183 INVITE
       36  siphon → alice   183 INVITE
       50  bob    → siphon  200 INVITE
       61  siphon → alice   200 INVITE
       75  alice  → siphon  ACK
       86  siphon → bob     ACK
      100  bob    → siphon  BYE
      110  siphon → bob     200 BYE
      110  siphon → alice   BYE
      120  alice  → siphon  200 BYE`)
    assert.deepEqual(asked(), ['offer callee -', ...ALL])
  })
})

describe('a call without an offer whose media does not come about', () => {
  const BEGIN = `
       0  alice  → siphon  INVITE
      10  siphon → alice   100 INVITE
      10  siphon → bob     INVITE
      25  bob    → siphon  200 INVITE`

  it('is refused with 488 when the relay does not take the offer; the callee is declined and hung up', () => {
    const { bob, clock, b, asked, over, records } = call({ refuses: 'offer' })
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(35)
    assert.match(bob.lastRequest('ACK').body, DECLINED)
    over(`${BEGIN}
      37  siphon → bob     ACK
      37  siphon → bob     BYE
      37  siphon → alice   488 INVITE
      47  bob    → siphon  200 BYE
      47  alice  → siphon  ACK`)
    assert.equal(records[0]?.responseCode, 488)
    assert.deepEqual(asked(), ['offer callee -', 'delete - -'])
  })

  it('is hung up on both sides when the relay does not take the answer', () => {
    const { bob, clock, a, b, over } = call({ refuses: 'answer' })
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(25)
    a.ack({ sdp: sdp('answer') })
    clock.advance(35)
    assert.match(bob.lastRequest('ACK').body, DECLINED)
    over(`${BEGIN}
      36  siphon → alice   200 INVITE
      50  alice  → siphon  ACK
      61  siphon → alice   BYE
      61  siphon → bob     ACK
      61  siphon → bob     BYE
      71  alice  → siphon  200 BYE
      71  bob    → siphon  200 BYE`)
  })

  it('is hung up when the ACK has no answer', () => {
    const { bob, clock, a, b, asked, over } = call()
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(25)
    a.ack()
    clock.advance(35)
    assert.match(bob.lastRequest('ACK').body, DECLINED)
    over(`${BEGIN}
      36  siphon → alice   200 INVITE
      50  alice  → siphon  ACK
      60  siphon → bob     ACK
      60  siphon → alice   BYE
      60  siphon → bob     BYE
      70  alice  → siphon  200 BYE
      70  bob    → siphon  200 BYE`)
    assert.deepEqual(asked(), ['offer callee -', 'query - -', 'delete - -'])
  })

  it('is hung up when no ACK comes', () => {
    const { bob, clock, b, asked, assertEmpty, records } = call()
    b.answer(200, { sdp: sdp('offer') })
    clock.advance(33_000)
    assert.deepEqual(
      bob.got().filter((m) => m !== 'INVITE'),
      ['ACK', 'BYE'],
    )
    assert.match(bob.lastRequest('ACK').body, DECLINED)
    assertEmpty()
    assert.equal(records.length, 1)
    assert.deepEqual(asked(), ['offer callee -', 'query - -', 'delete - -'])
  })

  it('is refused when the PRACK has no answer, or the relay does not take it; the callee is declined and cancelled', () => {
    for (const refuses of [undefined, 'answer'] as const) {
      const { alice, bob, clock, a, b, over } = call({
        ...(refuses === undefined ? {} : { refuses }),
        headers: { Supported: '100rel' },
      })
      b.reliably(183, { sdp: sdp('offer') })
      clock.advance(25)
      a.prack(alice.last('183 INVITE') as Response, refuses === undefined ? {} : { sdp: sdp('answer') })
      clock.advance(25)
      assert.match(bob.lastRequest('PRACK').body, DECLINED)
      b.answer(200, {}, bob.lastRequest('PRACK'))
      // rtpengine takes a millisecond.
      const at = refuses === undefined ? 60 : 61
      const refused = [`${at}  siphon → alice   488 INVITE`, `${at + 10}  alice  → siphon  ACK`] as const
      const cancelled = [
        `${at}  siphon → bob     CANCEL`,
        `${at + 10}  bob    → siphon  200 CANCEL\n${at + 10}  bob    → siphon  487 INVITE`,
      ] as const
      const [one, other] = refuses === undefined ? [refused, cancelled] : [cancelled, refused]
      over(`
         0  alice  → siphon  INVITE
        10  siphon → alice   100 INVITE
        10  siphon → bob     INVITE
        25  bob    → siphon  183 INVITE
        36  siphon → alice   183 INVITE
        50  alice  → siphon  PRACK
        ${at}  siphon → alice   488 PRACK
        ${at}  siphon → bob     PRACK
        ${one[0]}
        ${other[0]}
        ${one[1]}
        ${other[1]}
        75  bob    → siphon  200 PRACK
        ${at + 20}  siphon → bob     ACK`)
    }
  })

  it('is given up by the caller while the relay thinks', () => {
    const { bob, clock, a, b, asked, over } = call()
    clock.advance(5)
    b.answer(200, { sdp: sdp('offer') })
    // Both come while rtpengine has the offer.
    clock.advance(0.5)
    a.cancel()
    clock.advance(40)
    assert.match(bob.lastRequest('ACK').body, DECLINED)
    over(`
       0  alice  → siphon  INVITE
      10  siphon → alice   100 INVITE
      10  siphon → bob     INVITE
      30  bob    → siphon  200 INVITE
      31  alice  → siphon  CANCEL
      41  siphon → bob     ACK
      41  siphon → alice   200 CANCEL
      41  siphon → alice   487 INVITE
      41  siphon → bob     BYE
      51  alice  → siphon  ACK
      51  bob    → siphon  200 BYE`)
    assert.deepEqual(asked(), ['offer callee -', 'query - -', 'delete - -'])
  })
})
