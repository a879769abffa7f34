import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { SrvRecord } from '../../../src/net/dns/records.ts'
import { orderSrv } from '../../../src/net/next-hop/srv-order.ts'
import { seeded } from '../../support/seeded.ts'

const srv = (target: string, priority: number, weight: number): SrvRecord => ({
  type: 'SRV',
  priority,
  weight,
  port: 5060,
  target,
})

/** The share of each target that comes first, of 10,000 draws. */
function shares(records: readonly SrvRecord[]): Record<string, number> {
  const random = seeded(3263)
  const counts: Record<string, number> = {}
  for (let i = 0; i < 10_000; i++) {
    const target = orderSrv(records, random)[0]?.target ?? ''
    counts[target] = (counts[target] ?? 0) + 1 / 10_000
  }
  return counts
}

describe('RFC 2782 the order of SRV records', () => {
  it('puts every record in once, by priority', () => {
    const record = fc.record({ priority: fc.nat(3), weight: fc.nat(100) })
    fc.assert(
      fc.property(fc.array(record, { maxLength: 8 }), fc.integer(), (given, seed) => {
        const records = given.map(({ priority, weight }, i) => srv(`t${i}`, priority, weight))
        const order = orderSrv(records, seeded(seed))
        assert.deepEqual([...order].sort(byTarget), [...records].sort(byTarget))
        for (const [i, { priority }] of order.entries()) assert.ok(priority >= (order[i - 1]?.priority ?? 0))
      }),
    )
  })

  it('draws by weight, within 3 %', () => {
    const counts = shares([srv('a', 1, 60), srv('b', 1, 30), srv('c', 1, 10), srv('never', 2, 100)])
    for (const [target, share] of [
      ['a', 0.6],
      ['b', 0.3],
      ['c', 0.1],
    ] as const) {
      assert.ok(Math.abs((counts[target] ?? 0) - share) < 0.03, `${target}: ${counts[target]}`)
    }
    assert.equal(counts['never'], undefined)
  })

  it('hardly ever draws weight 0 beside weights, and equally among weights 0', () => {
    const beside = shares([srv('zero', 1, 0), srv('much', 1, 1000)])
    assert.ok((beside['zero'] ?? 0) < 0.01)
    const equal = shares([srv('a', 1, 0), srv('b', 1, 0), srv('c', 1, 0), srv('d', 1, 0)])
    for (const target of ['a', 'b', 'c', 'd']) assert.ok(Math.abs((equal[target] ?? 0) - 0.25) < 0.03)
  })
})

function byTarget(a: SrvRecord, b: SrvRecord): number {
  return a.target.localeCompare(b.target)
}
