import { isFieldText, isToken } from './characters.ts'

/** One header field line (§7.3). */
export interface Field {
  /** As the sender spelled it. */
  readonly name: string
  /** The long form in lower case: what fields are found by. */
  readonly key: string
  readonly value: string
  /**
   * Where it stands just as it would be written, the line's end included: in this text from `start` to `end`. What was received
   * is then sent on as one piece instead of being put together from its parts. -1: nowhere.
   */
  readonly source: string
  readonly start: number
  readonly end: number
}

/** A field that stands nowhere yet. */
export function fieldOf(name: string, key: string, value: string): Field {
  return { name, key, value, source: '', start: -1, end: -1 }
}

/** What the parser has to do about a field: bits of `Spelling.role`. */
export const FROM = 1
export const TO = 2
export const CALL_ID = 4
export const CSEQ = 8
export const VIA = 16
export const CONTENT_LENGTH = 32
export const MAX_FORWARDS = 64
/** A comma list that is read and popped value by value: one field a value. */
export const LISTED = 128

const roles: Readonly<Record<string, number>> = {
  from: FROM,
  to: TO,
  'call-id': CALL_ID,
  cseq: CSEQ,
  via: VIA | LISTED,
  'content-length': CONTENT_LENGTH,
  'max-forwards': MAX_FORWARDS,
  route: LISTED,
  'record-route': LISTED,
  path: LISTED,
  'service-route': LISTED,
}

/** A known spelling: interned strings instead of slices of the message. */
export interface Spelling {
  readonly name: string
  readonly key: string
  readonly role: number
}

const LONG_NAMES = `
  Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events
  Authentication-Info Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding
  Content-Language Content-Length Content-Type CSeq Date Diversion Error-Info Event Expires Flow-Timer
  From Geolocation History-Info Identity In-Reply-To Join Max-Breadth Max-Forwards MIME-Version Min-Expires Min-SE
  Organization P-Access-Network-Info P-Asserted-Identity P-Called-Party-ID P-Charging-Vector
  P-Preferred-Identity P-Visited-Network-ID Path Priority Privacy Proxy-Authenticate
  Proxy-Authorization Proxy-Require RAck Reason Record-Route Refer-To Referred-By Reject-Contact
  Remote-Party-ID Replaces Reply-To Request-Disposition Require Retry-After Route RSeq Server
  Service-Route Session-Expires SIP-ETag SIP-If-Match Subject Subscription-State Supported Timestamp
  To Unsupported User-Agent Via Warning WWW-Authenticate
`
  .trim()
  .split(/\s+/)

/** Compact forms of the IANA registry. */
const COMPACT: Readonly<Record<string, string>> = {
  a: 'accept-contact',
  b: 'referred-by',
  c: 'content-type',
  d: 'request-disposition',
  e: 'content-encoding',
  f: 'from',
  i: 'call-id',
  j: 'reject-contact',
  k: 'supported',
  l: 'content-length',
  m: 'contact',
  n: 'identity-info',
  o: 'event',
  r: 'refer-to',
  s: 'subject',
  t: 'to',
  u: 'allow-events',
  v: 'via',
  x: 'session-expires',
  y: 'identity',
}

const spellings = new Map<string, Spelling>()
for (const name of LONG_NAMES) {
  const key = name.toLowerCase()
  for (const spelled of [name, key, name.toUpperCase()]) know(spelled, key)
}
know('Call-Id', 'call-id')
know('Cseq', 'cseq')
for (const [letter, key] of Object.entries(COMPACT)) {
  for (const spelled of [letter, letter.toUpperCase()]) know(spelled, key)
}

function know(name: string, key: string): void {
  spellings.set(name, { name, key, role: roles[key] ?? 0 })
}

/** The known spellings by length and first letter: nearly always one to compare with, and no text is made to find it. */
const byShape: Spelling[][] = []
for (const spelling of spellings.values()) {
  const shape = shapeOf(spelling.name.length, spelling.name.charCodeAt(0))
  ;(byShape[shape] ??= []).push(spelling)
}

function shapeOf(length: number, first: number): number {
  return (length << 8) | (first & 0xff)
}

/** As `readSpelling`, of the name that stands at `start` … `end` in a text. */
export function spellingAt(text: string, start: number, end: number): Spelling | null {
  const candidates = byShape[shapeOf(end - start, text.charCodeAt(start))]
  if (candidates !== undefined) {
    for (const spelling of candidates) if (text.startsWith(spelling.name, start)) return spelling
  }
  return readSpelling(text.slice(start, end))
}

/** Name, key and role of a field name as spelled; null when it is no token. Costs one look-up for the usual spellings. */
export function readSpelling(name: string): Spelling | null {
  const known = spellings.get(name)
  if (known !== undefined) return known
  if (!isToken(name)) return null
  const lower = name.toLowerCase()
  const spelled = spellings.get(lower)
  return { name, key: spelled?.key ?? lower, role: spelled?.role ?? 0 }
}

/** The key of a field name: long form, lower case (§7.3.1, §7.3.3). Any spelling: 'V', 'Via' and 'VIA' give 'via'. */
export function headerKey(name: string): string {
  const known = spellings.get(name)
  if (known !== undefined) return known.key
  const lower = name.toLowerCase()
  return spellings.get(lower)?.key ?? lower
}

/**
 * Header fields in their order. Keys are canonical (`headerKey`); names are as given.
 *
 * What is written by name is checked: a name must be a token and a value one line of binary text, else a TypeError is
 * thrown, because whoever writes it is this program or its script and a line break would be another header field.
 */
export class HeaderFields {
  readonly #fields: Field[]

  /** Takes the array over; the fields are not checked. */
  constructor(fields: Field[] = []) {
    this.#fields = fields
  }

  get fields(): readonly Field[] {
    return this.#fields
  }

  /** The value of the first field with this key. */
  first(key: string): string | undefined {
    const fields = this.#fields
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]
      if (field !== undefined && field.key === key) return field.value
    }
    return undefined
  }

  /** One value for each field line with this key, in order. */
  all(key: string): string[] {
    const values: string[] = []
    for (const field of this.#fields) if (field.key === key) values.push(field.value)
    return values
  }

  has(key: string): boolean {
    return this.#indexOf(key) >= 0
  }

  count(key: string): number {
    let count = 0
    for (const field of this.#fields) if (field.key === key) count++
    return count
  }

  append(name: string, value: string): void {
    this.#fields.push(field(name, value))
  }

  /** Puts a field before the first one of its key, or on top when there is none: a Via or a Route to go through first. */
  prepend(name: string, value: string): void {
    const added = field(name, value)
    const at = this.#indexOf(added.key)
    this.#fields.splice(at < 0 ? 0 : at, 0, added)
  }

  /** Leaves exactly one field of this name, in the place of the first one, or at the end. */
  set(name: string, value: string): void {
    const added = field(name, value)
    const at = this.#indexOf(added.key)
    if (at < 0) {
      this.#fields.push(added)
      return
    }
    this.#fields[at] = added
    this.#removeFrom(at + 1, added.key)
  }

  /** Changes the first field's value and keeps its spelling; appends a field when there is none. */
  replaceFirst(key: string, value: string): void {
    const at = this.#indexOf(key)
    const old = this.#fields[at]
    if (old === undefined) this.append(key, value)
    else this.#fields[at] = fieldOf(old.name, key, checked(value))
  }

  /** Removes every field of this key; tells how many there were. */
  remove(key: string): number {
    return this.#removeFrom(0, key)
  }

  /** Removes the first field of this key and gives its value: how a Via or a Route is popped. */
  removeFirst(key: string): string | undefined {
    const at = this.#indexOf(key)
    if (at < 0) return undefined
    return this.#fields.splice(at, 1)[0]?.value
  }

  clone(): HeaderFields {
    return new HeaderFields(this.#fields.slice())
  }

  #indexOf(key: string): number {
    const fields = this.#fields
    for (let i = 0; i < fields.length; i++) if (fields[i]?.key === key) return i
    return -1
  }

  #removeFrom(start: number, key: string): number {
    const fields = this.#fields
    let kept = start
    for (let i = start; i < fields.length; i++) {
      const field = fields[i]
      if (field !== undefined && field.key !== key) fields[kept++] = field
    }
    const removed = fields.length - kept
    if (removed > 0) fields.length = kept
    return removed
  }
}

function field(name: string, value: string): Field {
  const spelling = readSpelling(name)
  if (spelling === null) throw new TypeError('a header field name must be a token (RFC 3261 §7.3.1)')
  return fieldOf(spelling.name, spelling.key, checked(value))
}

function checked(value: string): string {
  if (!isFieldText(value)) {
    throw new TypeError('a header field value must be one line of binary text, one character for each byte')
  }
  return value
}
