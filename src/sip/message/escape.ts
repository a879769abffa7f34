import { HEX, isA, PLAIN_USER, RESERVED } from './characters.ts'

/** The bytes that `%XX` stand for, as binary text; a '%' without two hexadecimal digits stays as it is. */
export function unescapeUri(text: string): string {
  return rewrite(text, (code) => String.fromCharCode(code))
}

/**
 * A form in which two URI texts are equal when §19.1.4 says so: escapes of characters that need none are undone, those
 * of reserved and of other characters stay, with upper-case digits.
 */
export function comparable(text: string): string {
  if (!text.includes('%')) return text
  return rewrite(text, (code) =>
    isA(PLAIN_USER, code) && !isA(RESERVED, code) ? String.fromCharCode(code) : escaped(code),
  )
}

/** A user part in one form for all its spellings: escaped where a user part must be, and nowhere else. */
export function canonicalUser(text: string): string {
  const plain = unescapeUri(text)
  let user = ''
  for (let i = 0; i < plain.length; i++) {
    const code = plain.charCodeAt(i)
    user += isA(PLAIN_USER, code) ? plain.charAt(i) : escaped(code)
  }
  return user
}

function rewrite(text: string, written: (code: number) => string): string {
  let at = text.indexOf('%')
  if (at < 0) return text
  let result = ''
  let from = 0
  while (at >= 0) {
    if (isA(HEX, text.charCodeAt(at + 1)) && isA(HEX, text.charCodeAt(at + 2))) {
      result += text.slice(from, at) + written(Number.parseInt(text.slice(at + 1, at + 3), 16))
      from = at + 3
      at = text.indexOf('%', from)
    } else {
      at = text.indexOf('%', at + 1)
    }
  }
  return result + text.slice(from)
}

function escaped(code: number): string {
  return `%${(code & 0xff).toString(16).toUpperCase().padStart(2, '0')}`
}
