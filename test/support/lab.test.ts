import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Path } from '../../src/base/address.ts'
import { lab, type Lab, type LabOptions } from './lab.ts'
import type { Phone } from './phone.ts'

/** Two phones that call each other without a server between. */
function pair(options: LabOptions = {}): Lab & { alice: Phone; bob: Phone } {
  const room = lab(options)
  return { ...room, alice: room.phone('alice'), bob: room.phone('bob') }
}

const BOB = 'sip:bob@192.0.2.2'

/** Calls go straight to the other phone: bob stands where the server would be. */
const direct: LabOptions = { server: { host: '192.0.2.2', port: 5060 } }

/** Five calls at once over a bad network; the ladder. */
function fiveCalls(seed: number): string {
  const { alice, bob, clock, ladder } = pair({
    ...direct,
    chaos: { seed, loss: 0.2, duplication: 0.1, jitterMs: 80 },
  })
  bob.answers(180, { waits: 300 }, 200)
  alice.hangsUpAfter(5_000)
  for (let i = 0; i < 5; i++) alice.invite(BOB)
  clock.advance(120_000)
  assert.equal(alice.log.filter((line) => line === 'out ended 200').length, 5)
  assert.deepEqual([alice.soft.calls, bob.soft.calls, clock.pendingTimers], [[], [], 0])
  return ladder()
}

describe('the lab', () => {
  it('carries a call and draws its ladder', () => {
    const { alice, bob, clock, assertLadder } = pair({ ...direct, latencyMs: 10 })
    bob.answers(180, { waits: 1_000 }, 200)
    alice.hangsUpAfter(2_000)
    alice.invite(BOB)
    clock.advance(60_000)
    assertLadder(`
         0  alice → bob    INVITE
        10  bob   → alice  180 INVITE
      1010  bob   → alice  200 INVITE
      1020  alice → bob    ACK
      3020  alice → bob    BYE
      3030  bob   → alice  200 BYE`)
    assert.deepEqual(alice.log, ['out ringing', 'out answered', 'out ended 200'])
    assert.deepEqual(bob.log, ['in ringing', 'in answered', 'in ended 200'])
    assert.equal(clock.pendingTimers, 0)
  })

  it('loses, repeats and delays the datagrams it is told to, and phones repeat what was lost', () => {
    const { alice, bob, clock, assertLadder } = pair({
      ...direct,
      lose: ['alice→bob #1', 'bob→alice #1'],
      repeat: ['bob→alice #2'],
      delay: [['alice→bob #4', 50]],
    })
    bob.answers(200)
    alice.invite(BOB)
    clock.advance(1_200)
    alice.bye()
    clock.advance(60_000)
    assertLadder(`
         0  alice ⇢ bob    INVITE      lost
       500  alice → bob    INVITE
       500  bob   ⇢ alice  200 INVITE  lost
      1000  bob   → alice  200 INVITE  twice
      1000  alice → bob    ACK
      1000  alice → bob    ACK
      1200  alice → bob    BYE
      1200  bob   → alice  200 BYE`)
    assert.equal(clock.pendingTimers, 0)
  })

  it('cancels, refuses, and hangs up what was answered too late to be cancelled', () => {
    const { alice, bob, clock, assertLadder, clearLadder } = pair({ ...direct, latencyMs: 10 })
    bob.answers(180)
    alice.invite(BOB)
    clock.advance(100)
    alice.cancel()
    clock.advance(40_000)
    assertLadder(`
        0  alice → bob    INVITE
       10  bob   → alice  180 INVITE
      100  alice → bob    CANCEL
      110  bob   → alice  200 CANCEL
      110  bob   → alice  487 INVITE
      120  alice → bob    ACK`)
    bob.answers(486)
    alice.invite(BOB)
    clock.advance(40_000)
    assert.equal(alice.call.status, 486)
    clearLadder()
    bob.answers(180, { waits: 100 }, 200)
    alice.invite(BOB)
    clock.advance(105)
    alice.cancel()
    clock.advance(40_000)
    assertLadder(`
      80100  alice → bob    INVITE
      80110  bob   → alice  180 INVITE
      80205  alice → bob    CANCEL
      80210  bob   → alice  200 INVITE
      80215  bob   → alice  200 CANCEL
      80220  alice → bob    ACK
      80220  alice → bob    BYE
      80230  bob   → alice  200 BYE`)
    assert.equal(clock.pendingTimers, 0)
  })

  it('gives up on silence', () => {
    const { alice, clock } = pair({ server: { host: '192.0.2.99', port: 5060 } })
    alice.register()
    alice.invite(BOB)
    clock.advance(40_000)
    assert.deepEqual(alice.log, ['408 REGISTER', 'out ended 408'])
    assert.equal(clock.pendingTimers, 0)
  })

  it('registers with any server that takes bytes and sends bytes', () => {
    const room = lab({ latencyMs: 5 })
    const seen: string[] = []
    const send = room.network.attach('siphon', room.server, {
      onDatagram: (bytes: Uint8Array, path: Path) => {
        const text = Buffer.from(bytes).toString('latin1')
        seen.push(text)
        const [, ...fields] = text.split('\r\n')
        send(path, Buffer.from(['SIP/2.0 200 OK', ...fields].join('\r\n'), 'latin1'))
      },
    })
    const alice = room.phone('alice')
    alice.register()
    room.clock.advance(1_000)
    assert.deepEqual(alice.log, ['200 REGISTER'])
    assert.match(
      seen[0] ?? '',
      /^REGISTER sip:example\.com SIP\/2\.0\r\n.*Contact: <sip:alice@192\.0\.2\.1:5060>\r\n/s,
    )
  })

  it('repeats a run of chance for its seed, and calls survive it', () => {
    for (let seed = 1; seed <= 5; seed++) assert.equal(fiveCalls(seed), fiveCalls(seed))
    assert.notEqual(fiveCalls(1), fiveCalls(2))
  })
})
