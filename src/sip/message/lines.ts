/**
 * Where the line that starts at `at` ends: the place of the CR of its CRLF, or -1 when there is none or a bare CR or LF
 * comes before it. Both the parser and the stream framer see lines through this, so that they cannot disagree.
 */
export function lineEnd(text: string, at: number): number {
  const cr = text.indexOf('\r', at)
  if (cr < 0 || text.charCodeAt(cr + 1) !== 0x0a) return -1
  return text.indexOf('\n', at) === cr + 1 ? cr : -1
}
