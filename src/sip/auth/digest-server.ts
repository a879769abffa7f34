import { type DigestAlgorithm, type Hash, hashDigits, hashOf, readAlgorithm } from './algorithm.ts'
import { digestResponse, hashA1, type Qop, sameSecret, type Secret } from './digest.ts'
import { digestUriFits } from './digest-uri.ts'
import { type DigestFields, formatDigest, parseDigestFields } from './fields.ts'
import type { Nonce, NonceMint } from './nonce.ts'

/** Digest as a server does it: RFC 3261 §22 with RFC 7616 and RFC 8760. Knows no users and no clock. */

export interface ChallengeOptions {
  readonly realm: string
  readonly nonce: string
  /** Most preferred first: a field each, all with the same nonce (RFC 8760 §2.3). */
  readonly algorithms: readonly DigestAlgorithm[]
  readonly qop: readonly Qop[]
  /** The client's nonce was good once: it can go on without asking its user. */
  readonly stale: boolean
}

/** Values of WWW-Authenticate or Proxy-Authenticate fields, one for each algorithm, in order. */
export function challenges({ realm, nonce, algorithms, qop, stale }: ChallengeOptions): string[] {
  return algorithms.map((algorithm) =>
    formatDigest({ realm, nonce, algorithm, qop: qop.join(','), stale: stale ? 'true' : undefined }, [
      'algorithm',
      'stale',
    ]),
  )
}

/** What a client claims, well-formed and for a nonce of ours, but not looked at further. */
export interface Claim {
  readonly user: string
  /** With escapes as sent, where that is another text. */
  readonly rawUser: string
  readonly realm: string
  readonly nonce: Nonce
  readonly nonceText: string
  readonly algorithm: DigestAlgorithm
  readonly qop: Qop | null
  readonly nc: string
  readonly cnonce: string
  readonly uri: string
  /** Lower case. */
  readonly response: string
}

export interface ClaimOptions {
  readonly realm: string
  readonly algorithms: readonly DigestAlgorithm[]
  readonly mint: NonceMint
  readonly now: number
  /** The Request-URI as received. */
  readonly requestUri: string
  /** Whether a host, in lower case, is a domain of ours. */
  readonly isOurs?: (host: string) => boolean
}

export type Claimed =
  | { readonly ok: true; readonly claim: Claim }
  /** Ask, or ask again. */
  | { readonly ok: false; readonly reason: 'none' | 'wrong' | 'forged_nonce' | 'stale' }
  /** Answer 400: what cannot be right whatever the password is. */
  | { readonly ok: false; readonly reason: 'malformed' }

/**
 * Reads what a request claims for one realm out of all its Authorization (or Proxy-Authorization) fields.
 * Says the same for every user name: no user has been looked up yet.
 */
export function readClaim(fields: readonly string[], options: ClaimOptions): Claimed {
  let found: DigestFields | null = null
  for (const field of fields) {
    const parsed = parseDigestFields(field)
    if (!parsed.ok) return refused('malformed')
    for (const digest of parsed.value) {
      if (digest.get('realm') !== options.realm) continue
      // Two for one realm: who is to say which of them another element looks at?
      if (found !== null) return refused('malformed')
      found = digest
    }
  }
  return found === null ? refused('none') : claimOf(found, options)
}

function claimOf(fields: DigestFields, options: ClaimOptions): Claimed {
  const { realm, algorithms, mint, now, requestUri, isOurs } = options
  const user = fields.get('username')
  const nonceText = fields.get('nonce')
  const uri = fields.get('uri')
  const response = fields.get('response')?.toLowerCase()
  if (user === undefined || nonceText === undefined || uri === undefined || response === undefined) {
    return refused('malformed')
  }
  const algorithm = readAlgorithm(fields.get('algorithm'))
  // One that was not offered. Whoever chooses it may have been made to.
  if (algorithm === null || !algorithms.includes(algorithm)) return refused('wrong')
  const qop = fields.get('qop')?.toLowerCase() ?? null
  const nc = fields.get('nc') ?? ''
  const cnonce = fields.get('cnonce')
  if (qop !== null && (!isQop(qop) || !/^[0-9a-f]{8}$/i.test(nc) || cnonce === undefined)) {
    return refused('malformed')
  }
  if (algorithm !== hashOf(algorithm) && cnonce === undefined) return refused('malformed')
  if (!digestUriFits(uri, requestUri, isOurs)) return refused('malformed')
  const nonce = mint.read(nonceText, realm, now)
  if (nonce === 'forged') return refused('forged_nonce')
  if (nonce === 'stale') return refused('stale')
  if (response.length !== hashDigits(hashOf(algorithm)) || !/^[0-9a-f]+$/.test(response))
    return refused('wrong')
  const rawUser = fields.raw('username') ?? user
  const claim = { user, rawUser, realm, nonce, nonceText, algorithm, nc, uri, response }
  return { ok: true, claim: { ...claim, qop: qop as Qop | null, cnonce: cnonce ?? '' } }
}

function refused(reason: 'none' | 'wrong' | 'forged_nonce' | 'stale' | 'malformed'): Claimed {
  return { ok: false, reason }
}

function isQop(text: string): text is Qop {
  return text === 'auth' || text === 'auth-int'
}

/** The count of a claim; 1 for a client that does not count, which therefore can use a nonce once. */
export function countOf({ qop, nc }: Claim): number {
  return qop === null ? 1 : Number.parseInt(nc, 16)
}

/** Stands for the secret of a user that does not exist. */
const NOBODY: Secret = { password: '' }

/**
 * Whether the claim's response was made with the secret. Without a secret (no such user) it is not, after the same work:
 * who measures learns nothing.
 */
export function proves(
  hash: Hash,
  claim: Claim,
  secret: Secret | null,
  request: { readonly method: string; readonly body: string },
): boolean {
  const known = secret ?? NOBODY
  const name = hashOf(claim.algorithm)
  const password = 'password' in known ? known.password : ''
  const computed = hashA1(hash, name, claim.user, claim.realm, password)
  const kept = 'ha1' in known ? (known.ha1[name] ?? '') : null
  let right = matches(hash, claim, kept ?? computed, request)
  // RFC 2617's unq() can be read either way: some hash the name with its escapes.
  if (claim.rawUser !== claim.user) {
    const raw = hashA1(hash, name, claim.rawUser, claim.realm, password)
    right = matches(hash, claim, kept ?? raw, request) || right
  }
  return right && secret !== null && kept !== ''
}

function matches(hash: Hash, claim: Claim, ha1: string, request: { method: string; body: string }): boolean {
  const { algorithm, qop, nc, cnonce, uri } = claim
  const { method, body } = request
  const made = digestResponse(hash, {
    algorithm,
    ha1,
    nonce: claim.nonceText,
    qop,
    nc,
    cnonce,
    method,
    uri,
    body,
  })
  return sameSecret(made, claim.response)
}
