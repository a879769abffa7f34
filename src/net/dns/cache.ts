import { type Answer, FAILED, NONE, type Question } from './records.ts'
import type { Told } from './client.ts'

/** How long answers are believed. Seconds. */
export interface CacheLimits {
  readonly minTtlSecs: number
  readonly maxTtlSecs: number
  /** For answers that say that there is nothing (RFC 2308). */
  readonly maxNegativeTtlSecs: number
  /** How long after its end an answer may still be used when no server can be asked (RFC 8767). */
  readonly maxStaleSecs: number
  /** Most names and types remembered. */
  readonly size: number
}

/** That nobody could be asked is remembered so long (RFC 2308 §7.2 allows 5 minutes). */
const FAILURE_SECS = 5
/** An answer without a record or an SOA says nothing about how long (RFC 2308 §5: not to be kept). */
const UNKNOWN_NEGATIVE_SECS = 5
/** A stale answer serves so long before the servers are asked again (RFC 8767 §4). */
const STALE_SECS = 30

interface Entry {
  readonly answer: Answer
  /** Monotonic ms. */
  freshUntil: number
  readonly staleUntil: number
}

/** Answers by name and type, the longest unused ones forgotten first. */
export class DnsCache {
  readonly #limits: CacheLimits
  readonly #now: () => number
  readonly #entries = new Map<string, Entry>()

  /** @param now monotonic milliseconds */
  constructor(limits: CacheLimits, now: () => number) {
    this.#limits = limits
    this.#now = now
  }

  get size(): number {
    return this.#entries.size
  }

  /** A fresh answer; undefined when it has to be asked for. */
  get(question: Question): Answer | undefined {
    const key = keyOf(question)
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.freshUntil <= this.#now()) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.answer
  }

  /** Keeps what the servers told, and gives what to make of it: an old answer when they told nothing. */
  put(question: Question, { outcome, records, ttl }: Told): Answer {
    const key = keyOf(question)
    const now = this.#now()
    const { minTtlSecs, maxTtlSecs, maxNegativeTtlSecs, maxStaleSecs } = this.#limits
    if (outcome === 'failed') {
      const old = this.#entries.get(key)
      if (old !== undefined && old.answer.outcome !== 'failed' && old.staleUntil > now) {
        old.freshUntil = Math.min(old.staleUntil, now + STALE_SECS * 1000)
        return old.answer
      }
      return this.#keep(key, FAILED, FAILURE_SECS, 0)
    }
    if (outcome === 'none') {
      const secs = clamp(ttl ?? UNKNOWN_NEGATIVE_SECS, minTtlSecs, maxNegativeTtlSecs)
      return this.#keep(key, NONE, secs, 0)
    }
    return this.#keep(key, { outcome, records }, clamp(ttl ?? 0, minTtlSecs, maxTtlSecs), maxStaleSecs)
  }

  #keep(key: string, answer: Answer, secs: number, staleSecs: number): Answer {
    const freshUntil = this.#now() + secs * 1000
    this.#entries.delete(key)
    if (this.#entries.size >= this.#limits.size) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest)
        break
      }
    }
    this.#entries.set(key, { answer, freshUntil, staleUntil: freshUntil + staleSecs * 1000 })
    return answer
  }
}

/** The maximum counts more, where an operator made it less than the minimum. */
function clamp(secs: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, secs))
}

export function keyOf({ name, type }: Question): string {
  return `${type} ${name}`
}
