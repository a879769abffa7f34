import type { Algorithm } from './settings.ts'

/** What choosing needs of a destination, and the two numbers it keeps there. */
export interface Candidate {
  /** By what the hash knows it: stays the same when the group changes. */
  readonly identity: string
  readonly weight: number
  readonly priority: number
  /** `weighted`: what it is owed, in shares. */
  credit: number
  /** `round_robin`: when it was last chosen, by count. */
  turn: number
}

/**
 * Chooses one of the candidates: the lowest tier there is, and in it by the algorithm.
 *
 * `weighted` is exact, not by chance: of any w requests (the sum of the weights) each gets its weight, spread as evenly as can
 * be (smooth weighted round robin). `hash` is rendezvous hashing with weights: a key goes to the candidate with the highest
 * score, so one that leaves gives its keys to the others and moves no key of theirs, and one that comes takes its share only.
 * @param key for `hash`
 */
export function choose<C extends Candidate>(
  candidates: readonly C[],
  algorithm: Algorithm,
  key: string | null,
): C | null {
  const tier = lowestTier(candidates)
  const [first] = tier
  if (first === undefined) return null
  if (algorithm === 'hash') return tier.reduce((a, b) => (score(b, key) > score(a, key) ? b : a))
  if (algorithm === 'round_robin') {
    const chosen = tier.reduce((a, b) => (b.turn < a.turn ? b : a))
    chosen.turn = Math.max(...candidates.map((c) => c.turn)) + 1
    return chosen
  }
  let total = 0
  let chosen = first
  for (const candidate of tier) {
    candidate.credit += candidate.weight
    total += candidate.weight
    if (candidate.credit > chosen.credit) chosen = candidate
  }
  chosen.credit -= total
  return chosen
}

/**
 * All candidates, in the order in which they should be tried: the one that `choose` gives, then the rest of its tier, then
 * the tiers above.
 */
export function inOrder<C extends Candidate>(
  candidates: readonly C[],
  algorithm: Algorithm,
  key: string | null,
): C[] {
  const first = choose(candidates, algorithm, key)
  if (first === null) return []
  const rank: (a: C, b: C) => number =
    algorithm === 'hash'
      ? (a, b) => score(b, key) - score(a, key)
      : algorithm === 'round_robin'
        ? (a, b) => a.turn - b.turn
        : (a, b) => b.credit - a.credit
  const rest = candidates.filter((c) => c !== first)
  return [first, ...rest.sort((a, b) => a.priority - b.priority || rank(a, b))]
}

function lowestTier<C extends Candidate>(candidates: readonly C[]): C[] {
  let lowest = Infinity
  for (const { priority } of candidates) if (priority < lowest) lowest = priority
  return candidates.filter(({ priority }) => priority === lowest)
}

/** -weight / ln(h), h uniform in (0, 1): the highest wins with a probability in proportion to its weight. */
function score({ identity, weight }: Candidate, key: string | null): number {
  return -weight / Math.log((hash(`${key ?? ''}\0${identity}`) + 0.5) / 2 ** 32)
}

/** FNV-1a with the finalizer of MurmurHash3: the last characters of a key must change all bits. */
function hash(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
