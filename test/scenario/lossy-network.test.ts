import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { NetworkRules } from '../support/network.ts'
import { BOB, forkTo, type ProxyLab, proxyLab } from '../support/proxy-lab.ts'

/** A call of two seconds between alice and bob over a network with these rules; hung up by one of them. */
function call(rules: NetworkRules, hangsUp: 'alice' | 'bob' = 'alice'): ProxyLab {
  const room = proxyLab({ latencyMs: 10, script: forkTo([BOB]), ...rules })
  room.bob.answers({ waits: 50 }, 180, { waits: 300 }, 200)
  room[hangsUp].hangsUpAfter(2_000)
  room.alice.invite('sip:bob@example.com')
  room.assertEmpty()
  return room
}

function assertOneCall(room: ProxyLab, hangsUp: 'caller' | 'callee', what: string): void {
  const said = `${what}\n${room.ladder()}`
  assert.equal(room.alice.log.at(-1), 'out ended 200', said)
  assert.equal(room.bob.log.at(-1), 'in ended 200', said)
  assert.equal(room.records.length, 1, said)
  assert.equal(room.decided.length, 1, said)
  const [record] = room.records
  assert.deepEqual(
    [record?.responseCode, record?.disconnectInitiator, record?.answeredAt === null],
    [200, hangsUp, false],
    said,
  )
}

/** The datagrams of a call without faults, named in the network's way. */
function datagrams(hangsUp: 'alice' | 'bob'): string[] {
  const counts = new Map<string, number>()
  return call({}, hangsUp).network.sent.map(({ from, to }) => {
    const way = `${from}→${to}`
    counts.set(way, (counts.get(way) ?? 0) + 1)
    return `${way} #${counts.get(way)}`
  })
}

describe('each message of a call in turn', () => {
  for (const [phone, initiator] of [
    ['alice', 'caller'],
    ['bob', 'callee'],
  ] as const) {
    const names = datagrams(phone)
    it(`there are 13 of them when ${phone} hangs up`, () => assert.equal(names.length, 13))

    it(`lost: the call completes by repetition, with one record (${phone} hangs up)`, () => {
      for (const name of names) assertOneCall(call({ lose: [name] }, phone), initiator, `lost: ${name}`)
    })

    it(`lost together with the next one the same way (${phone} hangs up)`, () => {
      for (const name of names) {
        const [way = '', n = ''] = name.split(' #')
        const lose = [name, `${way} #${Number(n) + 1}`]
        assertOneCall(call({ lose }, phone), initiator, `lost: ${lose.join(', ')}`)
      }
    })

    it(`twice: nothing happens twice (${phone} hangs up)`, () => {
      for (const name of names) assertOneCall(call({ repeat: [name] }, phone), initiator, `twice: ${name}`)
    })

    it(`late: overtaken by what follows (${phone} hangs up)`, () => {
      for (const name of names)
        for (const ms of [100, 700, 1_500, 4_000])
          assertOneCall(call({ delay: [[name, ms]] }, phone), initiator, `late by ${ms} ms: ${name}`)
    })
  }
})

describe('a network of chance', () => {
  it('ten calls at once, with loss, duplication and reordering: each ends, each has one record', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const room = proxyLab({
        latencyMs: 20,
        script: forkTo([BOB]),
        chaos: { seed, loss: 0.1, duplication: 0.05, jitterMs: 200 },
      })
      const { alice, bob, clock, records, decided } = room
      bob.answers(180, { waits: 300 }, 200)
      alice.hangsUpAfter(3_000)
      for (let i = 0; i < 10; i++) {
        alice.invite('sip:bob@example.com')
        clock.advance(50)
      }
      room.assertEmpty()
      const said = `seed ${seed}`
      assert.equal(alice.log.filter((l) => l === 'out ended 200').length, 10, said)
      assert.equal(records.length, 10, said)
      assert.equal(new Set(records.map((r) => r.callId)).size, 10, said)
      assert.deepEqual(new Set(decided.map((d) => d.result)), new Set(['answered']), said)
      assert.ok(
        records.every((r) => r.disconnectInitiator === 'caller' && r.durationMs > 0),
        said,
      )
    }
  })
})
