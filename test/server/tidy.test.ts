import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startTidying } from '../../src/server/tidy.ts'
import { FakeClock } from '../support/fake-clock.ts'

const MB = 1 << 20

function lab() {
  const clock = new FakeClock()
  const state = { total: 20 * MB, busy: 0, free: true, collected: 0, left: 20 * MB }
  const tidying = startTidying(clock, () => state.free, {
    total: () => state.total,
    busy: () => state.busy,
    collect: () => {
      state.collected++
      state.total = state.left
    },
  })
  return { clock, state, tidying }
}

describe('giving memory back after a burst', () => {
  it('collects once when the loop is quiet and nobody would notice, not before', () => {
    const { clock, state } = lab()
    state.total = 150 * MB
    state.busy = 0.5
    clock.advance(10_000)
    assert.equal(state.collected, 0, 'a busy loop')
    state.busy = 0.01
    state.free = false
    clock.advance(10_000)
    assert.equal(state.collected, 0, 'calls are up')
    state.free = true
    state.busy = 0.5
    clock.advance(500)
    state.busy = 0.01
    clock.advance(500)
    assert.equal(state.collected, 0, 'it only draws breath')
    clock.advance(1_000)
    assert.equal(state.collected, 1)
    clock.advance(60_000)
    assert.equal(state.collected, 1, 'there is nothing more')
  })

  it('is content with what is left, and looks at what comes on top', () => {
    const { clock, state } = lab()
    state.total = 150 * MB
    state.left = 120 * MB
    clock.advance(1_000)
    state.total = 180 * MB
    clock.advance(60_000)
    assert.equal(state.collected, 1)
    state.total = 190 * MB
    clock.advance(1_000)
    assert.equal(state.collected, 2)
  })

  it('collects without a reason of its own when told of one, and no more when stopped', () => {
    const { clock, state, tidying } = lab()
    tidying.expect()
    clock.advance(2_000)
    assert.equal(state.collected, 1)
    tidying.expect()
    tidying.stop()
    clock.advance(2_000)
    assert.equal(state.collected, 1)
  })
})

describe('heaps that may grow', () => {
  const program = fileURLToPath(new URL('../support/collected-thread.ts', import.meta.url))
  const fullCollections = (...how: string[]): number =>
    Number(spawnSync(process.execPath, [program, ...how], { encoding: 'utf8' }).stdout)

  it('are collected in full at most half as often, in threads started after it was said', () => {
    const byThemselves = fullCollections()
    const large = fullCollections('large')
    // 31 to 32, and 8 to 9, each time it was tried.
    assert.ok(byThemselves >= 10, `${byThemselves} full collections`)
    assert.ok(large * 2 <= byThemselves, `${large} of ${byThemselves} full collections`)
  })
})
