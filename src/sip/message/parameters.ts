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
    const flat = this.#flat
    // Nearly always asked for in lower case.
    for (let i = 0; i < flat.length; i += 3) if (flat[i] === name) return i
    const key = lower(name)
    if (key !== name) for (let i = 0; i < flat.length; i += 3) if (flat[i] === key) return i
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

/** The usual name that stands there in lower case, or undefined. */
function usualAt(text: string, start: number, end: number): string | undefined {
  const length = end - start
  for (const name of USUAL) if (name.length === length && text.startsWith(name, start)) return name
  return undefined
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

/** Where the parameter that `step` has read last stands; its value from -1 when it has none. Variables, so that reading makes nothing. */
let nameStart = 0
let nameEnd = 0
let valueStart = -1
let valueEnd = -1
/** Why `step` could not. */
let fault: Faulted

/** Reads the parameter whose semicolon is at `at`. Returns where the next one would be; -1: the syntax is broken there. */
function step(text: string, at: number): number {
  const end = text.length
  if (text.charCodeAt(at) !== 0x3b) return broken('something that is no parameter follows', at)
  nameStart = skipSpace(text, at + 1)
  at = nameStart
  while (at < end && isA(TOKEN, text.charCodeAt(at))) at++
  if (at === nameStart) return broken('a parameter without a name', at)
  nameEnd = at
  valueStart = -1
  at = skipSpace(text, at)
  if (text.charCodeAt(at) !== 0x3d) return at
  at = skipSpace(text, at + 1)
  valueStart = at
  if (text.charCodeAt(at) === 0x22) {
    at = afterQuoted(text, at)
    if (at < 0) return broken('a quoted string is not closed', valueStart)
  } else {
    while (at < end && isA(VALUE, text.charCodeAt(at))) at++
  }
  valueEnd = at
  return skipSpace(text, at)
}

function broken(what: string, at: number): -1 {
  fault = malformed(what, at)
  return -1
}

/**
 * Reads `*( SEMI generic-param )` from `start` to the end of the text (§25.1).
 * NOTE: wider than the grammar in values ('a=' and any printable character that separates nothing), never in names.
 */
export function readParameters(text: string, start: number): ReadParameters {
  let at = skipSpace(text, start)
  if (at >= text.length) return { params: new Parameters(), broken: null }
  let flat: (string | null)[] = []
  while (at < text.length) {
    if (flat.length >= 3 * MAX_PARAMETERS) {
      return { params: new Parameters(flat), broken: malformed('too many parameters', at) }
    }
    at = step(text, at)
    if (at < 0) return { params: new Parameters(flat), broken: fault }
    const usual = usualAt(text, nameStart, nameEnd)
    const name = usual ?? text.slice(nameStart, nameEnd)
    const key = usual ?? lower(name)
    const value = valueStart < 0 ? null : text.slice(valueStart, valueEnd)
    // Most have one, and `push` would make room for seventeen.
    if (flat.length === 0) flat = [key, name, value]
    else flat.push(key, name, value)
  }
  return { params: new Parameters(flat), broken: null }
}

/** Reads the same and finds one parameter: what `readParameters(…).params.get(key)` would, without making the others. */
export function findParameter(text: string, start: number, key: string): Parsed<string | undefined> {
  let found: string | undefined
  let count = 0
  for (let at = skipSpace(text, start); at < text.length;) {
    if (count++ >= MAX_PARAMETERS) return malformed('too many parameters', at)
    at = step(text, at)
    if (at < 0) return fault
    if (found !== undefined || nameEnd - nameStart !== key.length) continue
    if (!text.startsWith(key, nameStart) && lower(text.slice(nameStart, nameEnd)) !== key) continue
    found = valueStart < 0 ? '' : text.slice(valueStart, valueEnd)
  }
  return { ok: true, value: found }
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
    const usual = usualAt(text, at + 1, nameEnd)
    const name = usual ?? text.slice(at + 1, nameEnd)
    const key = usual ?? lower(name.includes('%') ? unescapeUri(name) : name)
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
