import type { DigestAlgorithm } from '../../sip/auth/algorithm.ts'
import type { Qop, Secret } from '../../sip/auth/digest.ts'

/** What `auth` of siphon.yaml says, for handler threads. Plain data; texts are binary text. */
export interface AuthSettings {
  /** Null: nobody named one. */
  readonly realm: string | null
  /** Hosts whose users are ours, lower case. */
  readonly domains: readonly string[]
  /** Most preferred first. */
  readonly algorithms: readonly DigestAlgorithm[]
  readonly qop: readonly Qop[]
  readonly nonceTtlMs: number
  /** Equal in all threads; in all nodes when the file names it. */
  readonly nonceKey: string
  /** Wall-clock time when the server started, less `processTime` then: the clock of nonces, which nobody can set back. */
  readonly nonceEpochMs: number
  /** Who is known when nobody else is asked. */
  readonly users: readonly (readonly [user: string, secret: Secret])[]
  readonly http: HttpUsersSettings | null
}

export interface HttpUsersSettings {
  /** With `{username}` and maybe `{realm}`. */
  readonly url: string
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
  /** The answer is not the password but its hash with user and realm. */
  readonly ha1: boolean
  /** 0: no cache. */
  readonly cacheTtlMs: number
  /** The whole value of the Authorization field. */
  readonly authHeader: string | null
}
