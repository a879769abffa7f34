import type { CrossFault } from './cross.ts'
import type { Blocks } from './schema.ts'

/** What `auth` cannot tell key by key. */
export function authFaults({ auth, domain }: Partial<Blocks>): CrossFault[] {
  if (auth === undefined) return []
  const faults: CrossFault[] = []
  const fault = (path: readonly string[], what: string, instead: string): void =>
    void faults.push({ path: ['auth', ...path], what, instead })
  if (auth.backend === 'http' && auth.http === null) {
    fault(['backend'], 'is http, and there is no auth.http', 'write auth.http with its url')
  }
  if (auth.backend === 'http' && auth.users.length > 0) {
    fault(['users'], 'has no use with backend http', 'write auth.backend: static, or take it out')
  }
  const known = auth.users.length > 0 || auth.backend === 'http'
  if (known && auth.realm === null && domain !== undefined && domain.local.length === 0) {
    fault([], 'has no realm, and there is no domain to take it from', 'write auth.realm or domain.local')
  }
  for (const key of ['algorithms', 'qop'] as const) {
    const values: readonly string[] = auth[key]
    if (values.length === 0) fault([key], 'is empty', 'name one at least, or take it out')
    if (new Set(values).size < values.length) fault([key], 'names one twice', 'keep one of the two')
  }
  for (const [user, secret] of auth.users) {
    if ('password' in secret) continue
    const missing = auth.algorithms
      .map((name) => name.replace('-sess', ''))
      .find((name) => !Object.hasOwn(secret.ha1, name))
    if (missing === undefined) continue
    const has = Object.keys(secret.ha1).join(', ')
    fault(
      ['users', user],
      `has no ha1 for ${missing}, which is offered`,
      `add it, or write auth.algorithms: [${has}]`,
    )
  }
  return faults
}
