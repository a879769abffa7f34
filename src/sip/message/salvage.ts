import { afterQuoted, isSpace, isToken, trimmed } from './characters.ts'
import { HeaderFields, headerKey } from './header-fields.ts'
import { defaultLimits } from './limits.ts'
import { Request } from './message.ts'
import { formatVia, parseVia, salvageVia } from './via.ts'

/** What a response copies from its request (§8.2.6.2), Via aside. */
const COPIED = ['from', 'to', 'call-id', 'cseq']

/** No request has come through more hops: Max-Forwards is 255 at most. */
const MAX_VIAS = 255

/**
 * A request good enough to answer, out of a text that is not a valid message: its top Via can be read, if need be without
 * its parameters, and From, To, Call-ID and CSeq are there, as they are. Null when it is a response, an ACK, or too far
 * gone. No field has a line break or a NUL in it, whatever the text has.
 */
export function salvageRequest(text: string): Request | null {
  const lines = headOf(text).split(/\r\n?|\n/)
  const startLine = lines.shift() ?? ''
  const space = startLine.indexOf(' ')
  const method = startLine.slice(0, space < 0 ? startLine.length : space)
  // ACK is never answered (§17.1.1.3); 'SIP/2.0' is no token.
  if (!isToken(method) || method === 'ACK') return null
  const fields = new HeaderFields()
  let vias = 0
  for (const line of unfolded(lines)) {
    const colon = line.indexOf(':')
    if (colon < 0) continue
    const key = headerKey(trimmed(line, 0, colon))
    if (key === 'via') {
      for (const value of looseList(line.slice(colon + 1))) {
        if (++vias > MAX_VIAS) return null
        if (parseVia(value).ok) fields.append('Via', value)
        else {
          const via = salvageVia(value)
          if (via !== null) fields.append('Via', formatVia(via))
          // Without the top Via nobody can be answered; one further down is not the way back.
          else if (!fields.has('via')) return null
        }
      }
    } else if (COPIED.includes(key) && !fields.has(key)) {
      fields.append(NAMES[key] ?? key, trimmed(line, colon + 1))
    }
  }
  return fields.has('via') && COPIED.every((key) => (fields.first(key) ?? '') !== '')
    ? new Request(method, '', fields)
    : null
}

const NAMES: Readonly<Record<string, string>> = { from: 'From', to: 'To', 'call-id': 'Call-ID', cseq: 'CSeq' }

function headOf(text: string): string {
  let start = 0
  while (text.charCodeAt(start) === 0x0d && text.charCodeAt(start + 1) === 0x0a) start += 2
  const empty = text.indexOf('\r\n\r\n', start)
  const end = Math.min(empty < 0 ? text.length : empty, start + defaultLimits.maxHeaderBytes)
  return text.slice(start, end).replaceAll('\0', ' ')
}

function unfolded(lines: readonly string[]): string[] {
  const whole: string[] = []
  for (const line of lines) {
    const last = whole.length - 1
    if (last >= 0 && isSpace(line.charCodeAt(0))) whole[last] += ` ${trimmed(line)}`
    else whole.push(line)
  }
  return whole
}

/** Splits at commas outside quotes; what is left after a quote that is not closed is one value. */
function looseList(text: string): string[] {
  const values: string[] = []
  let start = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x2c) {
      values.push(trimmed(text, start, i))
      start = i + 1
    } else if (code === 0x22) {
      const after = afterQuoted(text, i)
      i = after < 0 ? text.length : after - 1
    }
  }
  values.push(trimmed(text, start))
  return values
}
