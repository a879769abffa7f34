import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { DeadlineHeap, type Due } from '../../src/core/deadline-heap.ts'

describe('deadline heap', () => {
  it('gives the earliest first through any sequence of puts, moves and removals', () => {
    const step = fc.record({ item: fc.nat(15), deadline: fc.option(fc.nat(100)) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const heap = new DeadlineHeap<Due>()
        const items = Array.from({ length: 16 }, (): Due => ({ deadline: 0, place: -1 }))
        const model = new Map<Due, number>()
        for (const { item: at, deadline } of steps) {
          const item = items[at]
          assert.ok(item)
          if (deadline === null) {
            heap.remove(item)
            model.delete(item)
          } else {
            heap.put(item, deadline)
            model.set(item, deadline)
          }
          assert.equal(heap.size, model.size)
          if (model.size > 0) assert.equal(heap.first?.deadline, Math.min(...model.values()))
        }
        const drained: number[] = []
        for (let first = heap.first; first !== undefined; first = heap.first) {
          drained.push(first.deadline)
          heap.remove(first)
        }
        assert.deepEqual(
          drained,
          [...model.values()].sort((a, b) => a - b),
        )
      }),
    )
  })
})
