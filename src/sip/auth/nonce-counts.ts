/** What a nonce has been used for. */
interface Use {
  readonly issuedAt: number
  readonly expiresAt: number
  highest: number
  /** Bit n: the count `highest - n` has been used. */
  window: number
}

/** How far a count may lie below the highest one: requests that a phone sends at once reach us in any order. */
const WINDOW = 32

/**
 * Which counts of which nonces have been used: what refuses a replay (RFC 7616 §3.3, §5.5). Each count of a nonce is good once.
 *
 * Bounded: when full, the nonce that was used first is forgotten, and from then on nonces as old as it that are not in
 * here count as stale; so what is forgotten can never be replayed. The same goes for what was issued before `since`.
 */
export class NonceCounts {
  readonly #capacity: number
  readonly #uses = new Map<string, Use>()
  /** Nonces issued at or before this that are not in the table are refused. */
  #floor: number

  /** @param since ms; nonces of before, of an earlier run with the same secret, have counts that nobody knows */
  constructor(capacity: number, since: number) {
    this.#capacity = capacity
    this.#floor = since
  }

  get size(): number {
    return this.#uses.size
  }

  /**
   * @param id as `Nonce.id`
   * @param nc the count, 0 … 2^32 - 1; 1 for a client that counts not
   * @param expiresAt ms; after it the nonce is known to be stale without this table
   */
  use(
    id: string,
    nc: number,
    issuedAt: number,
    expiresAt: number,
    now: number,
  ): 'fresh' | 'replayed' | 'stale' {
    const known = this.#uses.get(id)
    if (known !== undefined) return count(known, nc) ? 'fresh' : 'replayed'
    if (issuedAt <= this.#floor) return 'stale'
    this.#makeRoom(now)
    this.#uses.set(id, { issuedAt, expiresAt, highest: nc, window: 1 })
    return 'fresh'
  }

  /** Two that have expired for each one that comes, so that the table shrinks again; one by force when it is full. */
  #makeRoom(now: number): void {
    let left = 2
    for (const [id, { issuedAt, expiresAt }] of this.#uses) {
      if (expiresAt > now && this.#uses.size < this.#capacity) return
      this.#floor = Math.max(this.#floor, issuedAt)
      this.#uses.delete(id)
      if (--left === 0) return
    }
  }
}

function count(use: Use, nc: number): boolean {
  const ahead = nc - use.highest
  if (ahead > 0) {
    use.window = ahead >= WINDOW ? 1 : (use.window << ahead) | 1
    use.highest = nc
    return true
  }
  if (-ahead >= WINDOW) return false
  const bit = 1 << -ahead
  if ((use.window & bit) !== 0) return false
  use.window |= bit
  return true
}
