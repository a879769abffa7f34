import assert from 'node:assert/strict'
import fc from 'fast-check'

interface MapLike<K> {
  readonly size: number
  get(key: K): number | undefined
  set(key: K, value: number): void
  delete(key: K): boolean
  values(): Iterable<number>
  clear(): void
}

/** Asserts that it does what a Map does, whatever is put in and taken out. */
export function assertLikeMap<K>(key: fc.Arbitrary<K>, make: () => MapLike<K>): void {
  const steps = fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constant('set' as const), key, value: fc.integer() }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
    ),
    { maxLength: 300 },
  )
  fc.assert(
    fc.property(steps, (walk) => {
      const map = make()
      const model = new Map<K, number>()
      for (const step of walk) {
        if (step.do === 'set') {
          map.set(step.key, step.value)
          model.set(step.key, step.value)
        } else if (step.do === 'delete') assert.equal(map.delete(step.key), model.delete(step.key))
        else {
          map.clear()
          model.clear()
        }
        assert.equal(map.size, model.size)
        for (const [known, value] of model) assert.equal(map.get(known), value)
      }
      assert.deepEqual([...map.values()].toSorted(), [...model.values()].toSorted())
    }),
  )
}
