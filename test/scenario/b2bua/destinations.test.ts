import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Way, Ways } from '../../../src/core/binding-ways.ts'
import type { Target } from '../../../src/stack/transport.ts'
import { sdp, type AgentCall } from '../../support/agent.ts'
import { b2buaLab, decision, uriOf } from '../../support/b2bua-lab.ts'

const DIAL = {
  do: 'dial',
  strategy: 'parallel',
  timeoutMs: 30_000,
  rerouteOn: null,
  policy: 'transparent',
  timer: null,
  credentials: null,
  progress: [],
} as const

interface Given {
  readonly uri: string
  readonly nextHop: string | null
  readonly contact?: string
  readonly gateway?: string
}

const dialTo = (...targets: readonly Given[]) => ({ invite: () => decision({ ...DIAL, targets }) })

const at = (host: string): Target => ({ protocol: 'udp', host, port: 5060 })
const way = (more: Partial<Way>): Way => ({ routes: [], target: null, dead: false, pinned: false, ...more })

/** A location service: contacts by reference. */
const located = (byReference: Readonly<Record<string, Way>>, device: string | null = null): Ways => ({
  wayTo: (reference) => byReference[reference] ?? null,
  referenceOf: (uri) => (byReference[uri] === undefined ? null : uri),
  behindGruu: () => null,
  deviceOf: () => device,
})

/** The rest of a call that bob has: answered, held by him, ended by alice. */
function lives(room: ReturnType<typeof b2buaLab>, a: AgentCall, b: AgentCall): void {
  const { alice, bob, clock } = room
  b.answer(200, { sdp: sdp('bob') })
  clock.advance(30)
  a.ack()
  clock.advance(30)
  assert.equal(bob.got().at(-1), 'ACK', room.ladder())
  b.within('INFO')
  clock.advance(30)
  a.answer(200, {}, alice.lastRequest('INFO'))
  clock.advance(30)
  a.bye()
  clock.advance(30)
  assert.equal(bob.got().at(-1), 'BYE', room.ladder())
  b.answer(200, {}, bob.lastRequest('BYE'))
  room.assertEmpty()
}

describe('a registered contact', () => {
  it('behind a NAT gets all requests of its leg where it registered from, not where its Contact says', () => {
    const contact = 'sip:bob@10.0.0.7:5060'
    const room = b2buaLab({
      latencyMs: 10,
      script: dialTo({ uri: contact, nextHop: null, contact: 'binding' }),
      ways: located({ binding: way({ target: at('192.0.2.2'), pinned: true }) }),
    })
    const { alice, bob, clock } = room
    bob.hide('10.0.0.7')
    const a = alice.call('sip:bob@example.com')
    clock.advance(30)
    const b = bob.calls[0] as AgentCall
    assert.equal(b.invite.uri, contact)
    lives(room, a, b)
  })

  it('is known by its URI, too, where the script gives that alone', () => {
    const contact = 'sip:bob@10.0.0.7:5060'
    const room = b2buaLab({
      latencyMs: 10,
      script: dialTo({ uri: contact, nextHop: null }),
      ways: located({ [contact]: way({ target: at('192.0.2.2'), pinned: true }) }),
    })
    const a = room.alice.call('sip:bob@example.com')
    room.bob.hide('10.0.0.7')
    room.clock.advance(30)
    lives(room, a, room.bob.calls[0] as AgentCall)
  })

  it('is called through its Path: the INVITE has the Route, and goes to its first hop', () => {
    const room = b2buaLab({
      latencyMs: 10,
      script: dialTo({ uri: 'sip:bob@10.0.0.7:5060', nextHop: null, contact: 'binding' }),
      ways: located({ binding: way({ routes: ['<sip:192.0.2.2;lr>', '<sip:192.0.2.99;lr>'] }) }),
    })
    const a = room.alice.call('sip:bob@example.com')
    room.clock.advance(30)
    // Bob stands for the edge proxy, and stays in the dialog for all that follows.
    const b = room.bob.calls[0] as AgentCall
    assert.deepEqual(b.invite.headers.all('route'), ['<sip:192.0.2.2;lr>', '<sip:192.0.2.99;lr>'])
    assert.equal(b.invite.uri, 'sip:bob@10.0.0.7:5060')
    lives(room, a, b)
  })

  it('whose flow is gone is not tried at its URI: 480', () => {
    const room = b2buaLab({
      latencyMs: 10,
      script: dialTo({ uri: uriOf('bob'), nextHop: null, contact: 'binding' }),
      ways: located({ binding: way({ dead: true }) }),
    })
    room.alice.call('sip:bob@example.com')
    room.clock.advance(30)
    assert.equal(room.alice.got().at(-1), '480 INVITE')
    assert.deepEqual(room.bob.got(), [])
    room.assertEmpty()
  })

  it('with two flows of one device rings once, over the one that lives', () => {
    const room = b2buaLab({
      latencyMs: 10,
      script: dialTo(
        { uri: 'sip:bob@10.0.0.7:5060', nextHop: null, contact: 'dead' },
        { uri: 'sip:bob@10.0.0.7:5060', nextHop: null, contact: 'live' },
        { uri: 'sip:bob@10.0.0.7:5060', nextHop: null, contact: 'spare' },
      ),
      ways: located(
        {
          dead: way({ dead: true }),
          live: way({ target: at('192.0.2.2') }),
          spare: way({ target: at('192.0.2.3') }),
        },
        'urn:uuid:bob',
      ),
    })
    room.bob.hide('10.0.0.7')
    const a = room.alice.call('sip:bob@example.com')
    room.clock.advance(30)
    assert.deepEqual(room.carol.got(), [])
    lives(room, a, room.bob.calls[0] as AgentCall)
  })
})

describe('a transfer to a registered contact', () => {
  it('behind a NAT reaches it where it registered from', () => {
    const room = b2buaLab({
      latencyMs: 10,
      ways: located({ binding: way({ target: at('192.0.2.3'), pinned: true }) }),
      script: {
        refer: () =>
          decision({ do: 'transfer', target: 'sip:carol@10.0.0.8:5060', nextHop: null, contact: 'binding' }),
      },
    })
    const { alice, bob, carol, clock } = room
    for (const agent of room.agents) {
      agent.onRequest = (request, call) => {
        if (/^(NOTIFY|BYE)$/.test(request.method)) call?.answer(200, {}, request)
        if (request.method === 'INVITE' && request !== call?.invite) {
          call?.answer(200, { sdp: sdp('anew') }, request)
        }
      }
    }
    carol.hide('10.0.0.8')
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    a.ack()
    a.within('REFER', { headers: { 'Refer-To': '<sip:carol@example.com>' } })
    clock.advance(40)
    carol.calls[0]?.answer(200, { sdp: sdp('carol') })
    clock.advance(90)
    assert.equal(alice.got().at(-1), 'BYE')
    bob.calls[0]?.bye()
    clock.advance(40)
    assert.equal(carol.got().at(-1), 'BYE', room.ladder())
    room.assertEmpty()
  })
})

describe('a caller behind a NAT', () => {
  it('gets the requests of its leg where it called from', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock } = room
    alice.hide('10.0.0.1')
    const a = alice.call('sip:bob@example.com')
    clock.advance(30)
    const b = bob.calls[0] as AgentCall
    b.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    a.ack()
    clock.advance(30)
    b.bye()
    clock.advance(30)
    assert.equal(alice.got().at(-1), 'BYE', room.ladder())
    a.answer(200, {}, alice.lastRequest('BYE'))
    room.assertEmpty()
  })
})

describe('a next hop with several targets', () => {
  const script = dialTo({ uri: 'sip:bob@pool.example.net', nextHop: null })
  const names = { 'pool.example.net': ['192.0.2.9', '192.0.2.3', '192.0.2.2'] }

  it('is tried one after another: one is silent, one says 503, the third has the call, which keeps to it', () => {
    const room = b2buaLab({ latencyMs: 10, script, names })
    const { alice, bob, carol, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(1_050)
    carol.calls[0]?.answer(503)
    clock.advance(30)
    const b = bob.calls[0] as AgentCall
    assert.equal(b.invite.headers.all('via').length, 1)
    assert.notEqual(b.invite.via?.params.get('branch'), carol.calls[0]?.invite.via?.params.get('branch'))
    lives(room, a, b)
    assert.deepEqual(
      room.records.map((r) => [r.responseCode, r.legs.length]),
      [[200, 1]],
    )
  })

  it('is cancelled where the INVITE is by then', () => {
    const room = b2buaLab({ latencyMs: 10, script, names })
    const { alice, bob, carol, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(1_050)
    carol.calls[0]?.answer(180)
    clock.advance(30)
    a.cancel()
    clock.advance(50)
    assert.equal(carol.got().at(-1), 'CANCEL')
    assert.deepEqual(bob.got(), [])
    assert.equal(alice.got().at(-1), '487 INVITE')
    room.assertEmpty()
  })

  it('none of which answers is 408, and the caller hears it', () => {
    const room = b2buaLab({
      latencyMs: 10,
      script,
      names: { 'pool.example.net': ['192.0.2.9', '192.0.2.8'] },
    })
    room.alice.call('sip:bob@example.com')
    room.clock.advance(70_000)
    assert.equal(room.alice.got().at(-1), '408 INVITE')
    room.assertEmpty()
  })
})

describe('a group of gateways', () => {
  const told: string[] = []
  const gateways = {
    sent: (gateway: string) => void told.push(`${gateway} sent`),
    responded: (gateway: string, status: number) => void told.push(`${gateway} ${status}`),
    ended: (gateway: string, result: string) => void told.push(`${gateway} ${result}`),
    movesOn: (_gateway: string, cause: number | 'transport') => cause === 503 || cause === 'transport',
  }
  const to = (name: string) => ({ uri: uriOf(name), nextHop: null, gateway: name })
  const room = (strategy: 'sequential' | 'parallel', rerouteOn: readonly number[] | null = null) => {
    told.length = 0
    return b2buaLab({
      latencyMs: 10,
      gateways,
      script: { invite: () => decision({ ...DIAL, strategy, rerouteOn, targets: [to('bob'), to('carol')] }) },
    })
  }

  it('is gone through in order, for the causes that it names, and hears what became of each call', () => {
    const { alice, bob, carol, clock, assertEmpty } = room('sequential')
    const a = alice.call('sip:5551234@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(503)
    clock.advance(30)
    carol.calls[0]?.answer(180)
    clock.advance(30)
    carol.calls[0]?.answer(200, { sdp: sdp('carol') })
    clock.advance(30)
    a.ack()
    a.bye()
    clock.advance(30)
    carol.calls[0]?.answer(200, {}, carol.lastRequest('BYE'))
    assertEmpty()
    assert.deepEqual(told, [
      'bob sent',
      'bob 503',
      'bob unavailable',
      'carol sent',
      'carol 180',
      'carol answered',
    ])
  })

  it('is not gone through for others: a busy callee stays busy', () => {
    const { alice, bob, carol, clock, assertEmpty } = room('sequential')
    alice.call('sip:5551234@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(486)
    clock.advance(30)
    assert.equal(alice.got().at(-1), '486 INVITE')
    assert.deepEqual(carol.got(), [])
    assertEmpty()
    assert.deepEqual(told, ['bob sent', 'bob 486', 'bob refused'])
  })

  it('unless the script says for which', () => {
    const { alice, bob, carol, clock, assertEmpty } = room('sequential', [486])
    alice.call('sip:5551234@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(486)
    clock.advance(30)
    carol.calls[0]?.answer(503)
    clock.advance(30)
    assert.equal(alice.got().at(-1), '486 INVITE')
    assertEmpty()
  })

  it('is told that the loser of a fork was given up, and one that is silent', () => {
    const { alice, bob, carol, clock, assertEmpty } = room('parallel')
    const a = alice.call('sip:5551234@example.com')
    clock.advance(25)
    carol.calls[0]?.answer(180)
    bob.calls[0]?.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    assert.deepEqual(told.slice(2), ['carol 180', 'bob 200', 'bob answered', 'carol cancelled'])
    a.ack()
    a.bye()
    clock.advance(30)
    bob.calls[0]?.answer(200, {}, bob.lastRequest('BYE'))
    assertEmpty()

    const silent = b2buaLab({
      gateways,
      agents: ['alice', 'bob'],
      script: dialTo({ uri: 'sip:x@192.0.2.77:5060', nextHop: null, gateway: 'nobody' }),
    })
    told.length = 0
    silent.alice.call('sip:5551234@example.com')
    silent.assertEmpty()
    assert.deepEqual(told, ['nobody sent', 'nobody timeout'])
  })
})
