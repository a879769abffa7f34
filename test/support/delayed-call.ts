import assert from 'node:assert/strict'
import { decodeBencode, encodeBencode, isDictionary, type Dictionary } from '../../src/base/bencode.ts'
import type { Edit, Job } from '../../src/core/verdict.ts'
import { MediaEngine } from '../../src/media/media-engine.ts'
import { BUILT_IN } from '../../src/media/profiles.ts'
import { mediaRelay } from '../../src/server/media-services.ts'
import { sdp, type AgentCall } from './agent.ts'
import { b2buaLab, decision, dial } from './b2bua-lab.ts'
import type { Lab } from './lab.ts'
import type { NetworkRules } from './network.ts'

/**
 * Calls whose INVITE has no offer (RFC 3261 §13.2.1), with their media at an rtpengine of ours: what it is told, what each side
 * sees, and that nothing is left, of whatever end.
 */
export const relayed = (name: string): string => `${sdp(name)}a=relayed\r\n`
/** What an offer gets that nobody answers: as many media, none of them taken. */
export const DECLINED = /^v=0\r\no=- 1 1 IN IP4 anonymous\.invalid\r\n(.*\r\n)*m=audio 0 RTP\/AVP 0\r\n$/

/** What rtpengine is told of a call that goes well. */
export const ALL = ['offer callee -', 'answer callee caller', 'query - -', 'delete - -']

export interface Told {
  /** Whether the script has the call's media held. */
  readonly held?: boolean
  readonly refuses?: 'offer' | 'answer'
  readonly network?: NetworkRules
  /** Whether the script puts what the callee says through by itself. */
  readonly answers?: boolean
  readonly profile?: string
  readonly to?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

/** Alice calls without an offer, and it has come to bob. */
export function call({
  held = true,
  refuses,
  network = {},
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
    ...network,
    latencyMs: 10,
    thinks: answers ? 5 : 0,
    begins: (job) => {
      if (job.kind === 'early' || job.kind === 'answered') made?.answer(signal(job), () => undefined)
    },
    media: (_clock, of) => mediaRelay(media(of)),
    script: {
      invite: (job) => {
        if (held) made?.awaitOffer(signal(job), (result) => assert.equal(result.ok, true))
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
  const over = async (ladder: string): Promise<void> => {
    room.clock.advance(60)
    room.assertLadder(ladder)
    room.assertEmpty()
    assert.equal(room.records.length, 1)
    // The record has its figures a microtask later.
    await Promise.resolve()
    assert.deepEqual(engine.levels, { sessions: 0, calls: 0, held: 0 })
    assert.equal(engine.client.pending, 0)
  }
  const asked = (): string[] =>
    commands.map((c) => {
      const who = (tag: unknown): string =>
        tag === undefined ? '-' : tag === a.invite.fromTag ? 'caller' : 'callee'
      return `${String(c['command'])} ${who(c['from-tag'])} ${who(c['to-tag'])}`
    })
  return { ...room, a, b, over, asked, commands }
}
