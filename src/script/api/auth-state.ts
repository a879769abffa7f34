import type { Path } from '../../base/address.ts'
import {
  type DigestAlgorithm,
  type HashName,
  hashDigits,
  hashOf,
  readAlgorithm,
} from '../../sip/auth/algorithm.ts'
import type { Secret } from '../../sip/auth/digest.ts'
import { Authenticator, type Question, type Used } from '../auth/authenticator.ts'
import { HttpUsers } from '../auth/http-users.ts'
import type { AuthSettings } from '../auth/settings.ts'
import { UserCache } from '../auth/user-cache.ts'
import { staticUsers, type Users } from '../auth/users.ts'
import { show } from './checks.ts'
import { log } from './log.ts'
import { ScriptError } from './script-error.ts'
import { services } from './services.ts'
import { decodeText, encodeText } from './text.ts'

type Given<T> = T | ((user: string) => T | undefined | Promise<T | undefined>)

/** Where the script, not the configuration, says what is asked and who is known. */
export interface DigestOptions {
  /** `auth.realm` unless told. */
  readonly realm?: string
  /** Offered, most preferred first; `auth.algorithms` unless told. */
  readonly algorithms?: readonly DigestAlgorithm[]
  /** The password of the user who is asking; or a function that is told the user and gives it, undefined for nobody. */
  readonly password?: Given<string>
  /** Instead: H(user:realm:password) in hexadecimal, of the first algorithm that is offered; or one for each, by name. */
  readonly ha1?: Given<string | Readonly<Partial<Record<HashName, string>>>>
}

interface State {
  readonly settings: AuthSettings
  readonly authenticator: Authenticator
  /** Those of the configuration; null when it has none. */
  readonly users: Users | null
}

const USED: readonly Used[] = ['fresh', 'replayed', 'stale']
/** At most one line about a failing backend in so long, ms. */
const QUIET_MS = 10_000

let state: State | null = null

/** What this thread needs to authenticate, made when first asked for. */
export function authState(): State {
  return (state ??= makeState())
}

function makeState(): State {
  const { settings, call, tell } = services()
  const { auth } = settings
  if (auth === undefined) throw new ScriptError('auth: this server was started without settings for it')
  const authenticator = new Authenticator(auth, {
    use: async ({ id, issuedAt }, count, expiresAt, now, path) => {
      const answer = await call('auth.use', id, count, issuedAt, expiresAt, now, ...pathItems(path))
      return USED[answer.number()] ?? 'stale'
    },
    failed: (reason, path) => tell('auth.failed', reason, ...pathItems(path)),
  })
  return { settings: auth, authenticator, users: configured(auth) }
}

function configured({ users, http }: AuthSettings): Users | null {
  if (http === null) return users.length === 0 ? null : staticUsers(users)
  const { tell } = services()
  let quietUntil = 0
  const backend = new HttpUsers(http, (outcome, why) => {
    tell('auth.asked', outcome)
    if (why === null || performance.now() < quietUntil) return
    quietUntil = performance.now() + QUIET_MS
    log.warn(`auth.http: the users' backend cannot tell: ${why}`)
  })
  const onHit = (): void => tell('auth.asked', 'cached')
  return new UserCache(backend, { ttlMs: http.cacheTtlMs, now: () => performance.now(), onHit })
}

function pathItems({ protocol, local, remote }: Path): [string, string, number, string, number] {
  return [protocol, local.host, local.port, remote.host, remote.port]
}

/** @throws ScriptError when there is no realm or there are no users, and for algorithms that nobody knows */
export function question(options: DigestOptions): Question {
  const { settings, users } = authState()
  const algorithms = options.algorithms === undefined ? settings.algorithms : checked(options.algorithms)
  const realm = options.realm === undefined ? settings.realm : encodeText(realmText(options.realm))
  if (realm === null) throw new ScriptError('auth: there is no realm: write auth.realm, or pass { realm }')
  const given = ownUsers(options, algorithms) ?? users
  if (given === null)
    throw new ScriptError('auth: there are no users: write auth.users, or pass { password }')
  return { realm, algorithms, users: given }
}

function realmText(realm: unknown): string {
  // oxlint-disable-next-line no-control-regex
  if (typeof realm === 'string' && realm !== '' && !/[\x00-\x1f\x7f]/.test(realm)) return realm
  throw new ScriptError(`auth: ${show(realm)} is not a realm: one line of text`)
}

function checked(algorithms: readonly string[]): readonly DigestAlgorithm[] {
  const known = algorithms.map((name) => readAlgorithm(name))
  const at = known.indexOf(null)
  if (at >= 0 || known.length === 0) {
    throw new ScriptError(`auth: ${show(algorithms[at])} is not an algorithm: MD5, SHA-256 or SHA-512-256`)
  }
  return known.filter((name) => name !== null)
}

function ownUsers({ password, ha1 }: DigestOptions, algorithms: readonly DigestAlgorithm[]): Users | null {
  if (password !== undefined && ha1 !== undefined)
    throw new ScriptError('auth: give password or ha1, not both')
  if (password !== undefined) return { find: async (user) => passwordOf(await of(password, user)) }
  if (ha1 === undefined) return null
  const [first] = algorithms
  const name = first === undefined ? 'MD5' : hashOf(first)
  return { find: async (user) => ha1Of(await of(ha1, user), name) }
}

function of<T>(given: Given<T>, user: string): T | undefined | Promise<T | undefined> {
  return typeof given === 'function' ? (given as (name: string) => T)(decodeText(user)) : given
}

function passwordOf(password: unknown): Secret | null {
  if (password === undefined || password === null) return null
  if (typeof password === 'string') return { password: encodeText(password) }
  throw new ScriptError(`auth: a password is ${typeof password}, not text`)
}

function ha1Of(
  given: string | Readonly<Partial<Record<HashName, string>>> | undefined,
  name: HashName,
): Secret | null {
  if (given === undefined || given === null) return null
  const ha1 = typeof given === 'string' ? { [name]: given } : given
  const lower: Partial<Record<HashName, string>> = {}
  for (const [key, text] of Object.entries(ha1)) {
    const hash = key as HashName
    if (!/^[0-9a-f]+$/i.test(text) || text.length !== hashDigits(hash)) {
      throw new ScriptError(`auth: an ha1 for ${key} is not ${hashDigits(hash)} hexadecimal digits`)
    }
    lower[hash] = text.toLowerCase()
  }
  return { ha1: lower }
}
