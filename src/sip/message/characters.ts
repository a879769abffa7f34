/**
 * Character classes of RFC 3261 §25.1 as one table, so that a scan is an array read a character.
 * A code above 255 is in no class: binary text has none.
 */
export const TOKEN = 1
/** What a header parameter's value may hold unquoted: token, host, and what is seen in the wild without being a separator. */
export const VALUE = 2
/** User, password, URI parameter and URI header characters, '%' aside. Wider than the grammar: see below. */
export const URI = 4
export const HOST = 8
export const DIGIT = 16
export const HEX = 32
/** `unreserved` and `user-unreserved`: what needs no escape in a user part. */
export const PLAIN_USER = 64
/** `reserved` of RFC 3261 §25.1: escaped and unescaped are different (§19.1.4). */
export const RESERVED = 128

const classes = new Uint8Array(256)

function mark(bit: number, characters: string): void {
  for (let i = 0; i < characters.length; i++) {
    const code = characters.charCodeAt(i)
    classes[code] = (classes[code] ?? 0) | bit
  }
}

const DIGITS = '0123456789'
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
mark(TOKEN | URI | HOST | PLAIN_USER, DIGITS + LETTERS)
mark(DIGIT, DIGITS)
mark(HEX, DIGITS + 'abcdefABCDEF')
mark(TOKEN, "-.!%*_+`'~")
// NOTE: '_' is no hostname character, but container networks name hosts with it.
mark(HOST, '-._')
mark(PLAIN_USER, "-_.!~*'()&=+$,;?/")
mark(RESERVED, ';/?:@&=+$,')
for (let code = 0x21; code < 0x100; code++) {
  const character = String.fromCharCode(code)
  if (code !== 0x7f && !'",;<>'.includes(character)) mark(VALUE, character)
  // NOTE: '#', '|', '^' and UTF-8 in user parts break the grammar and are common; they pass through as they are.
  if (code !== 0x7f && !'"<>@%\\'.includes(character)) mark(URI, character)
}

export function isA(bit: number, code: number): boolean {
  return ((classes[code] ?? 0) & bit) !== 0
}

/** Whether `text` from `start` up to `end` is one or more characters of the class. */
export function all(bit: number, text: string, start = 0, end = text.length): boolean {
  if (start >= end) return false
  for (let i = start; i < end; i++) {
    if (((classes[text.charCodeAt(i)] ?? 0) & bit) === 0) return false
  }
  return true
}

/** The number that the digits from `start` up to `end` are: Infinity at worst, never wrapped. They must be digits. */
export function digits(text: string, start = 0, end = text.length): number {
  let number = 0
  for (let i = start; i < end; i++) number = number * 10 + text.charCodeAt(i) - 0x30
  return number
}

export function isToken(text: string): boolean {
  return all(TOKEN, text)
}

/** The first place at or after `at` that is neither a space nor a tab. */
export function skipSpace(text: string, at: number, end = text.length): number {
  while (at < end && isSpace(text.charCodeAt(at))) at++
  return at
}

/** `text` without spaces and tabs at both ends. `String.trim` would take more than those off. */
export function trimmed(text: string, start = 0, end = text.length): string {
  start = skipSpace(text, start, end)
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

export function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/** The place after the quoted string that starts at `at`, or -1 when it is not closed before `end` (§25.1). */
export function afterQuoted(text: string, at: number, end = text.length): number {
  for (let i = at + 1; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x22) return i + 1
    if (code === 0x5c) i++
  }
  return -1
}

/** Whether the text can stand in a start line or a field: one line, one byte a character. */
export function isFieldText(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    // A character above 255 would be cut to its low byte on the wire, and U+010A would become a line feed.
    if (code > 0xff || code === 0x0a || code === 0x0d) return false
  }
  return true
}
