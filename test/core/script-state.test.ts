import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { KeyedTimers } from '../../src/core/keyed-timers.ts'
import { RateWindow } from '../../src/core/rate-window.ts'
import { MAX_LIST_ITEMS, ScriptCache } from '../../src/core/script-cache.ts'
import { FakeClock } from '../support/fake-clock.ts'

describe('a cache of scripts', () => {
  const cache = (maxEntries = 3, ttlMs: number | null = null) => {
    const clock = new FakeClock()
    return { clock, c: new ScriptCache(clock, { name: 'c', ttlMs, maxEntries }) }
  }

  it('keeps texts until their time is over: their own, else that of the cache', () => {
    const { clock, c } = cache(9, 1_000)
    c.store('a', '1', null)
    c.store('b', '2', 5_000)
    assert.equal(c.expire('a', 2_000), true)
    clock.advance(1_999)
    assert.equal(c.fetch('a'), '1')
    clock.advance(1)
    assert.equal(c.fetch('a'), null)
    assert.equal(c.exists('a'), false)
    assert.equal(c.delete('a'), false)
    assert.equal(c.expire('a', 9), false)
    assert.equal(c.delete('b'), true)
    assert.equal(c.size, 0)
  })

  it('makes room by what was not used for longest', () => {
    const { c } = cache()
    for (const key of ['a', 'b', 'c']) c.store(key, key, null)
    c.fetch('a')
    c.store('d', 'd', null)
    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((key) => c.fetch(key)),
      ['a', null, 'c', 'd'],
    )
    assert.equal(c.evicted, 1)
  })

  it('is bounded in bytes as well', () => {
    const { c } = cache(10_000)
    const value = 'x'.repeat(65_536)
    for (let i = 0; i < 1_100; i++) c.store(`k${i}`, value, null)
    assert.ok(c.size <= 1_024, `${c.size}`)
    assert.equal(c.fetch('k1099'), value)
    assert.equal(c.fetch('k0'), null)
  })

  it('keeps lists, which one taker gets whole', () => {
    const { clock, c } = cache(3, 1_000)
    assert.equal(c.listPush('l', 'a', null), 1)
    clock.advance(900)
    assert.equal(c.listPush('l', 'b', null), 2)
    assert.equal(c.fetch('l'), null)
    assert.equal(c.listLen('l'), 2)
    assert.deepEqual(c.listPopAll('l'), ['a', 'b'])
    assert.deepEqual(c.listPopAll('l'), [])
    c.listPush('l', 'c', null)
    clock.advance(1_000)
    assert.equal(c.listLen('l'), 0)
    for (let i = 0; i < MAX_LIST_ITEMS; i++) c.listPush('full', 'x', null)
    assert.equal(c.listPush('full', 'x', null), null)
  })
})

describe('one-shot timers of scripts', () => {
  it('run once; a key has one, set again replaces it, cancelled never runs', () => {
    const clock = new FakeClock()
    const timers = new KeyedTimers(clock)
    const seen: string[] = []
    const set = (key: string, ms: number, name: string, generation = 1): boolean =>
      timers.set(key, generation, ms, (due) => seen.push(`${name} ${due}`))
    set('a', 100, 'first')
    set('a', 200, 'second')
    set('b', 100, 'b')
    assert.equal(timers.cancel('b'), true)
    assert.equal(timers.cancel('b'), false)
    clock.advance(1_000)
    assert.deepEqual(seen, ['first false', 'b false', 'second true'])
    assert.deepEqual([timers.size, clock.pendingTimers], [0, 0])
  })

  it('belong to their generation: a newer one drops them, an older one sets none', () => {
    const clock = new FakeClock()
    const timers = new KeyedTimers(clock)
    const seen: string[] = []
    timers.set('a', 1, 100, (due) => seen.push(`old ${due}`))
    timers.enter(2)
    timers.set('b', 1, 100, (due) => seen.push(`late ${due}`))
    timers.set('c', 2, 100, (due) => seen.push(`new ${due}`))
    clock.advance(1_000)
    assert.deepEqual(seen, ['old false', 'late false', 'new true'])
  })
})

describe('a rate over a sliding window', () => {
  it('lets a steady rate below the limit through, and no burst', () => {
    const clock = new FakeClock()
    const rates = new RateWindow(clock)
    let within = 0
    for (let i = 0; i < 100; i++) {
      if (rates.within('a', 1_000, 10)) within++
      clock.advance(112)
    }
    assert.equal(within, 100)
    for (let i = 0; i < 100; i++) {
      assert.equal(rates.within('b', 1_000, 10), i < 10)
    }
    clock.advance(2_000)
    assert.equal(rates.within('b', 1_000, 10), true)
    assert.equal(rates.within('c', 1_000, 0), false)
  })

  it('forgets the source that was silent for longest', () => {
    const rates = new RateWindow(new FakeClock(), 2)
    rates.within('a', 1_000, 1)
    rates.within('b', 1_000, 1)
    rates.within('c', 1_000, 1)
    assert.equal(rates.size, 2)
    assert.equal(rates.within('b', 1_000, 1), false)
    assert.equal(rates.within('a', 1_000, 1), true)
  })
})
