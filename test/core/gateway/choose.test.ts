import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Candidate, choose, inOrder } from '../../../src/core/gateway/choose.ts'

const candidate = (identity: string, weight = 1, priority = 1): Candidate => ({
  identity,
  weight,
  priority,
  credit: 0,
  turn: 0,
})

function counts(n: number, pick: (i: number) => Candidate | null): Record<string, number> {
  const found: Record<string, number> = {}
  for (let i = 0; i < n; i++) {
    const name = pick(i)?.identity ?? 'none'
    found[name] = (found[name] ?? 0) + 1
  }
  return found
}

describe('choosing a gateway', () => {
  it('weighted: exactly by weight, spread evenly, and only in the lowest tier', () => {
    const all = [candidate('a', 5), candidate('b', 2), candidate('c', 1), candidate('spare', 99, 2)]
    const turns = Array.from({ length: 8 }, () => choose(all, 'weighted', null)?.identity)
    assert.deepEqual(
      counts(800, () => choose(all, 'weighted', null)),
      { a: 500, b: 200, c: 100 },
    )
    assert.equal(turns.join(' '), 'a b a a c a b a')
  })

  it('takes the next tier when the lowest has nobody', () => {
    const spares = [candidate('spare', 1, 3), candidate('last', 1, 7)]
    assert.equal(choose(spares, 'weighted', null)?.identity, 'spare')
    assert.equal(choose([], 'weighted', null), null)
  })

  it('round robin: in turn, whatever the weights; one that comes back waits no longer than the others', () => {
    const [a, b, c] = [candidate('a', 9), candidate('b'), candidate('c')]
    const turns = (n: number, of: readonly Candidate[]): string =>
      Array.from({ length: n }, () => choose(of, 'round_robin', null)?.identity).join('')
    assert.equal(turns(6, [a, b, c]), 'abcabc')
    assert.equal(turns(4, [a, c]), 'acac')
    assert.equal(turns(3, [a, b, c]), 'bac')
  })

  it('hash: shares by weight, and one that leaves moves its own keys only', () => {
    const all = [candidate('a', 1), candidate('b', 2), candidate('c', 1)]
    const keys = Array.from({ length: 8_000 }, (_, i) => `call-${i}@10.0.0.1`)
    const before = keys.map((key) => choose(all, 'hash', key)?.identity)
    const share = counts(keys.length, (i) => choose(all, 'hash', keys[i] ?? ''))
    for (const [name, expected] of [
      ['a', 2_000],
      ['b', 4_000],
      ['c', 2_000],
    ] as const) {
      assert.ok(Math.abs((share[name] ?? 0) - expected) < 200, `${name}: ${share[name]}`)
    }
    const rest = all.filter(({ identity }) => identity !== 'b')
    const after = keys.map((key) => choose(rest, 'hash', key)?.identity)
    keys.forEach((key, i) => {
      if (before[i] !== 'b') assert.equal(after[i], before[i], key)
    })
    // And its keys are shared by those that are left.
    const moved = after.filter((_, i) => before[i] === 'b')
    assert.ok(Math.abs(moved.filter((name) => name === 'a').length - moved.length / 2) < 200)
  })

  it('in order: the chosen one, the rest of its tier, then the tiers above', () => {
    const all = [candidate('s2', 1, 3), candidate('a', 1), candidate('b', 3), candidate('s1', 1, 2)]
    assert.deepEqual(
      inOrder(all, 'weighted', null).map(({ identity }) => identity),
      ['b', 'a', 's1', 's2'],
    )
    for (const algorithm of ['weighted', 'round_robin', 'hash'] as const) {
      const order = inOrder(all, algorithm, 'k')
      assert.equal(new Set(order).size, 4)
      assert.deepEqual(
        order.map(({ priority }) => priority),
        [1, 1, 2, 3],
      )
    }
  })
})
