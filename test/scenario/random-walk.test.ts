import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Call, OutgoingCall } from '../../src/cli/soft-call.ts'
import type { Message } from '../../src/sip/message/message.ts'
import { parseMessage } from '../../src/sip/message/parse.ts'
import type { AnswerPlan, Phone } from '../support/phone.ts'
import { BOB, CAROL, forkTo, type ProxyLab, proxyLab } from '../support/proxy-lab.ts'

/**
 * User agents that do legal things in any order over a bad network, against a model of what a proxy owes them: one record and
 * one decision for each attempt that reached it, that say what the caller saw; and nothing left over at the end.
 */

/** How a callee takes a call. Each ends by itself, because a phone that is never told of the end would ring for ever. */
const PLANS: readonly AnswerPlan[] = [
  [180, { waits: 400 }, 200],
  [200],
  [183, 180, { waits: 3_000 }, 200],
  [486],
  [180, { waits: 200 }, 603],
  [{ waits: 1_500 }, 480],
  [180, { waits: 240_000 }, 486],
  [{ waits: 60_000 }, 486],
]

const ROUTES = [
  forkTo([BOB]),
  forkTo([BOB, CAROL]),
  forkTo([CAROL, BOB], 'sequential'),
  // Nobody is there.
  forkTo(['sip:nobody@192.0.2.77:5060', BOB], 'sequential'),
] as const

type Step =
  | { readonly does: 'invite'; readonly bob: number; readonly carol: number }
  | { readonly does: 'wait'; readonly ms: number }
  | { readonly does: 'cancel' | 'bye' | 'byeOfCallee'; readonly which: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant('invite' as const),
      bob: fc.nat(PLANS.length - 1),
      carol: fc.nat(PLANS.length - 1),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('wait' as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 60, max: 5_000 })),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constantFrom('cancel' as const, 'bye' as const, 'byeOfCallee' as const),
      which: fc.nat(9),
    }),
  },
)

const walk = fc.record({
  route: fc.nat(ROUTES.length - 1),
  thinks: fc.constantFrom(0, 5, 400),
  seed: fc.nat(1_000_000),
  loss: fc.constantFrom(0, 0.05, 0.15),
  duplication: fc.constantFrom(0, 0.1),
  jitterMs: fc.constantFrom(0, 150),
  steps: fc.array(step, { minLength: 3, maxLength: 25 }),
})

interface Attempt {
  readonly call: OutgoingCall
  answered: boolean
  /** When the caller gave up a call that had no answer yet, and when it ended; null: never. */
  cancelledAt: number | null
  endedAt: number | null
}

const pick = <T>(items: readonly T[], which: number): T | undefined =>
  items[which % Math.max(1, items.length)]

function run(room: ProxyLab, steps: readonly Step[]): readonly Attempt[] {
  const { alice, bob, carol, clock } = room
  const attempts: Attempt[] = []
  const callees = (): readonly Call[] => [...bob.soft.calls, ...carol.soft.calls]
  for (const does of steps) {
    if (does.does === 'wait') clock.advance(does.ms)
    else if (does.does === 'invite') {
      bob.answers(...(PLANS[does.bob] ?? []))
      carol.answers(...(PLANS[does.carol] ?? []))
      attempts.push(watched(alice))
      // What the callees do is decided when the INVITE arrives.
      clock.advance(25)
    } else if (does.does === 'cancel') cancel(pick(attempts, does.which), clock.now())
    else if (does.does === 'bye') pick(attempts, does.which)?.call.bye()
    else pick(callees(), does.which)?.bye()
  }
  // Long enough for every refusal, and for timer C; then everybody hangs up until all are gone.
  clock.advance(300_000)
  for (let i = 0; i < 5; i++) {
    for (const { call } of attempts) call.cancel()
    for (const call of [...alice.soft.calls, ...callees()]) call.bye()
    clock.advance(70_000)
  }
  return attempts
}

function cancel(attempt: Attempt | undefined, now: number): void {
  if (attempt === undefined || (attempt.call.state !== 'calling' && attempt.call.state !== 'ringing')) return
  attempt.cancelledAt ??= now
  attempt.call.cancel()
}

function watched(phone: Phone): Attempt {
  const call = phone.invite('sip:desk@example.com')
  const attempt: Attempt = { call, answered: false, cancelledAt: null, endedAt: null }
  const tell = call.onMoved
  call.onMoved = (state) => {
    if (state === 'answered') attempt.answered = true
    if (state === 'ended') attempt.endedAt = phone.soft.clock.now()
    tell(state)
  }
  return attempt
}

/** No phone said anything to this INVITE for long. */
function silent(messages: readonly Crossed[], callId: string): boolean {
  return !messages.some(
    ({ to, message: m }) =>
      to === 'siphon' && m.kind === 'response' && m.callId === callId && m.status > 100 && m.status < 487,
  )
}

interface Crossed {
  readonly at: number
  readonly from: string
  readonly to: string
  readonly arrives: boolean
  readonly message: Message
}

function crossed(room: ProxyLab): readonly Crossed[] {
  return room.network.sent.flatMap(({ at, from, to, bytes, copies }) => {
    const result = parseMessage(Buffer.from(bytes).toString('latin1'))
    return result.ok ? [{ at, from, to, arrives: copies > 0, message: result.message }] : []
  })
}

/** Call-IDs of the INVITEs that arrived at the server. */
function arrived(messages: readonly Crossed[]): ReadonlySet<string> {
  const invites = messages.filter(
    ({ from, to, arrives, message: m }) =>
      from === 'alice' && to === 'siphon' && arrives && m.kind === 'request' && m.method === 'INVITE',
  )
  return new Set(invites.map(({ message }) => message.callId))
}

/** A 2xx is repeated for so long (§13.3.1.4), and on its way a little longer. */
const REPEATED_MS = 33_000

const dialogOf = ({ callId, toTag }: Message): string => `${callId} ${toTag}`

/**
 * Dialogs that a callee has answered with a 2xx, and those an ACK reached the callee for: every 2xx wants one (§13.2.2.4).
 * Once a BYE is there the 2xx is repeated no more, and the loss of its ACK not made good: those are left out.
 */
function answeredAndAcknowledged(messages: readonly Crossed[]): readonly [Set<string>, Set<string>] {
  const answered = messages.filter(
    ({ from, message: m }) =>
      from !== 'alice' &&
      from !== 'siphon' &&
      m.kind === 'response' &&
      m.status >= 200 &&
      m.status < 300 &&
      m.cseq.method === 'INVITE',
  )
  const acknowledged = messages.filter(
    ({ from, to, arrives, message: m }) =>
      from === 'siphon' && to !== 'alice' && arrives && m.kind === 'request' && m.method === 'ACK',
  )
  const has = new Set(acknowledged.map(({ message }) => dialogOf(message)))
  const endedSoon = ({ at, message }: Crossed): boolean =>
    messages.some(
      ({ at: then, message: m }) =>
        m.kind === 'request' && m.method === 'BYE' && m.callId === message.callId && then < at + REPEATED_MS,
    )
  const wants = new Set(
    answered.filter((answer) => !endedSoon(answer)).map(({ message }) => dialogOf(message)),
  )
  return [wants, new Set([...wants].filter((dialog) => has.has(dialog)))]
}

/** What a CANCEL takes on a network that loses nothing, when a phone has rung; and when none says anything (§9.1): timer B. */
const PROMPT_MS = 3_000
const SILENT_MS = 64 * 500 + PROMPT_MS

describe('a random walk of user agents', () => {
  it('leaves one record and one decision for each attempt, true to what the caller saw, and nothing else', () => {
    fc.assert(
      fc.property(walk, ({ route, thinks, steps, ...chaos }) => {
        const script = ROUTES[route] ?? forkTo([BOB])
        const room = proxyLab({ latencyMs: 10, thinks, script, chaos })
        const attempts = run(room, steps)
        // Dialogs whose every BYE was lost are forgotten by age.
        room.clock.advance(13 * 3_600_000)
        room.assertEmpty()
        const messages = crossed(room)
        const reached = arrived(messages)
        const records = new Map(room.records.map((r) => [r.callId, r]))
        assert.equal(records.size, room.records.length, 'two records of one attempt')
        assert.deepEqual(new Set(records.keys()), reached)
        assert.equal(room.decided.length, reached.size)
        if (chaos.loss <= 0.05) {
          const [wants, has] = answeredAndAcknowledged(messages)
          assert.deepEqual(has, wants, 'a 2xx that nobody acknowledged')
        }
        for (const { call, answered, cancelledAt, endedAt } of attempts) {
          if (cancelledAt !== null && chaos.loss === 0) {
            const most = route === 3 || silent(messages, call.callId) ? SILENT_MS : PROMPT_MS
            assert.ok((endedAt ?? Infinity) - cancelledAt <= most, `${call.callId}: a CANCEL without effect`)
          }
          const record = records.get(call.callId)
          if (record === undefined) continue
          if (answered) assert.notEqual(record.answeredAt, null, `${call.callId} was answered`)
          else if (call.status >= 300 && call.status !== 408)
            assert.equal(record.responseCode, call.status, `${call.callId} ended otherwise`)
          assert.ok(record.endedAt !== null, 'a record without an end')
        }
      }),
      { numRuns: process.env['SIPHON_FULL'] === '1' ? 5_000 : 150, seed: 3261, endOnFailure: false },
    )
  })
})
