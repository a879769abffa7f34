import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { TextMap } from '../../src/base/text-map.ts'
import { assertLikeMap } from './like-map.ts'

describe('a map by text', () => {
  it('does what a Map does, whatever is put in and taken out', () => {
    const key = fc.string({ maxLength: 3 })
    assertLikeMap(key, () => new TextMap<number>())
    // As good as all of them share a number.
    assertLikeMap(key, () => new TextMap<number>((text) => text.length))
  })

  it('stays itself when texts are chosen to share a number', () => {
    const same = Array.from({ length: 40 }, (_, i) => `text ${i}`)
    const map = new TextMap<string>(() => 7)
    for (const text of same) map.set(text, text)
    assert.equal(map.size, same.length)
    for (const text of same) assert.equal(map.get(text), text)
    assert.equal([...map.values()].length, same.length)
    for (const text of same.slice(0, 20)) assert.equal(map.delete(text), true)
    for (const text of same.slice(0, 20)) assert.equal(map.has(text), false)
    for (const text of same.slice(20)) {
      map.set(text, `again ${text}`)
      assert.equal(map.get(text), `again ${text}`)
    }
    assert.equal(map.size, same.length - 20)
    for (const text of same.slice(20)) map.delete(text)
    assert.equal(map.size, 0)
  })

  it('finds a text however it was put together', () => {
    const map = new TextMap<number>()
    const whole = 'z9hG4bKabcdefghijklmnopqrstuvwxyz host 5060'
    map.set(whole.slice(0, 30) + whole.slice(30), 1)
    assert.equal(map.get(`xx${whole}`.slice(2)), 1)
  })
})
