import { digestHash, keyedHash, randomHex } from '../../base/digest-hash.ts'
import { processTime } from '../../base/clock.ts'
import type { DigestAlgorithm } from '../../sip/auth/algorithm.ts'
import type { Secret } from '../../sip/auth/digest.ts'
import { challenges, type Claim, countOf, proves, readClaim } from '../../sip/auth/digest-server.ts'
import { NonceMint } from '../../sip/auth/nonce.ts'
import type { CredentialFailure } from '../../spine/facts.ts'
import type { Received } from '../api/inbound-view.ts'
import type { AuthSettings } from './settings.ts'
import { type Users, UsersUnavailable } from './users.ts'

/** Where credentials stand, and how they are asked for (RFC 3261 §22.2, §22.3). */
export const KINDS = {
  user: { status: 401, asks: 'WWW-Authenticate', answers: 'Authorization' },
  proxy: { status: 407, asks: 'Proxy-Authenticate', answers: 'Proxy-Authorization' },
} as const
export type Kind = keyof typeof KINDS

/** What the engine thread knows and is told. */
export interface EnginePort {
  /** Uses a count of a nonce. One round trip, and the only one. */
  use(
    nonce: Claim['nonce'],
    count: number,
    expiresAt: number,
    now: number,
    path: Received['path'],
  ): Promise<Used>
  failed(reason: CredentialFailure, path: Received['path']): void
}
export type Used = 'fresh' | 'replayed' | 'stale'

export interface Question {
  readonly realm: string
  readonly algorithms: readonly DigestAlgorithm[]
  readonly users: Users
}

export type Answer =
  | { readonly ok: true; readonly user: string }
  | { readonly ok: false; readonly reason: CredentialFailure | 'unavailable' }

/** Decides who sent a request, in a handler thread: of the engine it only asks whether a nonce's count is new. */
export class Authenticator {
  readonly #settings: AuthSettings
  readonly #mint: NonceMint
  readonly #engine: EnginePort

  constructor(settings: AuthSettings, engine: EnginePort) {
    this.#settings = settings
    this.#mint = new NonceMint(keyedHash(settings.nonceKey), settings.nonceTtlMs)
    this.#engine = engine
  }

  /** The fields that ask for credentials. */
  challenge({ realm, algorithms }: Question, kind: Kind, stale: boolean): [name: string, value: string][] {
    const nonce = this.#mint.make(realm, this.#now(), randomHex(16))
    const values = challenges({ realm, nonce, algorithms, qop: this.#settings.qop, stale })
    return values.map((value) => [KINDS[kind].asks, value])
  }

  async answer(request: Received, question: Question, kind: Kind): Promise<Answer> {
    const { path } = request
    const fields = request.headers.all(KINDS[kind].answers.toLowerCase())
    const { realm, algorithms, users } = question
    const now = this.#now()
    const claimed = readClaim(fields, {
      realm,
      algorithms,
      mint: this.#mint,
      now,
      requestUri: request.uri,
      isOurs: (host) => this.#settings.domains.includes(host),
    })
    if (!claimed.ok) return this.#refuse(claimed.reason, path)
    const { claim } = claimed
    let secret: Secret | null
    try {
      secret = await users.find(claim.user, realm)
    } catch (error) {
      if (error instanceof UsersUnavailable) return { ok: false, reason: 'unavailable' }
      throw error
    }
    if (!proves(digestHash, claim, secret, request)) {
      return this.#refuse(secret === null ? 'unknown_user' : 'wrong', path)
    }
    const { nonce } = claim
    const used = await this.#engine.use(nonce, countOf(claim), nonce.issuedAt + this.#mint.ttlMs, now, path)
    return used === 'fresh' ? { ok: true, user: claim.user } : { ok: false, reason: used }
  }

  #refuse(reason: CredentialFailure, path: Received['path']): Answer {
    this.#engine.failed(reason, path)
    return { ok: false, reason }
  }

  #now(): number {
    return this.#settings.nonceEpochMs + processTime()
  }
}
