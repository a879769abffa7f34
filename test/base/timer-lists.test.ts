import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TimerLists } from '../../src/base/timer-lists.ts'

/** Real time, because node's own timers are what is built upon; the waits are of a few milliseconds and only ever too long. */
const pass = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

describe('timers in lists', () => {
  it('fire once each, in the order of their start, not before their time and never at once', async () => {
    const timers = new TimerLists()
    const fired: string[] = []
    const started = performance.now()
    let early = 0
    for (const name of ['a', 'b', 'c']) {
      timers.start(15, () => {
        fired.push(name)
        if (performance.now() - started < 15) early++
      })
    }
    timers.start(5, () => fired.push('soon'))
    assert.deepEqual(fired, [])
    await pass(60)
    assert.deepEqual(fired, ['soon', 'a', 'b', 'c'])
    assert.equal(early, 0)
    await pass(30)
    assert.equal(fired.length, 4)
  })

  it('do not fire when cancelled: at the head, in the middle, at the end, twice, by one another', async () => {
    const timers = new TimerLists()
    const fired: number[] = []
    const started = Array.from({ length: 6 }, (_, i) => timers.start(10, () => fired.push(i)))
    for (const i of [0, 2, 5, 2]) started[i]?.cancel()
    const by = timers.start(10, () => victim.cancel())
    const victim = timers.start(10, () => fired.push(99))
    await pass(40)
    assert.deepEqual(fired, [1, 3, 4])
    by.cancel()
    started[1]?.cancel()
  })

  it('started by one that fires wait their own time', async () => {
    const timers = new TimerLists()
    const at: number[] = []
    const begun = performance.now()
    timers.start(10, () => {
      at.push(performance.now() - begun)
      timers.start(10, () => at.push(performance.now() - begun))
    })
    await pass(60)
    assert.equal(at.length, 2)
    assert.ok((at[1] ?? 0) - (at[0] ?? 0) >= 10, String(at))
  })

  it('go on when a list was empty for a while, and when one of them throws', async (t) => {
    const timers = new TimerLists()
    const fired: string[] = []
    timers.start(10, () => fired.push('never')).cancel()
    await pass(5)
    timers.start(10, () => {
      throw new Error('a fault of the one')
    })
    timers.start(10, () => fired.push('the other'))
    const faults: unknown[] = []
    const hear = (error: unknown): void => void faults.push(error)
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', hear)
    t.after(() => others.forEach((listener) => process.on('uncaughtException', listener)))
    await pass(60)
    assert.deepEqual(fired, ['the other'])
    assert.equal(faults.length, 1)
  })

  it('of many durations are node’s own past the first 64', async () => {
    const timers = new TimerLists()
    const fired = new Set<number>()
    for (let i = 0; i < 100; i++) timers.start(5 + (i % 90) / 10, () => fired.add(i))
    for (let i = 0; i < 100; i++) timers.start(1 + i, () => undefined).cancel()
    await pass(60)
    assert.equal(fired.size, 100)
  })
})
