import { headerName, headerValue } from './checks.ts'
import { ScriptError } from './script-error.ts'

/** Header fields as a script gives them: one value, or several of the same name. */
export type GivenFields = Readonly<Record<string, string | number | readonly string[]>>

/**
 * @internal
 * @param allowed throws for what a script must not write
 * @returns name and value of each field, in order; binary text
 */
export function givenFields(
  given: GivenFields = {},
  allowed: (name: string, value: string) => void,
): [string, string][] {
  const fields: [string, string][] = []
  for (const [key, values] of Object.entries(given)) {
    const name = headerName(key)
    for (const one of [values].flat()) {
      const value = headerValue(name, one)
      allowed(name, value)
      fields.push([name, value])
    }
  }
  return fields
}

/** @internal Those of a response. @see givenFields */
export function replyFields(
  given: GivenFields | undefined,
  allowed: (name: string) => void,
): [string, string][] {
  return givenFields(given, (name) => {
    if (/^(from|to|f|t)$/i.test(name))
      throw new ScriptError(`${name} of a response is the request's (§8.2.6.2)`)
    allowed(name)
  })
}
