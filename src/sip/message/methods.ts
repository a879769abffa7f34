/** Methods in use (RFC 3261 and its extensions): RFC 3262, 3311, 3428, 3515, 3903, 6086, 6665. */
export const METHODS: readonly string[] = [
  'INVITE',
  'ACK',
  'BYE',
  'CANCEL',
  'OPTIONS',
  'REGISTER',
  'PRACK',
  'SUBSCRIBE',
  'NOTIFY',
  'PUBLISH',
  'INFO',
  'REFER',
  'MESSAGE',
  'UPDATE',
]

/**
 * The method that stands at `start` … `end` in a text. Known ones are always the same string: a slice is compared with a
 * literal by content, and put into the engine's table of strings first, each time.
 */
export function methodAt(text: string, start: number, end: number): string {
  const length = end - start
  for (const method of METHODS) {
    if (method.length === length && text.startsWith(method, start)) return method
  }
  return text.slice(start, end)
}
