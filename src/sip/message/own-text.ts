/** V8 cuts pieces of fewer characters as copies. */
const SLICED_FROM = 13

/** A text put together of pieces keeps all that they were cut from in memory; asking for a character makes it one of its own. */
export function flat(text: string): string {
  text.charCodeAt(text.length - 1)
  return text
}

/** The same text, for whoever keeps a piece of a message longer than the message: a piece keeps the whole in memory. */
export function standalone(text: string): string {
  return text.length < SLICED_FROM ? text : flat(` ${text}`).slice(1)
}
