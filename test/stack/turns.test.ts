import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Connection } from '../../src/net/connection.ts'
import { StreamTurns } from '../../src/stack/turns.ts'

class FakeConnection implements Connection {
  readonly local = { host: '192.0.2.1', port: 5060 }
  readonly remote = { host: '192.0.2.2', port: 40_000 }
  readonly closed = false
  readonly authenticated = false
  readonly name: string
  readonly ping: (() => void) | null
  paused = false

  constructor(name: string, frames = false) {
    this.name = name
    this.ping = frames ? () => undefined : null
  }

  send(): boolean {
    return true
  }

  end(): void {}
  destroy(): void {}

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  proves(): boolean {
    return false
  }
}

interface Room {
  readonly turns: StreamTurns
  /** Whose bytes were handled, and how many. */
  readonly handled: string[]
  readonly bytes: Map<string, Buffer>
  /** Lets one turn come; false when none is to. */
  turn(): boolean
}

/** Turns whose handler takes so many milliseconds a piece. */
function room(tookMs: number): Room & { clock: { now: number } } {
  const clock = { now: 1_000 }
  const due: (() => void)[] = []
  const handled: string[] = []
  const bytes = new Map<string, Buffer>()
  const turns = new StreamTurns({
    now: () => clock.now,
    later: (run) => due.push(run),
    handle: (connection, piece) => {
      const { name } = connection as FakeConnection
      handled.push(`${name} ${piece.length}`)
      bytes.set(name, Buffer.concat([bytes.get(name) ?? Buffer.alloc(0), piece]))
      clock.now += tookMs
    },
  })
  const turn = (): boolean => {
    const run = due.shift()
    run?.()
    return run !== undefined
  }
  return { turns, handled, bytes, turn, clock }
}

const piece = (length: number): Buffer => Buffer.alloc(length, 'x')

describe('the turns of streams', () => {
  it('come at once while there is time, and the connections are read on', () => {
    const { turns, handled, turn } = room(1)
    const [a, b] = [new FakeConnection('a'), new FakeConnection('b')]
    turns.take(a, piece(500))
    turns.take(b, piece(4_096))
    assert.deepEqual(handled, ['a 500', 'b 4096'])
    assert.deepEqual([a.paused, b.paused, turns.waiting, turn()], [false, false, 0, false])
  })

  it('go from one connection to the other where one sends much', () => {
    const { turns, handled, turn } = room(1)
    const [flood, phone] = [new FakeConnection('flood'), new FakeConnection('phone')]
    turns.take(flood, piece(14_000))
    turns.take(phone, piece(400))
    assert.deepEqual([handled, flood.paused, phone.paused], [['flood 4096'], true, true])
    assert.equal(turn(), true)
    assert.deepEqual(handled, ['flood 4096', 'phone 400', 'flood 4096', 'flood 4096', 'flood 1712'])
    assert.deepEqual([flood.paused, phone.paused, turns.waiting], [false, false, 0])
  })

  it('end after ten milliseconds, for what else there is to do, and go on', () => {
    const { turns, handled, turn, clock } = room(4)
    const all = Array.from({ length: 8 }, (_, i) => new FakeConnection(`${i}`))
    for (const connection of all) turns.take(connection, piece(100))
    assert.deepEqual(handled, ['0 100', '1 100', '2 100'])
    assert.deepEqual(
      all.map(({ paused }) => paused),
      [false, false, false, true, true, true, true, true],
    )
    turn()
    assert.deepEqual(handled.slice(3), ['3 100', '4 100', '5 100'])
    turn()
    assert.deepEqual(handled.slice(6), ['6 100', '7 100'])
    assert.deepEqual([turns.waiting, turn()], [0, false])
    // Long after, the next ones have their time again.
    clock.now += 100
    turns.take(all[0] as FakeConnection, piece(10))
    assert.equal(handled.at(-1), '0 10')
  })

  it('end also when a single piece takes longer than all of one', () => {
    const { turns, handled, turn } = room(50)
    const [a, b] = [new FakeConnection('a'), new FakeConnection('b')]
    turns.take(a, piece(10_000))
    turns.take(b, piece(10))
    for (const so of [2, 3, 4]) {
      turn()
      assert.equal(handled.length, so)
    }
    assert.deepEqual(handled, ['a 4096', 'b 10', 'a 4096', 'a 1808'])
  })

  it('come to those who send much also when there are always others', () => {
    const { turns, handled, turn, clock } = room(10)
    turns.take(new FakeConnection('flood'), piece(9_000))
    let others = 0
    while (handled.filter((line) => line.startsWith('flood')).length < 3 && others < 100) {
      turns.take(new FakeConnection(`${++others}`), piece(10))
      turn()
      clock.now += 1
    }
    assert.ok(others < 20, `after ${others} others`)
  })

  it('leave the frames of a WebSocket whole', () => {
    const { turns, handled } = room(1)
    turns.take(new FakeConnection('page', true), piece(60_000))
    assert.deepEqual(handled, ['page 60000'])
  })

  it('give every byte once and in its order, whatever comes when', () => {
    const step = fc.record({
      who: fc.integer({ min: 0, max: 2 }),
      length: fc.integer({ min: 1, max: 20_000 }),
      turns: fc.integer({ min: 0, max: 2 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), fc.integer({ min: 0, max: 30 }), (steps, tookMs) => {
        const { turns, bytes, turn } = room(tookMs)
        const all = [0, 1, 2].map((i) => new FakeConnection(`${i}`))
        const sent = ['', '', '']
        steps.forEach(({ who, length, turns: count }, i) => {
          const text = String.fromCharCode(97 + (i % 26)).repeat(length)
          sent[who] += text
          turns.take(all[who] as FakeConnection, Buffer.from(text))
          for (let t = 0; t < count; t++) turn()
        })
        while (turn());
        assert.equal(turns.waiting, 0)
        all.forEach(({ name, paused }, i) => {
          assert.equal(bytes.get(name)?.toString() ?? '', sent[i])
          assert.equal(paused, false)
        })
      }),
    )
  })
})
