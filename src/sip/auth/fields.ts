import { isToken, skipSpace, TOKEN, VALUE, isA, isSpace, afterQuoted } from '../message/characters.ts'
import { malformed, type Parsed } from '../message/fault.ts'

/** One Digest challenge or one set of Digest credentials: the parameters of a WWW-Authenticate, Authorization … field. */
export class DigestFields {
  readonly #values = new Map<string, string>()
  readonly #raw = new Map<string, string>()

  /** The value without quotes and escapes; undefined when there is none of this name (lower case). */
  get(name: string): string | undefined {
    return this.#values.get(name)
  }

  /** The value without its quotes, escapes as sent. Some hash this one. */
  raw(name: string): string | undefined {
    return this.#raw.get(name) ?? this.#values.get(name)
  }

  /** False when there is one of this name already. */
  add(name: string, value: string, raw: string): boolean {
    if (this.#values.has(name)) return false
    this.#values.set(name, value)
    if (raw !== value) this.#raw.set(name, raw)
    return true
  }
}

/** Schemes and parameters: more than RFC 7616 knows. It bounds what a field can cost. */
const MAX_PARAMETERS = 40

/**
 * Reads a field value of `1#( auth-scheme 1*SP 1#auth-param )` (RFC 7235 §4.1), in which commas part both lists: every
 * Digest in it, in order. Other schemes are passed over.
 * Wider than the grammar: spaces around '=', empty list elements, unquoted values that hold no separator.
 */
export function parseDigestFields(text: string): Parsed<DigestFields[]> {
  const found: DigestFields[] = []
  let current: DigestFields | null = null
  let foreign = false
  let count = 0
  let at = skipSeparators(text, 0)
  while (at < text.length) {
    const start = at
    while (at < text.length && isA(TOKEN, text.charCodeAt(at))) at++
    const name = text.slice(start, at)
    const after = skipSpace(text, at)
    if (name !== '' && text.charCodeAt(after) !== 0x3d) {
      // A scheme. What follows it is set off by a space.
      if (after < text.length && after === at && text.charCodeAt(at) !== 0x2c) return end(foreign, found, at)
      if (++count > MAX_PARAMETERS) return malformed('too many sets of credentials', at)
      foreign = name.toLowerCase() !== 'digest'
      current = foreign ? null : new DigestFields()
      if (current !== null) found.push(current)
      at = skipSeparators(text, after)
      continue
    }
    if (name === '' || (current === null && !foreign)) return end(foreign, found, at)
    if (++count > MAX_PARAMETERS) return malformed('too many parameters of credentials', at)
    const valueAt = skipSpace(text, after + 1)
    at = valueEnd(text, valueAt)
    if (at < 0) return end(foreign, found, valueAt)
    if (current !== null && !add(current, name.toLowerCase(), text.slice(valueAt, at))) {
      return malformed('a parameter of credentials is given twice', start)
    }
    const next = skipSpace(text, at)
    if (next < text.length && text.charCodeAt(next) !== 0x2c) return end(foreign, found, next)
    at = skipSeparators(text, next)
  }
  return { ok: true, value: found }
}

/** What we cannot read of another scheme is none of our business; of Digest it is a fault. */
function end(foreign: boolean, found: DigestFields[], at: number): Parsed<DigestFields[]> {
  return foreign ? { ok: true, value: found } : malformed('credentials that are no list of parameters', at)
}

function valueEnd(text: string, at: number): number {
  if (text.charCodeAt(at) === 0x22) return afterQuoted(text, at)
  let end = at
  while (end < text.length && isA(VALUE, text.charCodeAt(end))) end++
  return end
}

function add(to: DigestFields, name: string, written: string): boolean {
  if (!written.startsWith('"')) return to.add(name, written, written)
  const raw = written.slice(1, -1)
  return to.add(name, raw.includes('\\') ? raw.replace(/\\(.)/gs, '$1') : raw, raw)
}

function skipSeparators(text: string, at: number): number {
  while (at < text.length && (isSpace(text.charCodeAt(at)) || text.charCodeAt(at) === 0x2c)) at++
  return at
}

/** Whether a field value holds a Digest for one of these realms. */
export function isDigestFor(text: string, realms: ReadonlySet<string>): boolean {
  const parsed = parseDigestFields(text)
  return parsed.ok && parsed.value.some((fields) => realms.has(fields.get('realm') ?? ''))
}

/** A quoted string (RFC 3261 §25.1). */
export function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

/** `Digest a="b", c=d`. What `bare` names is written without quotes when it can be. Undefined values are left out. */
export function formatDigest(
  values: Readonly<Record<string, string | undefined>>,
  bare: readonly string[],
): string {
  const parts: string[] = []
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue
    parts.push(`${name}=${bare.includes(name) && isToken(value) ? value : quoted(value)}`)
  }
  return `Digest ${parts.join(', ')}`
}
