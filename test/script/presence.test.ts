import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Presence } from '../../src/script/presence.ts'

function lab() {
  let now = 0
  const presence = new Presence(() => now)
  presence.replace([1, 2])
  return { presence, wait: (ms: number) => (now += ms) }
}

describe('a script is up', () => {
  it('while it has a worker, and for a moment without one', () => {
    const { presence, wait } = lab()
    presence.remove(1)
    wait(60_000)
    assert.equal(presence.up, true)
    presence.remove(2)
    wait(999)
    assert.equal(presence.up, true)
    presence.add(3)
    wait(60_000)
    assert.equal(presence.up, true)
  })

  it('not when it has had none for a second, until one has lived for three', () => {
    const { presence, wait } = lab()
    presence.replace([])
    wait(1_000)
    assert.equal(presence.up, false)
    presence.add(3)
    wait(2_999)
    assert.equal(presence.up, false)
    wait(1)
    assert.equal(presence.up, true)
  })

  it('not in the short lives of workers that keep dying, whether anybody looks or not', () => {
    const { presence, wait } = lab()
    presence.replace([])
    for (let id = 3; id < 10; id++) {
      wait(1_600)
      presence.add(id)
      wait(300)
      presence.remove(id)
    }
    presence.add(10)
    assert.equal(presence.up, false)
    wait(3_000)
    presence.remove(10)
    assert.equal(presence.up, true)
  })

  it('at once when another script takes over', () => {
    const { presence, wait } = lab()
    presence.replace([])
    wait(5_000)
    assert.equal(presence.up, false)
    presence.replace([7])
    assert.equal(presence.up, true)
  })
})
