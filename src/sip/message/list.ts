import { afterQuoted, trimmed } from './characters.ts'
import { malformed, type Parsed } from './fault.ts'

/** Splits a field value at its commas, those in quotes and in angle brackets aside (§7.3.1). An empty element is a fault. */
export function splitList(text: string): Parsed<string[]> {
  const parts: string[] = []
  let start = 0
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 0x2c
    if (code === 0x2c) {
      const part = trimmed(text, start, i)
      if (part === '') return malformed('an empty value between commas', start)
      parts.push(part)
      start = i + 1
    } else if (code === 0x22) {
      i = afterQuoted(text, i) - 1
      if (i < 0) return malformed('a quoted string is not closed', start)
    } else if (code === 0x3c) {
      i = text.indexOf('>', i)
      if (i < 0) return malformed('an angle bracket is not closed', start)
    }
  }
  return { ok: true, value: parts }
}
