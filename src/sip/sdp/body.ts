/** Where in a body the SDP is: from, and up to, in characters (bytes). */
export interface Span {
  readonly from: number
  readonly to: number
}

/**
 * Finds the session description in a body: all of an `application/sdp`, or the first such part of a `multipart/*`
 * (RFC 5621, as SIP-I and emergency calls have it). Undefined when there is none.
 */
export function findSdp(contentType: string | undefined, body: string): Span | undefined {
  const type = mediaType(contentType)
  if (body === '' || contentType === undefined) return undefined
  if (type === 'application/sdp') return { from: 0, to: body.length }
  if (!type.startsWith('multipart/')) return undefined
  const boundary = /;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType)
  const delimiter = `--${boundary?.[1] ?? boundary?.[2] ?? ''}`
  return delimiter === '--' ? undefined : findPart(body, delimiter)
}

/** The body with another text where its SDP was. Undefined when it has none. */
export function replaceSdp(contentType: string | undefined, body: string, sdp: string): string | undefined {
  const span = findSdp(contentType, body)
  return span === undefined ? undefined : body.slice(0, span.from) + sdp + body.slice(span.to)
}

function findPart(body: string, delimiter: string): Span | undefined {
  const starts = delimiters(body, delimiter)
  for (const [i, start] of starts.entries()) {
    const end = starts[i + 1]
    if (end === undefined) return undefined
    const head = body.indexOf('\n', start) + 1
    const part = body.slice(head, end)
    const blank = /^\r?\n|\r?\n\r?\n/.exec(part)
    if (head === 0 || blank === null) continue
    const headers = part.slice(0, blank.index)
    const type = /^content-type[ \t]*:[ \t]*([^\r\n]*)/im.exec(headers)?.[1]
    // An encoded part would have to be decoded first; nobody sends SDP so.
    const encoded = /^content-transfer-encoding[ \t]*:[ \t]*(?![ \t]|7bit|8bit|binary)/im.test(headers)
    if (mediaType(type) === 'application/sdp' && !encoded) {
      // The line end before a delimiter belongs to it (RFC 2046 §5.1.1).
      const length = part.length - (/\r?\n$/.exec(part)?.[0].length ?? 0)
      const from = blank.index + blank[0].length
      return { from: head + from, to: head + Math.max(from, length) }
    }
  }
  return undefined
}

/** Where lines begin that are delimiters. */
function delimiters(body: string, delimiter: string): number[] {
  const found: number[] = []
  for (let at = body.indexOf(delimiter); at >= 0; at = body.indexOf(delimiter, at + 1)) {
    const before = at === 0 || body[at - 1] === '\n'
    if (
      before &&
      /^(?:--)?[ \t]*(?:\r?\n|$)/.test(body.slice(at + delimiter.length, at + delimiter.length + 80))
    )
      found.push(at)
  }
  return found
}

function mediaType(contentType: string | undefined): string {
  return contentType?.split(';')[0]?.trim().toLowerCase() ?? ''
}
