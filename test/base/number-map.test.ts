import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { NumberMap } from '../../src/base/number-map.ts'
import { assertLikeMap } from './like-map.ts'

describe('a map by number', () => {
  it('does what a Map does, whatever is put in and taken out', () => {
    // Few low bits and many numbers: most of them want a slot that another one has.
    const key = fc.oneof(
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 0, max: 12 }).map((n) => n * 64),
      fc.maxSafeInteger().map(Math.abs),
    )
    assertLikeMap(key, () => new NumberMap<number>())
  })

  it('grows with what it holds and is as it was when that is gone, and tells what is there from what is not', () => {
    const map = new NumberMap<string>()
    for (let i = 0; i < 10_000; i++) map.set(i, `run ${i}`)
    assert.equal(map.size, 10_000)
    assert.equal(map.get(9_999), 'run 9999')
    assert.deepEqual([map.has(10_000), map.get(20_000)], [false, undefined])
    for (let i = 0; i < 10_000; i++) assert.equal(map.delete(i), true)
    assert.deepEqual([map.size, [...map.values()], map.has(5)], [0, [], false])
  })

  it('holds a window of numbers that count up for as long as one likes', () => {
    const map = new NumberMap<number>()
    for (let i = 0; i < 50_000; i++) {
      map.set(i, i)
      if (i >= 12) assert.equal(map.delete(i - 12), true)
    }
    assert.deepEqual(
      [...map.values()].toSorted(),
      Array.from({ length: 12 }, (_, i) => 49_988 + i),
    )
  })
})
