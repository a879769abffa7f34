import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { Job } from '../../../src/core/verdict.ts'
import { MediaEngine } from '../../../src/media/media-engine.ts'
import { BUILT_IN } from '../../../src/media/profiles.ts'
import { mediaRelay } from '../../../src/server/media-services.ts'
import type { Request, Response } from '../../../src/sip/message/message.ts'
import { sdp, type Agent, type AgentCall } from '../../support/agent.ts'
import { b2buaLab, decision, dial } from '../../support/b2bua-lab.ts'
import type { Lab } from '../../support/lab.ts'

/** SIPHON_FULL=1 walks longer, SIPHON_WALKS=n so many times. */
const runs = Number(process.env['SIPHON_WALKS'] ?? (process.env['SIPHON_FULL'] === '1' ? 1_000 : 80))

const CHALLENGE = { headers: { 'Proxy-Authenticate': 'Digest realm="carrier", nonce="n", algorithm=MD5' } }

type Deed =
  | { readonly do: 'within'; readonly who: 0 | 1; readonly method: string; readonly offer: boolean }
  | { readonly do: 'bye' | 'cancel'; readonly who: 0 | 1 }
  | { readonly do: 'progress'; readonly status: number; readonly reliable: boolean; readonly offer: boolean }
  | { readonly do: 'final'; readonly status: number }
  | { readonly do: 'refer'; readonly who: 0 | 1 }
  /** Carol wants the place of one of the two. */
  | { readonly do: 'replaces'; readonly who: 0 | 1; readonly offer: boolean }
  | { readonly do: 'challenge' }
  | { readonly do: 'terminate' }
type Step = { readonly deed: Deed; readonly waits: number }

const who = fc.constantFrom<0 | 1>(0, 1)
const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('within' as const),
      who,
      method: fc.constantFrom('INVITE', 'UPDATE', 'INFO', 'MESSAGE', 'OPTIONS'),
      offer: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('bye' as const, 'cancel' as const), who }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('progress' as const),
      status: fc.constantFrom(180, 183),
      reliable: fc.boolean(),
      offer: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('final' as const),
      status: fc.constantFrom(200, 200, 200, 486, 503),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refer' as const), who }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('replaces' as const), who, offer: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('terminate' as const, 'challenge' as const) }) },
)
const waits = fc.constantFrom(0, 5, 15, 30, 200, 1500, 6000)
const step: fc.Arbitrary<Step> = fc.record({ deed, waits })

/**
 * Does for an agent what every user agent does by itself: ACK, PRACK, the answers of requests, repetition of a 2xx.
 * @param terse its ACK and PRACK never have the answer that they owe
 */
function livesByTheBook(agent: Agent, room: ReturnType<typeof b2buaLab>, terse: boolean): void {
  const acked = new Set<string>()
  const open = new Set<string>()
  const pracked = new Set<string>()
  const key = (callId: string, seq: number): string => `${callId} ${seq}`
  const repeat = (request: Request, response: Response, ms: number): void => {
    if (ms > 16_000) return
    room.clock.startTimer(ms, () => {
      if (acked.has(key(response.callId, response.cseq.number))) return
      agent.servers.get(request)?.respond(response)
      repeat(request, response, ms * 2)
    })
  }
  agent.onAck = (ack) => void acked.add(key(ack.callId, ack.cseq.number))
  agent.onRequest = (request, call) => {
    if (call === null) return
    const { method } = request
    if (method === 'INVITE' && request === call.invite) return
    if (method === 'INVITE') {
      if (open.has(call.invite.callId)) return void call.answer(491, {}, request)
      const response = call.answer(200, { sdp: sdp(agent.name) }, request)
      repeat(request, response, 500)
    } else if (method === 'UPDATE' && request.body !== '' && open.has(call.invite.callId)) {
      call.answer(491, {}, request)
    } else
      call.answer(
        200,
        request.method === 'UPDATE' && request.body !== '' ? { sdp: sdp(agent.name) } : {},
        request,
      )
  }
  agent.onResponse = (response, call) => {
    const { method, number } = response.cseq
    const { status } = response
    if (method === 'INVITE' && status >= 200) open.delete(call.invite.callId)
    if (method === 'INVITE' && status >= 200 && status < 300) {
      call.ack(
        !terse && (call.invite.body === '' || asked.has(key(response.callId, number)))
          ? { sdp: sdp('answer') }
          : {},
        response,
      )
      // The 2xx has crossed its CANCEL (RFC 3261 §9.1).
      if (leaving.has(call) && number === call.invite.cseq.number) call.bye()
    }
    if (status > 100 && status < 200 && response.headers.has('rseq')) {
      const rseq = `${response.toTag} ${response.headers.first('rseq')}`
      if (pracked.has(rseq)) return
      pracked.add(rseq)
      call.prack(response, !terse && call.invite.body === '' ? { sdp: sdp('answer') } : {})
    }
  }
  const asked = new Set<string>()
  opens.set(agent, (call, request, offered) => {
    open.add(call.invite.callId)
    if (!offered) asked.add(key(request.callId, request.cseq.number))
  })
}
/** Callers who have given up before an answer. */
const leaving = new WeakSet<AgentCall>()
const opens = new WeakMap<
  Agent,
  (call: AgentCall, request: { callId: string; cseq: { number: number } }, offered: boolean) => void
>()

/** An rtpengine that answers after a millisecond, or, for every so many commands, not at all. */
function mediaEngine({ clock, spine, identifiers }: Lab, deafTo: number): MediaEngine {
  const engine = new MediaEngine({
    ...{ clock, spine, identifiers, healthIntervalMs: 0, profiles: BUILT_IN },
    instances: [{ address: { host: '192.0.2.250', port: 2223 }, weight: 1, timeoutMs: 300 }],
  })
  let heard = 0
  engine.client.use(4, {
    send: (text, to) => {
      const cookie = text.slice(0, text.indexOf(' '))
      if (deafTo > 0 && ++heard % deafTo === 0) return
      const pong = text.includes('4:ping') ? '4:pong' : '2:ok'
      const answer = `${cookie} d6:result${pong}3:sdp${sdp('relayed').length}:${sdp('relayed')}e`
      clock.startTimer(1, () => engine.client.receive(answer, to.host, to.port))
    },
    close: () => Promise.resolve(),
  })
  engine.start()
  return engine
}

function walk(steps: readonly Step[], offered: boolean, reliable: boolean, seed: number, loss: number): void {
  let engine: MediaEngine | null = null
  const put = (what: 'offer' | 'answer', { request, response }: Job): void => {
    const { callId, fromTag = '' } = request
    const message = response ?? request
    const toTag = response?.toTag ?? null
    const signal = { callId, fromTag, toTag, viaBranch: null, sdp: message.body, profile: null, extras: {} }
    if (message.body !== '') engine?.[what](signal, () => undefined)
    else if (what === 'offer') engine?.awaitOffer(signal, () => undefined)
  }
  const credentials = { user: 'trunk', password: 'secret', realm: null }
  const room = b2buaLab({
    latencyMs: 10,
    thinks: seed % 3 === 0 ? 40 : 0,
    chaos: { seed, loss, duplication: loss / 2, jitterMs: seed % 2 === 0 ? 0 : 25 },
    ...(seed % 4 === 3
      ? {}
      : {
          media: (_clock: unknown, of: Lab) => {
            engine = mediaEngine(of, seed % 4 === 2 ? 7 : 0)
            return mediaRelay(engine)
          },
        }),
    script: {
      invite: (job) => {
        put('offer', job)
        if (job.call?.replaces === true) return decision({ do: 'takeover' })
        return dial([/carol/.test(job.request.uri) ? 'carol' : 'bob'], { timeoutMs: 20_000, credentials })()
      },
      refer: () => decision({ do: 'transfer', target: 'sip:carol@192.0.2.3:5060', nextHop: null }),
      ...(seed % 3 === 1
        ? {
            answered: (job) => {
              put('answer', job)
              return decision({ do: 'pass' })
            },
            early: (job) => {
              put('answer', job)
              return decision({ do: 'pass' })
            },
          }
        : {}),
    },
  })
  const { alice, bob, carol, clock } = room
  for (const agent of room.agents) livesByTheBook(agent, room, seed % 5 === 4)
  carol.onRequest = ((before) => (request, call) => {
    before(request, call)
    if (request === call?.invite) call.answer(200, { sdp: sdp('carol') })
  })(carol.onRequest)
  const a = alice.call('sip:bob@example.com', {
    sdp: offered ? sdp('alice') : null,
    ...(reliable ? { headers: { Supported: '100rel' } } : {}),
  })
  clock.advance(30)
  let attempts = 1
  for (const { deed: does, waits: ms } of steps) {
    // A challenge makes another call of it.
    const b = bob.calls.at(-1)
    const side = 'who' in does && does.who === 1 ? b : a
    const up = side?.dialog != null && side.final && (side.isCaller || side === b)
    switch (does.do) {
      case 'within':
        if (up && side !== undefined) {
          const offer = does.offer || does.method === 'UPDATE'
          const request = side.within(
            does.method,
            offer && /INVITE|UPDATE/.test(does.method) ? { sdp: sdp('x') } : {},
          )
          if (does.method === 'INVITE') opens.get(side.agent)?.(side, request, offer)
        }
        break
      case 'bye':
        if (up) side?.bye()
        break
      case 'cancel':
        a.cancel()
        break
      case 'progress':
        if (b !== undefined && !b.final) {
          if (does.reliable) b.reliably(does.status, does.offer ? { sdp: sdp('bob') } : {})
          else b.answer(does.status, does.offer ? { sdp: sdp('bob') } : {})
        }
        break
      case 'final':
        if (b !== undefined && !b.final) b.answer(does.status, does.status === 200 ? { sdp: sdp('bob') } : {})
        break
      case 'refer':
        if (up) side?.within('REFER', { headers: { 'Refer-To': '<sip:carol@192.0.2.3:5060>' } })
        break
      case 'challenge':
        if (b !== undefined && !b.final) b.answer(407, CHALLENGE)
        break
      case 'replaces': {
        const { dialog } = side ?? {}
        if (dialog == null || side === undefined) break
        const Replaces = `${side.invite.callId};to-tag=${dialog.remoteTag};from-tag=${dialog.localTag}`
        carol.call('sip:alice@example.com', { sdp: does.offer ? sdp('carol') : null, headers: { Replaces } })
        attempts++
        break
      }
      case 'terminate': {
        const [view] = room.calls.page(null, 1).views
        if (view !== undefined) room.b2bua.terminate(view.id)
      }
    }
    clock.advance(ms)
  }
  // Whoever is left hangs up; what nobody answers is given up.
  clock.advance(5_000)
  for (const call of [...alice.calls, ...carol.calls]) {
    if (!call.isCaller || call.final) continue
    leaving.add(call)
    call.cancel()
  }
  for (const agent of room.agents)
    for (const call of agent.calls) if (call.final && call.dialog !== null) call.bye()
  room.assertEmpty()
  // `held` is given back in a microtask.
  const { sessions, calls } = (engine as MediaEngine | null)?.levels ?? { sessions: 0, calls: 0 }
  assert.deepEqual({ sessions, calls }, { sessions: 0, calls: 0 }, `media left over\n${room.ladder()}`)
  assert.equal(room.decided.length, room.records.length)
  assert.ok(room.records.length <= attempts, 'one attempt, one record')
}

describe('two user agents that do legal things in any order', () => {
  for (const loss of [0, 0.1, 0.3]) {
    it(`leave nothing behind with ${loss * 100} % of the datagrams lost`, () => {
      fc.assert(
        fc.property(
          fc.array(step, { minLength: 1, maxLength: 14 }),
          fc.boolean(),
          fc.boolean(),
          fc.nat(1000),
          (steps, offered, reliable, seed) => walk(steps, offered, reliable, seed, loss),
        ),
        // The same walks each time, unless many are asked for.
        runs > 80 ? { numRuns: runs } : { numRuns: runs, seed: 3261 },
      )
    })
  }
})
