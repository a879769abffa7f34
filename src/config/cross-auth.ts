import type { Blocks } from './schema.ts'
import { checked, type CrossFault, validEntries } from './valid.ts'

/** What `auth` cannot tell key by key. */
export function authFaults({ auth, domain }: Partial<Blocks>): CrossFault[] {
  if (auth === undefined) return []
  const fault = (path: readonly string[], what: string, instead: string): CrossFault => ({
    path: ['auth', ...path],
    what,
    instead,
  })
  const named = (key: 'algorithms' | 'qop') => (): CrossFault | null => {
    if (auth[key].length === 0) return fault([key], 'is empty', 'name one at least, or take it out')
    const values = validEntries<string>(auth[key]).map(({ is }) => is)
    return new Set(values).size < values.length
      ? fault([key], 'names one twice', 'keep one of the two')
      : null
  }
  return checked(
    () =>
      auth.backend === 'http' && auth.http === null
        ? fault(['backend'], 'is http, and there is no auth.http', 'write auth.http with its url')
        : null,
    () =>
      auth.backend === 'http' && auth.users.length > 0
        ? fault(['users'], 'has no use with backend http', 'write auth.backend: static, or take it out')
        : null,
    () => {
      const known = auth.backend === 'http' || auth.users.length > 0
      if (!known || auth.realm !== null || domain === undefined || domain.local.length > 0) return null
      return fault(
        [],
        'has no realm, and there is no domain to take it from',
        'write auth.realm or domain.local',
      )
    },
    named('algorithms'),
    named('qop'),
    () => {
      const offered = auth.algorithms.map((name) => name.replace('-sess', ''))
      return auth.users.flatMap(([user, secret]) => {
        if ('password' in secret) return []
        const missing = offered.find((name) => !Object.hasOwn(secret.ha1, name))
        if (missing === undefined) return []
        const has = Object.keys(secret.ha1).join(', ')
        const instead = `add it, or write auth.algorithms: [${has}]`
        return fault(['users', user], `has no ha1 for ${missing}, which is offered`, instead)
      })
    },
  )
}
