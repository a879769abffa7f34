import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BOB, CAROL, forkTo, proxyLab } from '../support/proxy-lab.ts'

describe('a forked call', () => {
  it('in parallel: the first answer wins, the other phone is cancelled', () => {
    const room = proxyLab({ latencyMs: 10, script: forkTo([BOB, CAROL]) })
    const { alice, bob, carol, clock, records, decided } = room
    bob.answers(180)
    carol.answers(180, { waits: 1_000 }, 200)
    alice.hangsUpAfter(2_000)
    alice.invite('sip:desk@example.com')
    clock.advance(4_000)
    room.assertLadder(`
         0  alice  → siphon  INVITE
        10  siphon → alice   100 INVITE
        10  siphon → bob     INVITE
        10  siphon → carol   INVITE
        20  bob    → siphon  180 INVITE
        20  carol  → siphon  180 INVITE
        30  siphon → alice   180 INVITE
        30  siphon → alice   180 INVITE
      1020  carol  → siphon  200 INVITE
      1030  siphon → alice   200 INVITE
      1030  siphon → bob     CANCEL
      1040  alice  → siphon  ACK
      1040  bob    → siphon  200 CANCEL
      1040  bob    → siphon  487 INVITE
      1050  siphon → carol   ACK
      1050  siphon → bob     ACK
      3040  alice  → siphon  BYE
      3050  siphon → carol   BYE
      3060  carol  → siphon  200 BYE
      3070  siphon → alice   200 BYE`)
    assert.deepEqual(alice.log, ['out ringing', 'out answered', 'out ended 200'])
    assert.deepEqual(bob.log, ['in ringing', 'in ended 487'])
    room.assertEmpty()
    assert.deepEqual(
      records.map((r) => [r.destinationIp, r.setupMs, r.durationMs, r.disconnectInitiator]),
      [['192.0.2.3', 1_020, 2_040, 'caller']],
    )
    assert.deepEqual(
      decided.map((d) => d.result),
      ['answered'],
    )
  })

  it('in parallel: both answer at once, the caller hangs the second one up', () => {
    const room = proxyLab({ latencyMs: 10, script: forkTo([BOB, CAROL]) })
    const { alice, bob, carol, records } = room
    bob.answers(200)
    carol.answers(200)
    alice.hangsUpAfter(1_000)
    alice.invite('sip:desk@example.com')
    room.assertEmpty()
    assert.deepEqual(bob.log.at(-1), 'in ended 200')
    assert.deepEqual(carol.log.at(-1), 'in ended 200')
    assert.equal(records.length, 1)
  })

  it('in sequence: the next phone rings when the one before has refused', () => {
    const room = proxyLab({ latencyMs: 10, script: forkTo([BOB, CAROL], 'sequential') })
    const { alice, bob, carol, clock, records } = room
    bob.answers(180, { waits: 500 }, 486)
    carol.answers(180, { waits: 500 }, 200)
    alice.invite('sip:desk@example.com')
    clock.advance(2_000)
    carol.bye()
    clock.advance(1_000)
    room.assertLadder(`
         0  alice  → siphon  INVITE
        10  siphon → alice   100 INVITE
        10  siphon → bob     INVITE
        20  bob    → siphon  180 INVITE
        30  siphon → alice   180 INVITE
       520  bob    → siphon  486 INVITE
       530  siphon → bob     ACK
       530  siphon → carol   INVITE
       540  carol  → siphon  180 INVITE
       550  siphon → alice   180 INVITE
      1040  carol  → siphon  200 INVITE
      1050  siphon → alice   200 INVITE
      1060  alice  → siphon  ACK
      1070  siphon → carol   ACK
      2000  carol  → siphon  BYE
      2010  siphon → alice   BYE
      2020  alice  → siphon  200 BYE
      2030  siphon → carol   200 BYE`)
    room.assertEmpty()
    assert.deepEqual(
      records.map((r) => [r.responseCode, r.destinationIp, r.disconnectInitiator]),
      [[200, '192.0.2.3', 'callee']],
    )
  })

  it('in sequence: a phone that only rings is given up by timer C', () => {
    const room = proxyLab({ script: forkTo([BOB, CAROL], 'sequential'), timerCMs: 20_000 })
    const { alice, bob, carol, records, decided } = room
    bob.answers(180)
    carol.answers(603)
    alice.invite('sip:desk@example.com')
    room.assertEmpty()
    assert.deepEqual(alice.log, ['out ringing', 'out ended 603'])
    assert.deepEqual(bob.log, ['in ringing', 'in ended 487'])
    assert.deepEqual(
      [records.length, records[0]?.responseCode, decided.map((d) => d.result)],
      [1, 603, ['rejected']],
    )
  })

  it('to nobody there: 408 after timer B, one record by timeout', () => {
    const room = proxyLab({ script: forkTo(['sip:ghost@192.0.2.99:5060']) })
    room.alice.invite('sip:desk@example.com')
    room.assertEmpty()
    assert.deepEqual(room.alice.log, ['out ended 408'])
    assert.deepEqual(
      room.records.map((r) => [r.responseCode, r.disconnectInitiator]),
      [[408, 'timeout']],
    )
    assert.deepEqual(
      room.decided.map((d) => d.result),
      ['timeout'],
    )
  })
})

/** Latency 10, script 30, 180 at once, 200 after 500: every 5 ms of that, and after. */
const moments = Array.from({ length: 130 }, (_, i) => i * 5)

/** By what the caller was told: response code, initiator, result. */
const meaning = new Map([
  [200, [200, 'caller', 'answered']],
  [486, [486, 'callee', 'busy']],
  [487, [487, 'caller', 'cancelled']],
])

describe('CANCEL at each moment of a call', () => {
  for (const strategy of ['parallel', 'sequential'] as const) {
    it(`forked in ${strategy === 'parallel' ? 'parallel' : 'sequence'}`, () => {
      const results = new Set<string>()
      for (const moment of moments) {
        const room = proxyLab({ latencyMs: 10, thinks: 30, script: forkTo([BOB, CAROL], strategy) })
        const { alice, bob, carol, clock, records, decided } = room
        bob.answers({ waits: 20 }, 180, { waits: 300 }, strategy === 'parallel' ? 200 : 486)
        carol.answers(180, { waits: 150 }, strategy === 'parallel' ? 486 : 200)
        alice.invite('sip:desk@example.com')
        clock.advance(moment)
        alice.cancel()
        clock.advance(2_000)
        // Too late to be cancelled: it is up, and ends like any call.
        alice.bye()
        room.assertEmpty()
        const said = `cancelled at ${moment} ms:\n${room.ladder()}`
        assert.equal(records.length, 1, said)
        assert.equal(decided.length, 1, said)
        const [record] = records
        // What the caller was told is what is written and counted; a refusal may cross the CANCEL (§9.1).
        const told = [record?.responseCode, record?.disconnectInitiator, decided[0]?.result]
        assert.deepEqual(told, meaning.get(alice.call.status), said)
        for (const phone of [bob, carol]) assert.ok(!phone.log.includes('in ended 0'), said)
        results.add(decided[0]?.result ?? '')
      }
      assert.deepEqual([...results].sort(), ['answered', 'busy', 'cancelled'])
    })
  }
})

describe('a call that spirals: the script sends it through the server again, under another URI', () => {
  /** @param passes which of the two is record-routed */
  const spiral = (passes: { readonly outer: boolean; readonly inner: boolean }) => {
    const room = proxyLab({
      latencyMs: 10,
      script: ({ request }) => {
        const inner = request.uri.includes('inner')
        return {
          ...forkTo(inner ? [BOB] : ['sip:inner@192.0.2.254:5060'])(),
          recordRoute: inner ? passes.inner : passes.outer,
        }
      },
    })
    const { alice, bob, clock, records } = room
    bob.answers(180, { waits: 500 }, 200)
    alice.invite('sip:outer@example.com')
    clock.advance(3_000)
    return { ...room, ended: () => records.map((r) => [r.ruri, r.disconnectInitiator, r.durationMs]) }
  }

  it('is acknowledged, and both attempts end with it', () => {
    const { alice, bob, clock, clearLadder, records, ...room } = spiral({ outer: true, inner: true })
    assert.deepEqual(records, [])
    assert.match(room.ladder(), /siphon → siphon +ACK\n.* siphon → bob +ACK/)
    clearLadder()
    alice.bye()
    clock.advance(1_000)
    room.assertLadder(`
      3000  alice  → siphon  BYE
      3010  siphon → siphon  BYE
      3020  siphon → bob     BYE
      3030  bob    → siphon  200 BYE
      3040  siphon → siphon  200 BYE
      3050  siphon → alice   200 BYE`)
    assert.deepEqual(bob.log, ['in ringing', 'in answered', 'in ended 200'])
    room.assertEmpty()
    assert.deepEqual(room.ended(), [
      ['sip:inner@192.0.2.254:5060', 'caller', 2_500],
      ['sip:outer@example.com', 'caller', 2_490],
    ])
  })

  it('ends for both attempts when the inner one alone is record-routed, whoever hangs up', () => {
    const { bob, clock, records, ...room } = spiral({ outer: false, inner: true })
    assert.deepEqual(records, [])
    bob.bye()
    clock.advance(1_000)
    room.assertEmpty()
    assert.deepEqual(room.ended(), [
      ['sip:inner@192.0.2.254:5060', 'callee', 2_490],
      ['sip:outer@example.com', 'callee', 2_480],
    ])
  })

  it('ends for the outer attempt alone when the inner one did not stay on the path', () => {
    const { alice, bob, ...room } = spiral({ outer: true, inner: false })
    alice.bye()
    room.assertEmpty()
    assert.equal(bob.log.at(-1), 'in ended 200')
    assert.deepEqual(
      room.ended().map(([ruri, initiator]) => [ruri, initiator]),
      [
        ['sip:inner@192.0.2.254:5060', null],
        ['sip:outer@example.com', 'caller'],
      ],
    )
  })

  it('leaves nothing behind when the caller gives up', () => {
    const room = proxyLab({
      latencyMs: 10,
      script: ({ request }) => forkTo([request.uri.includes('inner') ? BOB : 'sip:inner@192.0.2.254:5060'])(),
    })
    const { alice, bob, clock, records } = room
    bob.answers(180)
    alice.invite('sip:outer@example.com')
    clock.advance(1_000)
    alice.cancel()
    room.assertEmpty()
    assert.equal(bob.log.at(-1), 'in ended 487')
    assert.deepEqual(
      records.map((r) => [r.responseCode, r.disconnectInitiator]),
      [
        [487, 'caller'],
        [487, 'caller'],
      ],
    )
  })
})
