import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LingerQueue } from '../../src/stack/linger.ts'
import { FakeClock } from '../support/fake-clock.ts'

describe('a queue of transactions that linger', () => {
  it('lets each go after its time, in order, under one timer', () => {
    const clock = new FakeClock()
    const gone: string[] = []
    const queue = new LingerQueue<string>(clock, 1_000, (item) => gone.push(`${clock.now()} ${item}`) > 0)
    queue.add('a')
    clock.advance(500)
    queue.add('b')
    queue.add('c')
    assert.equal(clock.pendingTimers, 1)
    clock.advance(10_000)
    assert.deepEqual(gone, ['1000 a', '1500 b', '1500 c'])
    assert.equal(clock.pendingTimers, 0)
  })

  it('lets thousands go each in its time, whatever has gone before', () => {
    const clock = new FakeClock()
    const late: number[] = []
    let gone = 0
    const queue = new LingerQueue<{ due: number }>(clock, 1_000, ({ due }) => {
      gone++
      // Those that fall due within 50 ms go together, and none before its time.
      if (clock.now() < due || clock.now() > due + 50) late.push(due)
      return true
    })
    for (let i = 0; i < 6_000; i++) {
      queue.add({ due: clock.now() + 1_000 })
      clock.advance(i % 7 === 0 ? 2 : 0.2)
    }
    assert.ok(gone > 2_000 && gone < 6_000, `${gone}`)
    clock.advance(2_000)
    assert.deepEqual([gone, late, clock.pendingTimers], [6_000, [], 0])
  })

  it('leaves no timer when nobody waits for any of them, and loses none when somebody does', () => {
    const clock = new FakeClock()
    const ended = new Set<string>()
    const gone: string[] = []
    const queue = new LingerQueue<string>(clock, 1_000, (item) => {
      if (ended.has(item)) return false
      gone.push(item)
      return true
    })
    const end = (item: string): void => {
      ended.add(item)
      queue.forgetOne()
    }
    queue.add('a')
    end('a')
    assert.equal(clock.pendingTimers, 0)
    queue.add('b')
    queue.add('c')
    end('b')
    clock.advance(500)
    queue.add('d')
    clock.advance(1_000)
    assert.deepEqual(gone, ['c', 'd'])
    assert.equal(clock.pendingTimers, 0)
  })
})
