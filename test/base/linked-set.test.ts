import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Linked, LinkedSet } from '../../src/base/linked-set.ts'

class Item implements Linked<Item> {
  inSet: LinkedSet<Item> | null = null
  before: Item | null = null
  after: Item | null = null
}

const items = (count: number): readonly Item[] => Array.from({ length: count }, () => new Item())

describe('a set whose items are linked', () => {
  it('does what a Set does, in the order of adding, and lets go of what is taken out', () => {
    const step = fc.record({
      do: fc.constantFrom('add' as const, 'delete' as const),
      which: fc.integer({ min: 0, max: 7 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), fc.boolean(), (walk, cleared) => {
        const all = items(8)
        const set = new LinkedSet<Item>()
        const model = new Set<Item>()
        for (const { do: what, which } of walk) {
          const item = all[which]
          if (item === undefined) continue
          if (what === 'delete') assert.equal(set.delete(item), model.delete(item))
          else if (!model.has(item)) {
            set.add(item)
            model.add(item)
          }
          assert.equal(set.size, model.size)
          assert.deepEqual([...set], [...model])
          assert.equal(set.first, [...model][0] ?? null)
        }
        if (cleared) {
          set.clear()
          model.clear()
        }
        for (const item of all) {
          assert.equal(set.has(item), model.has(item))
          if (!model.has(item)) assert.deepEqual([item.inSet, item.before, item.after], [null, null, null])
        }
      }),
    )
  })

  it('lets the item that was given last be taken out while it is gone through', () => {
    const [a, b, c] = items(3) as [Item, Item, Item]
    const set = new LinkedSet<Item>()
    for (const item of [a, b, c]) set.add(item)
    const seen: Item[] = []
    for (const item of set) {
      seen.push(item)
      set.delete(item)
    }
    assert.deepEqual(seen, [a, b, c])
    assert.equal(set.size, 0)
  })

  it('refuses what is in a set already, and takes it once it is not', () => {
    const [item] = items(1) as [Item]
    const [one, other] = [new LinkedSet<Item>(), new LinkedSet<Item>()]
    one.add(item)
    assert.throws(() => one.add(item), /in a set already/)
    assert.throws(() => other.add(item), /in a set already/)
    assert.equal(other.delete(item), false)
    one.delete(item)
    other.add(item)
    assert.deepEqual([one.size, other.size], [0, 1])
  })
})
