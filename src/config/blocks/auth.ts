import { z } from 'zod'
import type { DigestAlgorithmName } from '../config.ts'
import { block, list, optionalBlock } from '../block.ts'
import {
  amount,
  choice,
  flag,
  nullable,
  optional,
  printable,
  required,
  seconds,
  text,
  type Kind,
} from '../scalars.ts'
import { httpUrl } from '../texts.ts'

const ALGORITHMS = ['MD5', 'SHA-256', 'SHA-512-256', 'MD5-sess', 'SHA-256-sess', 'SHA-512-256-sess'] as const
const DIGITS: Readonly<Record<string, number>> = { MD5: 32, 'SHA-256': 64, 'SHA-512-256': 64 }

/** A user's secret as the file holds it. */
export type UserSecret = { readonly password: string } | { readonly ha1: Readonly<Record<string, string>> }

/** Digest authentication: what is asked for, and who is known. */
export const auth = block('Digest authentication of phones (RFC 3261 §22, RFC 7616, RFC 8760).', {
  realm: nullable(
    text('a realm like example.com', (value) =>
      // oxlint-disable-next-line no-control-regex
      /[\x00-\x1f\x7f]/.test(value) ? ['holds a control character', 'write a realm like example.com'] : null,
    ),
    'What passwords are for. Hashes of passwords depend on it. Default: the first of `domain.local`.',
  ),
  backend: optional(
    choice(['static', 'http']),
    'static',
    'Who knows the users: `static`: `auth.users`; `http`: the service of `auth.http`.',
  ),
  users: optional(
    users(),
    [],
    'User names with their passwords, or with `{ ha1: … }`: H(user:realm:password) in hexadecimal, for MD5, or one for each algorithm by name.',
    null,
  ),
  http: optionalBlock('Backend `http`: one GET a user. 200 with the password, or 404.', {
    url: required(
      userUrl(),
      'Where to ask; `{username}` and `{realm}` stand for what is asked, percent-encoded.',
    ),
    timeout_ms: optional(
      amount(10, 60_000),
      2000,
      'Longest wait for an answer; then the request gets a 503.',
    ),
    connect_timeout_ms: optional(amount(10, 60_000), 500, 'Longest wait for a connection.'),
    ha1: optional(flag(), false, 'A plain answer is not the password but H(user:realm:password).'),
    cache_ttl_secs: optional(
      seconds(0, 86_400),
      0,
      'How long an answer is good, that there is no such user included; 0: ask each time.',
    ),
    auth_header: nullable(
      printable('the value of the Authorization field, like "Bearer …"'),
      'The whole value of the Authorization field.',
    ),
  }),
  algorithms: optional<DigestAlgorithmName[]>(
    list(choice(ALGORITHMS)),
    ['MD5'],
    'Algorithms offered, most preferred first. Many phones know MD5 only, and some give up when another is offered beside it.',
  ),
  qop: optional<('auth' | 'auth-int')[]>(
    list(choice(['auth', 'auth-int'])),
    ['auth'],
    'Offered: `auth-int` protects bodies too, and fails where something on the way rewrites them.',
  ),
  nonce_secret: nullable(
    text('a long random text', (value) =>
      value.length < 16 ? ['is shorter than 16 characters', 'write a long random text'] : null,
    ),
    'Key of the nonces. Nodes behind one address need the same one; absent: a random one each start.',
  ),
  nonce_ttl_secs: optional(seconds(1, 86_400), 3600, 'How long a nonce is good.'),
})

function userUrl(): Kind<string> {
  const write = 'write a URL like https://users.example.com/{username}/password'
  return httpUrl().pipe(
    z.string().transform((value, ctx) => {
      const what = !value.includes('{username}')
        ? 'has no {username}'
        : /\{(?!(?:username|realm)\})/.test(value)
          ? 'has a placeholder that is neither {username} nor {realm}'
          : /^https?:\/\/[^/]*[{@]/i.test(value)
            ? 'has a placeholder or a user in its host'
            : value.includes('#')
              ? 'has a fragment'
              : null
      if (what === null) return value
      ctx.addIssue({ code: 'custom', message: what, params: { instead: write } })
      return z.NEVER
    }),
  )
}

/** Pairs, because a user may have any name, `__proto__` too. */
function users(): Kind<(readonly [user: string, secret: UserSecret])[]> {
  return z
    .unknown()
    .transform((value, ctx) => {
      const fault = (path: (string | number)[], message: string, instead: string): void =>
        ctx.addIssue({ code: 'custom', message, path, params: { instead } })
      if (value === null || value === undefined) return []
      if (!isMap(value)) {
        fault([], 'is not a list of names and passwords', 'write alice: "password", a line each')
        return []
      }
      return Object.entries(value).flatMap(([user, given]): (readonly [string, UserSecret])[] => {
        const secret = readSecret(given, (path, what, instead) => fault([user, ...path], what, instead))
        return secret === null ? [] : [[user, secret]]
      })
    })
    .meta({ type: 'object', additionalProperties: true })
}

function readSecret(
  given: unknown,
  fault: (path: string[], what: string, instead: string) => void,
): UserSecret | null {
  if (typeof given === 'string' && given !== '') return { password: given }
  if (typeof given === 'number' || typeof given === 'boolean')
    fault([], `is a ${typeof given}, not text`, 'put it in quotes')
  else if (!isMap(given)) fault([], 'is no password', 'write the password in quotes, or { ha1: "…" }')
  else if (Object.keys(given).join() !== 'ha1') fault([], 'has other keys than ha1', 'write { ha1: "…" }')
  else {
    const { ha1 } = given
    const entries = Object.entries(isMap(ha1) ? ha1 : { MD5: ha1 })
    const wrong = entries.find(([name, text]) => !isHa1(name, text))
    if (entries.length > 0 && wrong === undefined) {
      return { ha1: Object.fromEntries(entries.map(([name, text]) => [name, String(text).toLowerCase()])) }
    }
    const name = wrong?.[0] ?? 'MD5'
    const path = isMap(ha1) && wrong !== undefined ? ['ha1', name] : ['ha1']
    if (DIGITS[name] === undefined) fault(path, 'is not an algorithm', 'write MD5, SHA-256 or SHA-512-256')
    else fault(path, `is not a hash of ${name}`, `write ${DIGITS[name]} hexadecimal digits in quotes`)
  }
  return null
}

function isHa1(name: string, text: unknown): boolean {
  return typeof text === 'string' && /^[0-9a-f]+$/i.test(text) && text.length === DIGITS[name]
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
