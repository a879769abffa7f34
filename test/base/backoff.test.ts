import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Backoff } from '../../src/base/backoff.ts'

describe('backoff', () => {
  it('doubles up to the ceiling and starts anew after a reset', () => {
    const backoff = new Backoff(1000, 30_000, () => 1)
    assert.deepEqual(
      Array.from({ length: 7 }, () => backoff.next()),
      [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000],
    )
    backoff.reset()
    assert.equal(backoff.next(), 1000)
  })

  it('cuts at most half off at random, and never goes below the floor', () => {
    const backoff = new Backoff(1000, 30_000, () => 0)
    assert.deepEqual([backoff.next(), backoff.next(), backoff.next()], [1000, 1000, 2000])
  })

  it('stays finite after a very long outage', () => {
    assert.equal(new Backoff(1000, 30_000, () => 1).after(5000), 30_000)
  })
})
