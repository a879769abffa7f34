import { isAscii } from './text.ts'

/**
 * @internal Adds to what a script has written into a call's record so far: JSON objects in ASCII, the same text whether it is read
 * as binary text or as Unicode. They are kept as text, because nearly always a handler writes once, and that is all.
 */
export function addFields(before: string | null, json: string): string {
  if (before === null) return ascii(json)
  return ascii(JSON.stringify({ ...(JSON.parse(before) as object), ...(JSON.parse(json) as object) }))
}

function ascii(json: string): string {
  if (isAscii(json)) return json
  return json.replaceAll(/[\u0080-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
