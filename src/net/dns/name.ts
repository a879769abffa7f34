/** Domain names in DNS messages (RFC 1035 §3.1, §4.1.4). Text is latin1, lower case, labels apart by dots. */

const MAX_NAME = 255
const MAX_LABEL = 63
/** More jumps than a name can have labels are a circle. */
const MAX_JUMPS = 127

/** The octets of a name; null when it cannot be one: a label that is empty or too long, or too many of them. */
export function encodeName(name: string): Buffer | null {
  const text = name.endsWith('.') ? name.slice(0, -1) : name
  if (text === '') return Buffer.of(0)
  if (text.length > MAX_NAME - 2) return null
  const bytes = Buffer.alloc(text.length + 2)
  let at = 0
  for (const label of text.split('.')) {
    if (label === '' || label.length > MAX_LABEL) return null
    bytes[at++] = label.length
    at += bytes.write(label, at, 'latin1')
  }
  return bytes
}

/** The name at `start` and where it ends; null when the octets are no name. */
export function decodeName(
  bytes: Buffer,
  start: number,
): { readonly name: string; readonly end: number } | null {
  const labels: string[] = []
  let at = start
  let end = -1
  let length = 0
  for (let jumps = 0; ;) {
    const size = bytes[at]
    if (size === undefined) return null
    if (size >= 0xc0) {
      const low = bytes[at + 1]
      if (low === undefined || ++jumps > MAX_JUMPS) return null
      if (end < 0) end = at + 2
      const to = ((size & 0x3f) << 8) | low
      // Only backwards (§4.1.4: a prior occurrence), so it ends.
      if (to >= at) return null
      at = to
      continue
    }
    if (size > MAX_LABEL) return null
    at++
    if (size === 0) return { name: labels.join('.'), end: end < 0 ? at : end }
    length += size + 1
    if (length > MAX_NAME || at + size > bytes.length) return null
    // A dot within a label must not become a border between two.
    labels.push(
      bytes
        .toString('latin1', at, at + size)
        .toLowerCase()
        .replaceAll('.', '\\.'),
    )
    at += size
  }
}
