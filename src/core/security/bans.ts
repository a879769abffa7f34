import type { Clock, Timer } from '../../base/clock.ts'

/** Why: `rate_limit`, `failed_auth`, or the script's own words. */
export interface Ban {
  /** Ever rising: bans are listed in this order. */
  readonly id: number
  /** An IPv4 address, or the /64 of an IPv6 address. */
  readonly source: string
  readonly reason: string
  /** Only requests are dropped: responses of a busy gateway end calls. */
  readonly requestsOnly: boolean
  /** Unix milliseconds. */
  readonly since: number
  /** On the monotonic clock, ms. */
  readonly until: number
  /** The weights that led to it; 0 for other reasons. */
  readonly score: number
  /** Messages and connections refused since. */
  drops: number
}

/** Bans that are kept at most. Past it the oldest is let go for the newest. */
export const MOST_BANS = 65_536
const SWEEP_MS = 1_000

export interface BanListOptions {
  readonly clock: Clock
  /** Told of each ban that ends: by time, by the operator or script, or to make room. */
  readonly onEnd: (ban: Ban, why: 'expired' | 'lifted' | 'replaced') => void
  readonly most?: number
}

/** Who is banned, until when. */
export class BanList {
  readonly #o: BanListOptions
  readonly #most: number
  readonly #bans = new Map<string, Ban>()
  #lastId = 0
  #sweep: Timer | null = null

  constructor(options: BanListOptions) {
    this.#o = options
    this.#most = options.most ?? MOST_BANS
  }

  get size(): number {
    return this.#bans.size
  }

  /** The ban of a source (see `sourceOf`); undefined when there is none, or none any more. */
  get(source: string): Ban | undefined {
    const ban = this.#bans.get(source)
    return ban !== undefined && ban.until > this.#o.clock.now() ? ban : undefined
  }

  /** A source that is banned already gets the later end of the two, and the new reason. */
  add(
    source: string,
    given: {
      readonly ms: number
      readonly reason: string
      readonly requestsOnly: boolean
      readonly score: number
    },
  ): Ban {
    const { clock } = this.#o
    const before = this.get(source)
    this.#bans.delete(source)
    const ban: Ban = {
      id: ++this.#lastId,
      source,
      reason: given.reason,
      requestsOnly: given.requestsOnly,
      since: clock.wallTime(),
      until: Math.max(clock.now() + given.ms, before?.until ?? 0),
      score: given.score,
      drops: before?.drops ?? 0,
    }
    if (this.#bans.size >= this.#most) this.#replaceOldest()
    this.#bans.set(source, ban)
    this.#sweep ??= clock.startTimer(SWEEP_MS, () => this.#expire())
    return ban
  }

  /** The ban that was lifted; undefined when there was none. */
  lift(source: string): Ban | undefined {
    const ban = this.get(source)
    if (ban === undefined) return undefined
    this.#bans.delete(source)
    this.#o.onEnd(ban, 'lifted')
    return ban
  }

  /** At most `limit` bans that were made after the one with this id. */
  page(afterId: number, limit: number): readonly Ban[] {
    const now = this.#o.clock.now()
    const page: Ban[] = []
    for (const ban of this.#bans.values()) {
      if (page.length >= limit) break
      if (ban.id > afterId && ban.until > now) page.push(ban)
    }
    return page
  }

  close(): void {
    this.#sweep?.cancel()
    this.#sweep = null
  }

  #replaceOldest(): void {
    const oldest = this.#bans.values().next().value
    if (oldest === undefined) return
    this.#bans.delete(oldest.source)
    this.#o.onEnd(oldest, 'replaced')
  }

  #expire(): void {
    const now = this.#o.clock.now()
    for (const ban of this.#bans.values()) {
      if (ban.until > now) continue
      this.#bans.delete(ban.source)
      this.#o.onEnd(ban, 'expired')
    }
    this.#sweep = this.#bans.size === 0 ? null : this.#o.clock.startTimer(SWEEP_MS, () => this.#expire())
  }
}
