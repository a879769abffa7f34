import { show } from './checks.ts'
import { ScriptCall } from './call.ts'
import { ScriptRequest } from './request.ts'
import { ScriptError } from './script-error.ts'

export const cdr = {
  /**
   * Asks for a record of the call that `request` starts, or of a `b2bua` call, made when the call ends, with `extra` under its own key.
   * Several calls add up. With `cdr.auto_emit` every call has a record; this only adds fields.
   * @throws ScriptError when `extra` is not JSON: nothing is dropped silently
   */
  write(
    request: ScriptRequest | Pick<ScriptCall, 'addToRecord'>,
    options: { readonly extra?: Readonly<Record<string, unknown>> } = {},
  ): void {
    if (!(request instanceof ScriptRequest) && !(request instanceof ScriptCall))
      throw new ScriptError('cdr.write needs the request or the call of the handler')
    const extra: unknown = options.extra ?? {}
    if (typeof extra !== 'object' || extra === null || Array.isArray(extra)) {
      throw new ScriptError(`cdr.write: extra is ${show(extra)}, not an object`)
    }
    checkJson(extra, 'extra', [])
    const json: string | undefined = JSON.stringify(extra)
    if (!json?.startsWith('{')) throw new ScriptError('cdr.write: extra.toJSON() gives no object')
    request.addToRecord(json)
  },
}

/** JSON.stringify drops or bends what it cannot say; a record must not. */
function checkJson(value: unknown, path: string, above: readonly object[]): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return
    case 'number':
      if (!Number.isFinite(value))
        throw new ScriptError(`cdr.write: ${path} is ${value}, which JSON cannot say`)
      return
    case 'bigint':
      throw new ScriptError(`cdr.write: ${path} is a BigInt, which JSON cannot say; use String()`)
    case 'undefined':
      throw new ScriptError(`cdr.write: ${path} is undefined; use null or leave it out`)
    case 'function':
    case 'symbol':
      throw new ScriptError(`cdr.write: ${path} is a ${typeof value}, which JSON cannot say`)
    case 'object':
      if (value !== null) checkObject(value, path, above)
  }
}

function checkObject(value: object, path: string, above: readonly object[]): void {
  if (above.includes(value)) throw new ScriptError(`cdr.write: ${path} refers back to itself`)
  const chain = [...above, value]
  if (chain.length > 32) throw new ScriptError(`cdr.write: ${path} is nested deeper than 32`)
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) checkJson(item, `${path}[${i}]`, chain)
    return
  }
  if ('toJSON' in value) return
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) {
    throw new ScriptError(`cdr.write: ${path} is not a plain object; JSON would lose what it holds`)
  }
  for (const [key, item] of Object.entries(value)) checkJson(item, `${path}.${key}`, chain)
}
