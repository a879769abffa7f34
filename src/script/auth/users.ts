import type { Secret } from '../../sip/auth/digest.ts'

/** Where users and their secrets are found. Names and realms are binary text. */
export interface Users {
  /** Null: there is no such user. Rejects with `UsersUnavailable` when that cannot be told now. */
  find(user: string, realm: string): Promise<Secret | null>
}

/** Who knows the users did not answer, or not so that it can be understood. Nobody's password was wrong. */
export class UsersUnavailable extends Error {}

/** Those of siphon.yaml. */
export function staticUsers(list: readonly (readonly [string, Secret])[]): Users {
  const users = new Map(list)
  return { find: (user) => Promise.resolve(users.get(user) ?? null) }
}
