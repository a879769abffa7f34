/** A hash of binary text in lower-case hexadecimal. Given from outside: nothing in here computes one itself. */
export type Hash = (name: HashName, text: string) => string

/** Weakest first. */
export const HASH_NAMES = ['MD5', 'SHA-256', 'SHA-512-256'] as const
export type HashName = (typeof HASH_NAMES)[number]

/** What may stand in `algorithm` (RFC 7616 §3.3, RFC 8760 §2.1). `-sess` binds the secret to the first nonce. */
export type DigestAlgorithm = HashName | `${HashName}-sess`

export const ALGORITHMS: readonly DigestAlgorithm[] = HASH_NAMES.flatMap(
  (name) => [name, `${name}-sess`] as const,
)

const byLower = new Map(ALGORITHMS.map((name) => [name.toLowerCase(), name]))

/** An algorithm as a peer wrote it, in any case; MD5 when it wrote none (RFC 2617 §3.2.1). Null: one that nobody knows. */
export function readAlgorithm(text: string | undefined): DigestAlgorithm | null {
  return text === undefined ? 'MD5' : (byLower.get(text.toLowerCase()) ?? null)
}

export function isSession(algorithm: DigestAlgorithm): boolean {
  return algorithm.endsWith('-sess')
}

export function hashOf(algorithm: DigestAlgorithm): HashName {
  return algorithm.replace('-sess', '') as HashName
}

/** Hexadecimal digits of what the hash gives. */
export function hashDigits(name: HashName): number {
  return name === 'MD5' ? 32 : 64
}
