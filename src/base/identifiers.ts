import { randomBytes } from 'node:crypto'

/** The only source of chance. Tests inject counting ones. */
export interface Identifiers {
  /** A Via branch, unique in space and time, with the magic cookie of RFC 3261 §8.1.1.7. */
  branch(): string
  /** A From or To tag with at least 32 bits of randomness (§19.3). */
  tag(): string
  /** A Call-ID, unguessable (§8.1.1.4). */
  callId(): string
  /** A record identifier: unique over nodes and restarts. */
  recordId(): string
}

const POOL_BYTES = 4096

/** Draws from the kernel in blocks, because one draw for each tag costs more than the rest of a response. */
export function randomIdentifiers(): Identifiers {
  let pool = ''
  let at = 0
  const hex = (digits: number): string => {
    if (at + digits > pool.length) {
      pool = randomBytes(POOL_BYTES).toString('hex')
      at = 0
    }
    at += digits
    return pool.slice(at - digits, at)
  }
  // Unique by the counter, over restarts and nodes by the 64-bit prefix.
  const instance = randomBytes(8).toString('hex')
  let count = 0
  const next = (): string => (count++).toString(36)
  return {
    branch: () => `z9hG4bK${instance}${next()}`,
    tag: () => hex(12),
    callId: () => hex(24),
    recordId: () => `${instance}-${next()}-${hex(8)}`,
  }
}
