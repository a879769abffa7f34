import { isFieldText } from './characters.ts'
import type { Message } from './message.ts'

const BAD_START_LINE = 'a start line must be one line of binary text, one character for each byte'

/**
 * The binary text of a message. Content-Length is what the body is long, in the place of the first such field or at the
 * end. Throws a TypeError when the start line would not be one line: the Request-URI or the reason phrase is ours.
 */
export function serialize(message: Message): string {
  const { body } = message
  let text: string
  if (message.kind === 'request') {
    const { method, uri } = message
    if (!isFieldText(method) || !isFieldText(uri)) throw new TypeError(BAD_START_LINE)
    text = `${method} ${uri} SIP/2.0\r\n`
  } else {
    const { status, reason } = message
    if (!isFieldText(reason)) throw new TypeError(BAD_START_LINE)
    text = `SIP/2.0 ${status} ${reason}\r\n`
  }
  let hasLength = false
  // Fields that follow one another in what was received go as one piece of it.
  let source = ''
  let from = 0
  let to = 0
  for (const { name, key, value, source: own, start, end } of message.headers.fields) {
    const isLength = key === 'content-length'
    if (isLength && hasLength) continue
    hasLength ||= isLength
    if (start >= 0 && (!isLength || value === String(body.length))) {
      if (start !== to || own !== source) {
        text += source.slice(from, to)
        source = own
        from = start
      }
      to = end
    } else {
      text += `${source.slice(from, to)}${name}: ${isLength ? body.length : value}\r\n`
      from = to
    }
  }
  text += source.slice(from, to)
  return hasLength ? `${text}\r\n${body}` : `${text}Content-Length: ${body.length}\r\n\r\n${body}`
}
