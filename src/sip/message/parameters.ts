import { afterQuoted, all, HEX, isA, skipSpace, TOKEN, URI, VALUE } from './characters.ts'
import { unescapeUri } from './escape.ts'
import { malformed, type Faulted, type Parsed } from './fault.ts'

/**
 * Parameters of a header field value or of a URI: ';name', ';name=value', in order.
 * Names are found in any case; a quoted value keeps its quotes.
 */
export class Parameters {
  /** key, name as written, value or null for a flag; and so on: one array instead of an object a parameter. */
  readonly #flat: (string | null)[]

  constructor(flat: (string | null)[] = []) {
    this.#flat = flat
  }

  get size(): number {
    return this.#flat.length / 3
  }

  /** The value as written; '' for a flag without value; undefined when there is none of this name. */
  get(name: string): string | undefined {
    const at = this.#indexOf(name)
    return at < 0 ? undefined : (this.#flat[at + 2] ?? '')
  }

  has(name: string): boolean {
    return this.#indexOf(name) >= 0
  }

  /** Replaces the value in its place or appends the parameter. `null` makes a flag. The caller quotes what needs quotes. */
  set(name: string, value: string | null): void {
    const at = this.#indexOf(name)
    if (at < 0) this.#flat.push(name.toLowerCase(), name, value)
    else this.#flat[at + 2] = value
  }

  delete(name: string): boolean {
    const at = this.#indexOf(name)
    if (at < 0) return false
    this.#flat.splice(at, 3)
    return true
  }

  /** Name as written and value ('' for a flag), in order. */
  *entries(): IterableIterator<[name: string, value: string]> {
    for (let i = 0; i < this.#flat.length; i += 3) yield [this.#flat[i + 1] ?? '', this.#flat[i + 2] ?? '']
  }

  clone(): Parameters {
    return new Parameters(this.#flat.slice())
  }

  /** ';a=b;c', or '' when there are none. */
  toString(): string {
    const flat = this.#flat
    let text = ''
    for (let i = 0; i < flat.length; i += 3) {
      const value = flat[i + 2]
      text += value === null || value === undefined ? `;${flat[i + 1]}` : `;${flat[i + 1]}=${value}`
    }
    return text
  }

  #indexOf(name: string): number {
    const key = lower(name)
    const flat = this.#flat
    for (let i = 0; i < flat.length; i += 3) if (flat[i] === key) return i
    return -1
  }
}

/** Parameters that are asked for on every message's way: always the same string, which is found without making one. */
const USUAL = [
  'branch',
  'tag',
  'lr',
  'rport',
  'received',
  'transport',
  'expires',
  'q',
  'r2',
  'maddr',
  'ttl',
  'user',
]

function nameAt(text: string, start: number, end: number): string {
  const length = end - start
  for (const name of USUAL) if (name.length === length && text.startsWith(name, start)) return name
  return text.slice(start, end)
}

/** Parameter names are nearly always in lower case already, and then this is a glance. */
function lower(name: string): string {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if ((code >= 0x41 && code <= 0x5a) || code > 0x7f) return name.toLowerCase()
  }
  return name
}

/** More than any real field has. It bounds what looking parameters up one by one can cost. */
const MAX_PARAMETERS = 100

export interface ReadParameters {
  readonly params: Parameters
  /** What broke the syntax, or null. Then `params` are those before it. */
  readonly broken: Faulted | null
}

/**
 * Reads `*( SEMI generic-param )` from `start` to the end of the text (§25.1).
 * NOTE: wider than the grammar in values ('a=' and any printable character that separates nothing), never in names.
 */
export function readParameters(text: string, start: number): ReadParameters {
  const flat: (string | null)[] = []
  const end = text.length
  let broken: Faulted | null = null
  let at = skipSpace(text, start)
  while (at < end) {
    if (text.charCodeAt(at) !== 0x3b) {
      broken = malformed('something that is no parameter follows', at)
      break
    }
    if (flat.length >= 3 * MAX_PARAMETERS) {
      broken = malformed('too many parameters', at)
      break
    }
    const nameStart = skipSpace(text, at + 1)
    at = nameStart
    while (at < end && isA(TOKEN, text.charCodeAt(at))) at++
    if (at === nameStart) {
      broken = malformed('a parameter without a name', at)
      break
    }
    const name = nameAt(text, nameStart, at)
    at = skipSpace(text, at)
    if (text.charCodeAt(at) !== 0x3d) {
      flat.push(lower(name), name, null)
      continue
    }
    const valueStart = skipSpace(text, at + 1)
    at = valueStart
    if (text.charCodeAt(at) === 0x22) {
      at = afterQuoted(text, at)
      if (at < 0) {
        broken = malformed('a quoted string is not closed', valueStart)
        break
      }
    } else {
      while (at < end && isA(VALUE, text.charCodeAt(at))) at++
    }
    flat.push(lower(name), name, text.slice(valueStart, at))
    at = skipSpace(text, at)
  }
  return { params: flat.length === 0 ? new Parameters() : new Parameters(flat), broken }
}

/** Reads `*( ";" uri-parameter )` of a SIP URI in `text` from `start` up to `end` (§25.1). Escaped names are found unescaped. */
export function parseUriParameters(text: string, start: number, end: number): Parsed<Parameters> {
  const flat: (string | null)[] = []
  let at = start
  while (at < end) {
    if (flat.length >= 3 * MAX_PARAMETERS) return malformed('too many URI parameters', at)
    let stop = at + 1
    let nameEnd = -1
    for (; stop < end; stop++) {
      const code = text.charCodeAt(stop)
      if (code === 0x3b) break
      if (code === 0x3d && nameEnd < 0) nameEnd = stop
    }
    if (nameEnd < 0) nameEnd = stop
    if (!isUriText(text, at + 1, nameEnd)) return malformed('a URI parameter without a good name', at)
    if (nameEnd < stop && nameEnd + 1 < stop && !isUriText(text, nameEnd + 1, stop)) {
      return malformed('a URI parameter without a good value', nameEnd)
    }
    const name = nameAt(text, at + 1, nameEnd)
    const key = lower(name.includes('%') ? unescapeUri(name) : name)
    flat.push(key, name, nameEnd < stop ? text.slice(nameEnd + 1, stop) : null)
    at = stop
  }
  return { ok: true, value: new Parameters(flat) }
}

/** One or more URI characters, with every '%' followed by two hexadecimal digits. */
export function isUriText(text: string, start: number, end: number): boolean {
  if (all(URI, text, start, end)) return true
  if (start >= end) return false
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x25) {
      if (i + 2 >= end || !isHexPair(text, i + 1)) return false
      i += 2
    } else if (!isA(URI, code)) return false
  }
  return true
}

function isHexPair(text: string, at: number): boolean {
  return all(HEX, text, at, at + 2)
}
