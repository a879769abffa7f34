/** The environment, or a part of it. */
export type Environment = Readonly<Record<string, string | undefined>>

export type Expanded =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly what: string; readonly instead: string }

const NAME = /^[A-Za-z_][A-Za-z0-9_]*/

/**
 * Replaces `${VAR}`, `${VAR:-default}` (unset or empty), `${VAR:?message}` and `$$` (a dollar sign) in one scalar.
 * A default may hold further variables. Any other `$` stays as it is. What comes out of the environment is not read again.
 */
export function expand(text: string, env: Environment): Expanded {
  if (!text.includes('$')) return { ok: true, text }
  let out = ''
  let at = 0
  for (;;) {
    const dollar = text.indexOf('$', at)
    if (dollar < 0) return { ok: true, text: out + text.slice(at) }
    out += text.slice(at, dollar)
    const next = text[dollar + 1]
    if (next === '$') {
      out += '$'
      at = dollar + 2
      continue
    }
    if (next !== '{') {
      out += '$'
      at = dollar + 1
      continue
    }
    const end = closing(text, dollar + 2)
    if (end < 0)
      return { ok: false, what: 'has a ${ without its }', instead: 'write ${NAME}, or $$ for a dollar sign' }
    const value = variable(text.slice(dollar + 2, end), env)
    if (!value.ok) return value
    out += value.text
    at = end + 1
  }
}

/** Where the brace that was opened before `from` is closed, counting those in between; -1 when it is not. */
function closing(text: string, from: number): number {
  let depth = 1
  for (let i = from; i < text.length; i++) {
    if (text[i] === '{' && text[i - 1] === '$') depth++
    else if (text[i] === '}' && --depth === 0) return i
  }
  return -1
}

function variable(inside: string, env: Environment): Expanded {
  const name = NAME.exec(inside)?.[0]
  if (name === undefined) {
    return {
      ok: false,
      what: 'has no variable name inside ${ }',
      instead: 'write ${NAME}, or $$ for a dollar sign',
    }
  }
  const rest = inside.slice(name.length)
  const value = Object.hasOwn(env, name) ? env[name] : undefined
  if (rest === '') {
    if (value !== undefined) return { ok: true, text: value }
    return {
      ok: false,
      what: `needs the environment variable ${name}, which is not set`,
      instead: `set it, or write \${${name}:-default}`,
    }
  }
  if (rest.startsWith(':-')) {
    return value !== undefined && value !== '' ? { ok: true, text: value } : expand(rest.slice(2), env)
  }
  if (rest.startsWith(':?')) {
    if (value !== undefined && value !== '') return { ok: true, text: value }
    const message = rest.slice(2).trim()
    return {
      ok: false,
      what: `needs the environment variable ${name}: ${message === '' ? 'it is not set' : message}`,
      instead: `set ${name}`,
    }
  }
  return {
    ok: false,
    what: `has something after ${name} that is neither :- nor :?`,
    instead: `write \${${name}}, \${${name}:-default} or \${${name}:?message}`,
  }
}
