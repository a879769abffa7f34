import type { Clock } from '../base/clock.ts'
import type { Target } from '../stack/transport.ts'

/** Most targets remembered. */
const MAX_REMEMBERED = 4_096
/** A server may ask for more time with Retry-After, up to this. */
const MAX_AVOID_MS = 600_000

/**
 * Targets that failed a short time ago: the next request goes to another one first (RFC 3263 §4.3). They are put last
 * and never left out, so that a server that is alone, or among the dead, is still tried.
 */
export class TargetMemory {
  readonly #clock: Clock
  readonly #avoidMs: number
  /** By protocol and address: until when, monotonic ms. */
  readonly #failed = new Map<string, number>()

  constructor(clock: Clock, avoidMs: number) {
    this.#clock = clock
    this.#avoidMs = avoidMs
  }

  get size(): number {
    return this.#failed.size
  }

  /** @param retryAfterMs what the target asked for, where it asked */
  failed(target: Target, retryAfterMs = 0): void {
    const ms = Math.max(this.#avoidMs, Math.min(retryAfterMs, MAX_AVOID_MS))
    if (ms <= 0) return
    const key = keyOf(target)
    this.#failed.delete(key)
    if (this.#failed.size >= MAX_REMEMBERED) {
      for (const oldest of this.#failed.keys()) {
        this.#failed.delete(oldest)
        break
      }
    }
    this.#failed.set(key, this.#clock.now() + ms)
  }

  /** It has answered. */
  alive(target: Target): void {
    if (this.#failed.size > 0) this.#failed.delete(keyOf(target))
  }

  /** Those not known to fail first, else in the order given. */
  order(targets: readonly Target[]): readonly Target[] {
    if (this.#failed.size === 0 || targets.length < 2) return targets
    const dead = new Set(targets.filter((target) => this.#isDead(target)))
    if (dead.size === 0) return targets
    return [...targets.filter((target) => !dead.has(target)), ...dead]
  }

  #isDead(target: Target): boolean {
    const key = keyOf(target)
    const until = this.#failed.get(key)
    if (until === undefined) return false
    if (until > this.#clock.now()) return true
    this.#failed.delete(key)
    return false
  }
}

function keyOf({ protocol, host, port }: Target): string {
  return `${protocol} ${host} ${port}`
}
