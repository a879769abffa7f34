import type { Secret } from '../../sip/auth/digest.ts'
import type { Users } from './users.ts'

/** Most users remembered by one worker, known and unknown ones. */
const CAPACITY = 10_000

export interface CacheOptions {
  /** ms; 0: nothing is remembered, but users are still asked for once at a time. */
  readonly ttlMs: number
  readonly now: () => number
  /** Told of each answer that needed no question. */
  readonly onHit: () => void
  readonly capacity?: number
}

/**
 * Remembers users, and that there are none, for a while, and lets many requests of one user wait for one question.
 * Failures are not remembered. Bounded: the answer that is oldest goes first, so strangers cannot fill memory.
 */
export class UserCache implements Users {
  readonly #users: Users
  readonly #o: CacheOptions
  readonly #known = new Map<string, { readonly secret: Secret | null; readonly until: number }>()
  readonly #asking = new Map<string, Promise<Secret | null>>()

  constructor(users: Users, options: CacheOptions) {
    this.#users = users
    this.#o = options
  }

  find(user: string, realm: string): Promise<Secret | null> {
    const key = `${realm}\0${user}`
    const known = this.#known.get(key)
    if (known !== undefined) {
      if (known.until > this.#o.now()) {
        this.#o.onHit()
        return Promise.resolve(known.secret)
      }
      this.#known.delete(key)
    }
    const asking = this.#asking.get(key)
    if (asking !== undefined) return asking
    const asked = this.#users
      .find(user, realm)
      .then((secret) => this.#remember(key, secret))
      .finally(() => this.#asking.delete(key))
    this.#asking.set(key, asked)
    return asked
  }

  #remember(key: string, secret: Secret | null): Secret | null {
    const { ttlMs, now, capacity = CAPACITY } = this.#o
    if (ttlMs <= 0) return secret
    const [oldest] = this.#known.keys()
    if (this.#known.size >= capacity && oldest !== undefined) this.#known.delete(oldest)
    this.#known.set(key, { secret, until: now() + ttlMs })
    return secret
  }
}
