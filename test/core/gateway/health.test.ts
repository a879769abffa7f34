import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Health } from '../../../src/core/gateway/health.ts'

const health = (failureThreshold = 3, successThreshold = 2): Health =>
  new Health({ failureThreshold, successThreshold }, { failures: 3, holdMs: 10_000, maxHoldMs: 30_000 })

describe('the health of a gateway', () => {
  it('goes down after failed probes in a row, and up after good ones in a row', () => {
    const h = health()
    h.probed('timeout', null, 0)
    h.probed('unreachable', null, 0)
    h.probed('answered', null, 0)
    h.probed('timeout', null, 0)
    h.probed('timeout', null, 0)
    assert.equal(h.state(0), 'up')
    h.probed('unavailable', null, 0)
    assert.equal(h.state(0), 'probes_failed')
    h.probed('answered', null, 0)
    assert.equal(h.state(0), 'probes_failed')
    h.probed('timeout', null, 0)
    h.probed('answered', null, 0)
    h.probed('answered', null, 0)
    assert.equal(h.state(0), 'up')
    assert.equal(h.checksMissed, 0)
  })

  it('is held down for as long as a 503 asks, an hour at most; a good probe does not shorten it', () => {
    const h = health()
    h.probed('unavailable', 60_000, 0)
    assert.equal(h.state(59_999), 'held')
    h.probed('answered', null, 30_000)
    assert.equal(h.state(59_999), 'held')
    assert.equal(h.state(60_000), 'up')
    h.probed('unavailable', 1e12, 60_000)
    assert.equal(h.state(60_000 + 3_600_000), 'up')
  })

  it('stays down by hand whatever comes, until up by hand, which forgets everything else', () => {
    const h = health()
    h.markDown()
    h.probed('answered', null, 0)
    h.probed('answered', null, 0)
    h.served()
    assert.equal(h.state(1e9), 'manual_down')
    for (let i = 0; i < 3; i++) h.probed('unavailable', 1e6, 1)
    for (let i = 0; i < 3; i++) h.failed(1)
    h.markUp()
    assert.equal(h.state(2), 'up')
    assert.deepEqual([h.checksMissed, h.callsFailed], [0, 0])
  })

  it('opens its circuit after failed calls in a row only', () => {
    const h = health()
    h.failed(0)
    h.failed(0)
    h.served()
    h.failed(0)
    h.failed(0)
    assert.equal(h.state(0), 'up')
    h.failed(0)
    assert.equal(h.state(9_999), 'circuit_open')
  })

  it('half open lets one call through; its failure doubles the hold, its success closes', () => {
    const h = health()
    for (let i = 0; i < 3; i++) h.failed(0)
    // Calls that were on their way do not lengthen it.
    h.failed(5_000)
    assert.equal(h.state(10_000), 'up')
    h.chosen(10_000)
    assert.equal(h.state(10_001), 'circuit_open')
    h.failed(11_000)
    assert.equal(h.state(30_999), 'circuit_open')
    assert.equal(h.state(31_000), 'up')
    h.chosen(31_000)
    h.failed(31_000)
    assert.equal(h.state(61_000), 'up')
    h.chosen(61_000)
    h.served()
    assert.equal(h.state(61_000), 'up')
    h.failed(61_000)
    assert.equal(h.state(61_000), 'up')
  })

  it('a trial that was given up makes room for another; so does one of which nothing is heard', () => {
    const h = health()
    for (let i = 0; i < 3; i++) h.failed(0)
    h.chosen(10_000)
    h.undecided()
    assert.equal(h.state(10_000), 'up')
    h.chosen(10_000)
    assert.equal(h.state(44_999), 'circuit_open')
    assert.equal(h.state(45_000), 'up')
  })

  it('never opens with failures: 0', () => {
    const h = new Health(
      { failureThreshold: 1, successThreshold: 1 },
      { failures: 0, holdMs: 1, maxHoldMs: 1 },
    )
    for (let i = 0; i < 100; i++) h.failed(0)
    assert.equal(h.state(0), 'up')
  })
})
