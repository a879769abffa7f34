import { type DigestAlgorithm, type Hash, type HashName, hashOf, isSession } from './algorithm.ts'

export type Qop = 'auth' | 'auth-int'

/** What proves that a user knows the password: itself, or its hash with user and realm for each algorithm. Binary text. */
export type Secret =
  | { readonly password: string }
  | { readonly ha1: Readonly<Partial<Record<HashName, string>>> }

/** H(A1) before any session: `H(user:realm:password)` (RFC 7616 §3.4.2). */
export function hashA1(hash: Hash, name: HashName, user: string, realm: string, password: string): string {
  return hash(name, `${user}:${realm}:${password}`)
}

export interface DigestInput {
  readonly algorithm: DigestAlgorithm
  /** As `hashA1` gives it, or as it is kept. */
  readonly ha1: string
  readonly nonce: string
  /** Null: a client that knows RFC 2069 only. */
  readonly qop: Qop | null
  /** Eight hexadecimal digits, as sent. */
  readonly nc: string
  readonly cnonce: string
  readonly method: string
  readonly uri: string
  /** For auth-int. */
  readonly body: string
}

/** The `response` of RFC 7616 §3.4.1; without qop, of RFC 2069. */
export function digestResponse(hash: Hash, input: DigestInput): string {
  const { algorithm, nonce, qop, nc, cnonce, method, uri } = input
  const name = hashOf(algorithm)
  const ha1 = isSession(algorithm) ? hash(name, `${input.ha1}:${nonce}:${cnonce}`) : input.ha1
  const a2 = qop === 'auth-int' ? `${method}:${uri}:${hash(name, input.body)}` : `${method}:${uri}`
  const ha2 = hash(name, a2)
  return hash(name, qop === null ? `${ha1}:${nonce}:${ha2}` : `${ha1}:${nonce}:${nc}:${cnonce}:${qop}:${ha2}`)
}

/** Whether two texts are equal, in a time that depends on their lengths alone. */
export function sameSecret(a: string, b: string): boolean {
  let difference = a.length ^ b.length
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i % Math.max(1, b.length))
  return difference === 0
}
