/** A key, its value, and the next one with the same hash. */
interface Entry<V> {
  readonly key: string
  value: V
  next: Entry<V> | undefined
}

/** Longer chains than this come of somebody's intent; what is added to one goes into a table that cannot be crowded. */
const MAX_CHAIN = 8
/** Differs from process to process. */
const SEED = (Math.random() * 0x1_0000_0000) | 0

/**
 * A map by text that is met once: branches, Call-IDs. V8's Map enters every text it is asked for into its table of unique
 * strings, which for a fresh one costs more than all the rest of a look-up; here a number is computed from the text and looked
 * up instead. No order is kept.
 */
export class TextMap<V> {
  readonly #chains = new Map<number, Entry<V>>()
  /** Those that found their chain full. */
  readonly #crowded = new Map<string, V>()
  readonly #hash: (text: string) => number
  #size = 0

  /** @param hash a 32-bit number for a text; tests let texts collide */
  constructor(hash: (text: string) => number = hashOf) {
    this.#hash = hash
  }

  get size(): number {
    return this.#size
  }

  get(key: string): V | undefined {
    if (this.#size === 0) return undefined
    for (let entry = this.#chains.get(this.#hash(key)); entry !== undefined; entry = entry.next) {
      if (entry.key === key) return entry.value
    }
    return this.#crowded.size === 0 ? undefined : this.#crowded.get(key)
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  /** @param value anything but undefined, which `get` says for what is not there */
  set(key: string, value: V): void {
    const hash = this.#hash(key)
    const first = this.#chains.get(hash)
    let length = 0
    for (let entry = first; entry !== undefined; entry = entry.next) {
      if (entry.key === key) {
        entry.value = value
        return
      }
      length++
    }
    if (length < MAX_CHAIN && !this.#crowded.has(key)) {
      this.#chains.set(hash, { key, value, next: first })
      this.#size++
      return
    }
    if (!this.#crowded.has(key)) this.#size++
    this.#crowded.set(key, value)
  }

  /** Tells whether it was there. */
  delete(key: string): boolean {
    const hash = this.#hash(key)
    const first = this.#chains.get(hash)
    let before: Entry<V> | undefined
    for (let entry = first; entry !== undefined; before = entry, entry = entry.next) {
      if (entry.key !== key) continue
      if (before !== undefined) before.next = entry.next
      else if (entry.next !== undefined) this.#chains.set(hash, entry.next)
      else this.#chains.delete(hash)
      this.#size--
      return true
    }
    if (!this.#crowded.delete(key)) return false
    this.#size--
    return true
  }

  *values(): IterableIterator<V> {
    for (const first of this.#chains.values()) {
      for (let entry: Entry<V> | undefined = first; entry !== undefined; entry = entry.next) yield entry.value
    }
    yield* this.#crowded.values()
  }

  clear(): void {
    this.#chains.clear()
    this.#crowded.clear()
    this.#size = 0
  }
}

function hashOf(text: string): number {
  let hash = SEED ^ text.length
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193)
  return hash ^ (hash >>> 15)
}
