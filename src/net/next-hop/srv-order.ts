import type { SrvRecord } from '../dns/records.ts'

/**
 * The order in which to try SRV records, RFC 2782: lower priorities first; among equals a draw, in which each record's
 * chance to be the next is its share of the weights that are left. Those of weight 0 have hardly a chance to be
 * first; when all have weight 0 the chances are equal.
 * @param random the next number from 0 (inclusive) to 1 (exclusive)
 */
export function orderSrv(records: readonly SrvRecord[], random: () => number): readonly SrvRecord[] {
  if (records.length < 2) return records
  const byPriority = new Map<number, SrvRecord[]>()
  for (const record of records) {
    const equals = byPriority.get(record.priority)
    if (equals === undefined) byPriority.set(record.priority, [record])
    else equals.push(record)
  }
  const priorities = [...byPriority.keys()].sort((a, b) => a - b)
  return priorities.flatMap((priority) => draw(byPriority.get(priority) ?? [], random))
}

function draw(equals: SrvRecord[], random: () => number): SrvRecord[] {
  if (equals.length < 2) return equals
  // Those of weight 0 stand first (the running sum makes that their chance of being drawn), in any order.
  const left = [
    ...shuffle(
      equals.filter(({ weight }) => weight === 0),
      random,
    ),
    ...equals.filter(({ weight }) => weight > 0),
  ]
  const order: SrvRecord[] = []
  let sum = left.reduce((total, { weight }) => total + weight, 0)
  while (left.length > 0) {
    const drawn = Math.floor(random() * (sum + 1))
    let running = 0
    const at = left.findIndex(({ weight }) => (running += weight) >= drawn)
    const [next] = left.splice(Math.max(at, 0), 1)
    if (next === undefined) break
    order.push(next)
    sum -= next.weight
  }
  return order
}

/** Fisher and Yates, in place. */
export function shuffle<T>(items: T[], random: () => number): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const [a, b] = [items[i], items[j]]
    if (a !== undefined && b !== undefined) [items[i], items[j]] = [b, a]
  }
  return items
}
