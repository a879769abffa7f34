import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { choose, Instance } from '../../src/media/instance.ts'
import { healthy, mediaLab, silent } from './lab.ts'

const up = (lab: ReturnType<typeof mediaLab>): string[] =>
  lab.engine.instances.filter((i) => i.state === 'up').map((i) => i.name)

describe('the health of media engines', () => {
  it('is known from the first ping on, also with probing off', () => {
    for (const intervalMs of [5_000, 0]) {
      const lab = mediaLab({ instances: 2, intervalMs })
      lab.answers.set(2, silent)
      assert.deepEqual(up(lab), [])
      lab.engine.start()
      lab.clock.advance(1)
      assert.deepEqual(up(lab), ['10.0.0.1:1'])
      lab.clock.advance(1_000)
      assert.deepEqual(
        lab.moved.map(({ address, up }) => [address, up]),
        [
          ['10.0.0.1:1', true],
          ['10.0.0.1:2', false],
        ],
      )
    }
  })

  it('takes two misses to be down and two answers to be up again, each confirmed within a second', () => {
    const lab = mediaLab()
    lab.engine.start()
    lab.clock.advance(10)
    lab.answers.set(1, silent)
    lab.clock.advance(6_000)
    assert.equal(up(lab).length, 1, 'one miss is none')
    lab.clock.advance(2_000)
    assert.deepEqual(up(lab), [])
    lab.answers.set(1, healthy)
    lab.clock.advance(5_100)
    assert.deepEqual(up(lab), [], 'nor is one answer enough')
    lab.clock.advance(1_100)
    assert.equal(up(lab).length, 1)
    assert.deepEqual(
      lab.moved.map((m) => m.up),
      [true, false, true],
    )
  })

  it('counts a command without an answer as a miss, and asks again at once', () => {
    const lab = mediaLab({ intervalMs: 0 })
    lab.engine.start()
    lab.clock.advance(10)
    const call = lab.start()
    lab.offer(call)
    lab.clock.advance(10)
    lab.answers.set(1, silent)
    lab.answer(call)
    lab.clock.advance(1_000)
    assert.equal(up(lab).length, 1)
    lab.clock.advance(2_000)
    assert.deepEqual(up(lab), [])
    // Probing is off, but what is down would never be heard of again.
    lab.answers.set(1, healthy)
    lab.clock.advance(7_000)
    assert.equal(up(lab).length, 1)
    const pings = lab.commands('ping').length
    lab.clock.advance(60_000)
    assert.equal(lab.commands('ping').length, pings)
  })

  it('takes an error for a sign of life', () => {
    const lab = mediaLab({ intervalMs: 0 })
    lab.answers.set(1, () => ({ result: 'error', 'error-reason': 'Unknown command' }))
    lab.engine.start()
    lab.clock.advance(10)
    assert.equal(up(lab).length, 1)
  })

  it('leaves no timer when it closes', async () => {
    const lab = mediaLab({ instances: 3 })
    lab.answers.set(3, silent)
    lab.engine.start()
    lab.clock.advance(20_000)
    await lab.engine.close()
    assert.equal(lab.clock.pendingTimers, 0)
  })
})

describe('the choice of an instance', () => {
  const make = (weights: readonly number[]): Instance[] =>
    weights.map((weight, i) => new Instance({ address: { host: '10.0.0.1', port: i }, weight, timeoutMs: 1 }))

  it('gives each its share, interleaved', () => {
    const instances = make([5, 1, 1])
    for (const i of instances) i.heard()
    const chosen = Array.from({ length: 700 }, () =>
      instances.indexOf(choose(instances, new Set()) as Instance),
    )
    assert.deepEqual(
      [0, 1, 2].map((n) => chosen.filter((c) => c === n).length),
      [500, 100, 100],
    )
    assert.doesNotMatch(chosen.slice(0, 14).join(''), /0{6}/)
  })

  it('leaves out what is down, tried, or has no weight; takes the unknown when there is nothing else', () => {
    const [a, b, c, d] = make([1, 1, 0, 1]) as [Instance, Instance, Instance, Instance]
    const all = [a, b, c, d]
    assert.notEqual(choose(all, new Set()), null)
    a.heard()
    b.missed()
    c.heard()
    for (let i = 0; i < 4; i++) assert.equal(choose(all, new Set()), a)
    assert.equal(choose(all, new Set([a])), d)
    assert.equal(choose(all, new Set([a, d])), null)
  })
})
