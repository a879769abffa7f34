/** Inside the server a string holds a byte in each character; scripts see and write ordinary text (UTF-8, RFC 3261 §7). */
// oxlint-disable-next-line no-control-regex
const PLAIN = /^[\x00-\x7f]*$/

/** Such text is the same inside and outside. */
export function isAscii(text: string): boolean {
  return PLAIN.test(text)
}

/** Binary text to what a script reads. Bytes that are not UTF-8 become U+FFFD. */
export function decodeText(binary: string): string {
  return isAscii(binary) ? binary : Buffer.from(binary, 'latin1').toString('utf8')
}

/** What a script wrote to binary text. */
export function encodeText(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}
