/**
 * Everything a terminal or a line-oriented reader would obey rather than show: C0 and C1 controls, DEL, the Unicode line
 * ends, and the marks that change the direction of text.
 */
// oxlint-disable-next-line no-control-regex
const OBEYED = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** Shows control characters as `\n`, `\x1b`, `\u202e`, so that nothing a peer sent can forge a line or move the cursor. */
export function escapeControls(text: string): string {
  return text.replace(OBEYED, (c) => {
    if (c === '\n') return String.raw`\n`
    if (c === '\r') return String.raw`\r`
    if (c === '\t') return String.raw`\t`
    const code = c.charCodeAt(0)
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`
  })
}

/** Those that JSON may have as they are: the C0 controls it escapes itself. */
// oxlint-disable-next-line no-control-regex
const LEFT_BY_JSON = /[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** The same for a line of JSON: it means what it meant, but a terminal that shows it obeys nothing in it. */
export function escapeInJson(line: string): string {
  return line.replace(LEFT_BY_JSON, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

const MAX_DEPTH = 6

/** The same for every text inside a value, keys included. Line ends of a `stack` stay, indented. */
export function escapeDeep(value: unknown, key = '', depth = 0): unknown {
  if (typeof value === 'string') {
    return key === 'stack' ? value.split('\n').map(escapeControls).join('\n        ') : escapeControls(value)
  }
  if (typeof value !== 'object' || value === null) return value
  if (depth >= MAX_DEPTH) return '…'
  if (Array.isArray(value)) return value.map((item) => escapeDeep(item, '', depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([name, child]) => [escapeControls(name), escapeDeep(child, name, depth + 1)]),
  )
}
