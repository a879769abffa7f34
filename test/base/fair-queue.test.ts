import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FairQueue } from '../../src/base/fair-queue.ts'

describe('a fair queue', () => {
  it('gives each key its turn, and the items of each in their order', () => {
    const queue = new FairQueue<string>()
    for (const item of ['a1', 'a2', 'a3', 'b1', 'a4', 'c1', 'b2']) queue.push(item.slice(0, 1), item)
    assert.deepEqual([...queue.heads()], ['a1', 'b1', 'c1'])
    const out: (string | undefined)[] = []
    out.push(queue.shift(), queue.shift())
    queue.push('d', 'd1')
    while (queue.size > 0) out.push(queue.shift())
    assert.deepEqual(out, ['a1', 'b1', 'c1', 'a2', 'b2', 'd1', 'a3', 'a4'])
    assert.deepEqual([queue.shift(), [...queue.heads()]], [undefined, []])
  })

  it('takes out what is meant at the head of each key, and forgets a key with nothing left', () => {
    const queue = new FairQueue<number>()
    for (const [key, item] of [
      ['a', 1],
      ['a', 9],
      ['b', 2],
      ['c', 8],
      ['c', 1],
    ] as const)
      queue.push(key, item)
    assert.deepEqual(queue.takeWhile((item) => item < 5).toSorted(), [1, 2])
    assert.deepEqual([queue.size, [...queue.heads()]], [3, [9, 8]])
    assert.deepEqual([queue.shift(), queue.shift(), queue.shift()], [9, 8, 1])
  })

  it('gives all that was put in, once', () => {
    const step = fc.oneof(
      fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd') }),
      fc.constant('shift' as const),
      fc.constant('expire' as const),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new FairQueue<{ key: string; at: number }>()
        const out: { key: string; at: number }[] = []
        let put = 0
        for (const what of steps) {
          if (what === 'shift') {
            const item = queue.shift()
            if (item !== undefined) out.push(item)
          } else if (what === 'expire') out.push(...queue.takeWhile(({ at }) => at < put / 2))
          else queue.push(what.key, { key: what.key, at: put++ })
          assert.equal(queue.size, put - out.length)
        }
        for (let item = queue.shift(); item !== undefined; item = queue.shift()) out.push(item)
        assert.equal(new Set(out).size, put)
        for (const key of ['a', 'b', 'c', 'd']) {
          const order = out.filter((item) => item.key === key).map(({ at }) => at)
          assert.deepEqual(
            order,
            order.toSorted((x, y) => x - y),
          )
        }
      }),
    )
  })
})
