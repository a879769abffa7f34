import { sameSecret } from './digest.ts'

/** A genuine nonce that is not too old. */
export interface Nonce {
  /** What tells it from every other: time and chance. */
  readonly id: string
  /** ms on the clock of `now`. */
  readonly issuedAt: number
}

const TIME_DIGITS = 12
const CHANCE_DIGITS = 16
const TAG_DIGITS = 32
/** Clocks of nodes that share a key may differ by this, ms. */
const SKEW_MS = 60_000
const ID_DIGITS = TIME_DIGITS + CHANCE_DIGITS

/**
 * Nonces that need no memory to be known again (RFC 7616 §5.4): time in ms, chance, and a keyed hash over both and the realm, in
 * hexadecimal. Chance, so that two phones never share one and each has its own count.
 */
export class NonceMint {
  readonly #hmac: (text: string) => string
  readonly #ttlMs: number

  /** @param hmac keyed hash in hexadecimal, 128 bits or more */
  constructor(hmac: (text: string) => string, ttlMs: number) {
    this.#hmac = hmac
    this.#ttlMs = ttlMs
  }

  get ttlMs(): number {
    return this.#ttlMs
  }

  /** @param chance 16 hexadecimal digits nobody can foretell */
  make(realm: string, now: number, chance: string): string {
    const id = Math.floor(now).toString(16).padStart(TIME_DIGITS, '0') + chance
    return id + this.#tag(id, realm)
  }

  read(nonce: string, realm: string, now: number): Nonce | 'forged' | 'stale' {
    if (nonce.length !== ID_DIGITS + TAG_DIGITS) return 'forged'
    const id = nonce.slice(0, ID_DIGITS)
    if (!sameSecret(nonce.slice(ID_DIGITS), this.#tag(id, realm))) return 'forged'
    const issuedAt = Number.parseInt(id.slice(0, TIME_DIGITS), 16)
    const age = now - issuedAt
    return age >= this.#ttlMs || age < -SKEW_MS ? 'stale' : { id, issuedAt }
  }

  #tag(id: string, realm: string): string {
    return this.#hmac(`${id}:${realm}`).slice(0, TAG_DIGITS)
  }
}
