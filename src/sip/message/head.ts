import { all, DIGIT, digits, isSpace, trimmed } from './characters.ts'
import { malformed, type Faulted, type Parsed } from './fault.ts'
import { CONTENT_LENGTH, type Field, fieldOf, LISTED, spellingAt } from './header-fields.ts'
import type { Limits } from './limits.ts'
import { lineEnd } from './lines.ts'
import { splitList } from './list.ts'

/** The header fields of a message, cut but not parsed. */
export interface Head {
  readonly fields: Field[]
  /** After the empty line. */
  readonly bodyStart: number
  /** Roles of the fields that are there. */
  readonly roles: number
  /** Null when there is no Content-Length. */
  readonly contentLength: number | null
}

/**
 * Cuts the header fields from `at`, after the start line, to the empty line (§7.3). A folded value becomes one line with
 * single spaces at the folds. A field that can be there once only and is not, is a fault, equal values or not: who reads
 * the first and who reads the last would disagree.
 */
export function readHead(text: string, at: number, limits: Limits): Parsed<Head> {
  const headStart = at
  const fields: Field[] = []
  let roles = 0
  let contentLength: number | null = null
  while (text.charCodeAt(at) !== 0x0d || text.charCodeAt(at + 1) !== 0x0a) {
    let end = lineEnd(text, at)
    if (end < 0) return unended(text, at)
    const colon = text.indexOf(':', at)
    if (colon < 0 || colon > end) return malformed('a header line without a colon', at)
    let nameEnd = colon
    while (nameEnd > at && isSpace(text.charCodeAt(nameEnd - 1))) nameEnd--
    const spelling = spellingAt(text, at, nameEnd)
    if (spelling === null) return malformed('a header field name that is no token', at)
    let value = trimmed(text, colon + 1, end)
    while (isSpace(text.charCodeAt(end + 2))) {
      const fold = end + 2
      end = lineEnd(text, fold)
      if (end < 0) return unended(text, fold)
      const more = trimmed(text, fold, end)
      if (more !== '') value = value === '' ? more : `${value} ${more}`
    }
    if (end - at > limits.maxFieldBytes) return tooLarge('a header field that is too long', at)
    if (end > limits.maxHeaderBytes) return tooLarge('header fields that are too long', at)
    if (fields.length >= limits.maxFields) return tooLarge('too many header fields', at)

    const { name, key, role } = spelling
    // One space after the colon and no other that is not part of the value: it would be written just so.
    const asIs = nameEnd === colon && value.length === end - colon - 2 && text.charCodeAt(colon + 1) === 0x20
    const start = asIs ? at : -1
    const field: Field = { name, key, value, source: asIs ? text : '', start, end: asIs ? end + 2 : -1 }
    if (role === 0) {
      fields.push(field)
    } else if ((role & LISTED) === 0) {
      if ((roles & role) !== 0) return malformed(`${key} is there more than once`, at)
      if (role === CONTENT_LENGTH) {
        if (!all(DIGIT, value)) return malformed('content-length is not a number', at)
        contentLength = digits(value)
      }
      fields.push(field)
    } else if (!value.includes(',')) {
      if (value === '') return malformed(`${key} is empty`, at)
      fields.push(field)
    } else {
      const parts = splitList(value)
      if (!parts.ok) return malformed(`${key}: ${parts.fault.what}`, at)
      if (fields.length + parts.value.length > limits.maxFields) return tooLarge('too many header fields', at)
      for (const part of parts.value) fields.push(fieldOf(name, key, part))
    }
    roles |= role
    at = end + 2
  }
  const nul = badNul(text, headStart, at)
  if (nul >= 0) return malformed('a NUL in a header field', nul)
  return { ok: true, value: { fields, bodyStart: at + 2, roles, contentLength } }
}

/** A NUL is allowed as a quoted pair and nowhere else (§25.1). */
function badNul(text: string, start: number, end: number): number {
  let nul = text.indexOf('\0', start)
  while (nul >= 0 && nul < end) {
    if (text.charCodeAt(nul - 1) !== 0x5c) return nul
    nul = text.indexOf('\0', nul + 1)
  }
  return -1
}

function unended(text: string, at: number): Faulted {
  const whole = text.indexOf('\r\n', at) < 0 && text.indexOf('\n', at) < 0
  return whole
    ? malformed('no empty line after the header fields', at)
    : malformed('a bare CR or LF in a header line', at)
}

function tooLarge(what: string, offset: number): Faulted {
  return { ok: false, fault: { status: 513, what, offset } }
}
