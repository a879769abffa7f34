/**
 * Bencode as the NG protocol of rtpengine speaks it, on binary text (a character a byte). Strict where a mistake would
 * shift what follows; lenient where rtpengine is: the keys of a dictionary are in any order.
 */
export type Bencode = string | number | readonly Bencode[] | Dictionary
export interface Dictionary {
  readonly [key: string]: Bencode
}

/** Deeper is no answer that anything sends, and would cost stack. */
const MAX_DEPTH = 32

/** Numbers must be whole; texts must be binary text. */
export function encodeBencode(value: Bencode): string {
  if (typeof value === 'string') return `${value.length}:${value}`
  if (typeof value === 'number') return `i${Math.trunc(value)}e`
  if (isList(value)) return `l${value.map(encodeBencode).join('')}e`
  let text = 'd'
  for (const [key, item] of Object.entries(value)) text += `${key.length}:${key}${encodeBencode(item)}`
  return `${text}e`
}

/** The one value that `text` is; undefined when it is none, or more than one. Dictionaries have no prototype. */
export function decodeBencode(text: string): Bencode | undefined {
  const reader = new Reader(text)
  const value = reader.value(0)
  return value !== undefined && reader.at === text.length ? value : undefined
}

export function isDictionary(value: Bencode | undefined): value is Dictionary {
  return typeof value === 'object' && !isList(value)
}

export function isList(value: Bencode | undefined): value is readonly Bencode[] {
  return Array.isArray(value)
}

class Reader {
  at = 0
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): Bencode | undefined {
    if (depth > MAX_DEPTH) return undefined
    switch (this.#text[this.at]) {
      case 'i':
        return this.#number()
      case 'l':
        return this.#list(depth)
      case 'd':
        return this.#dictionary(depth)
      default:
        return this.#string()
    }
  }

  #number(): number | undefined {
    const end = this.#text.indexOf('e', this.at)
    const digits = end < 0 ? '' : this.#text.slice(this.at + 1, end)
    if (!/^(?:0|-?[1-9]\d{0,19})$/.test(digits)) return undefined
    this.at = end + 1
    return Number(digits)
  }

  #string(): string | undefined {
    const colon = this.#text.indexOf(':', this.at)
    const digits = colon < 0 || colon - this.at > 8 ? '' : this.#text.slice(this.at, colon)
    if (!/^(?:0|[1-9]\d*)$/.test(digits)) return undefined
    const end = colon + 1 + Number(digits)
    if (end > this.#text.length) return undefined
    this.at = end
    return this.#text.slice(colon + 1, end)
  }

  #list(depth: number): Bencode[] | undefined {
    const items: Bencode[] = []
    this.at++
    while (this.#text[this.at] !== 'e') {
      const item = this.value(depth + 1)
      if (item === undefined) return undefined
      items.push(item)
    }
    this.at++
    return items
  }

  #dictionary(depth: number): Dictionary | undefined {
    const items = Object.create(null) as Record<string, Bencode>
    this.at++
    while (this.#text[this.at] !== 'e') {
      const key = this.#string()
      const item = key === undefined ? undefined : this.value(depth + 1)
      if (key === undefined || item === undefined) return undefined
      items[key] = item
    }
    this.at++
    return items
  }
}
