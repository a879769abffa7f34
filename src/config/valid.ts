import { z } from 'zod'
import type { KeyPath } from './fault.ts'

/** What no key can tell alone. */
export interface CrossFault {
  readonly path: KeyPath
  readonly what: string
  readonly instead: string
}

/** A check has met a value that is itself at fault: there is nothing it could say. */
class NotValid extends Error {}

type Owner = Record<string | number, unknown>

/**
 * Makes the values at these paths throw when they are read, so that what is said between keys is said of valid ones alone.
 * @param block as parsed; it is changed
 */
export function withoutInvalid<T extends object>(block: T, paths: readonly KeyPath[]): T {
  for (const path of paths) {
    let owner = block as Owner
    for (const [i, step] of path.entries()) {
      const next = i + 1 === path.length ? undefined : peek(owner, step)
      const within = path[i + 1]
      // An entry that is no map or list, and a name that is no place in a list: what holds it is at fault as a whole.
      if (!isOwner(next) || (Array.isArray(next) && typeof within !== 'number')) {
        forbid(owner, step)
        break
      }
      owner = next
    }
  }
  return block
}

function isOwner(value: unknown): value is Owner {
  return typeof value === 'object' && value !== null && value !== z.NEVER
}

function peek(owner: Owner, step: string | number): unknown {
  return Object.getOwnPropertyDescriptor(owner, step)?.value
}

function forbid(owner: Owner, step: string | number): void {
  Object.defineProperty(owner, step, {
    enumerable: true,
    configurable: true,
    get: () => {
      throw new NotValid()
    },
  })
}

/** What `read` says; `otherwise` where it looks at a value that is not valid. */
export function valid<T>(read: () => T, otherwise: T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof NotValid) return otherwise
    throw error
  }
}

/** The entries of a list that are valid, or valid as far as `read` looks into them, with their places. */
export function validEntries<T, R = T>(
  list: readonly T[],
  read: (entry: T) => R = (entry) => entry as unknown as R,
): { readonly at: number; readonly is: R }[] {
  return Array.from(list.keys()).flatMap((at) =>
    valid(() => [{ at, is: read(list[at] as T) }], [] as { at: number; is: R }[]),
  )
}

/** Every check that looks at valid values alone. */
export function checked(
  ...checks: readonly (() => CrossFault | readonly CrossFault[] | null)[]
): CrossFault[] {
  return checks.flatMap((check) => valid(check, null) ?? [])
}
