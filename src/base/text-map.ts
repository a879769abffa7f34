/** A key, its value, and the next one in the same slot. */
interface Entry<V> {
  readonly key: string
  readonly hash: number
  value: V
  next: Entry<V> | undefined
}

type Slots<V> = (Entry<V> | undefined)[]

/** Longer chains than this come of somebody's intent; what is added to one goes into a table that cannot be crowded. */
const MAX_CHAIN = 16
const MIN_SLOTS = 16
/** With fewer entries than this part of its slots, the table has half of them. */
const SPARSE = 1 / 8
/** Differs from process to process. */
const SEED = (Math.random() * 0x1_0000_0000) | 0

/**
 * A map by text that comes and goes: branches, Call-IDs, dialogs. No order is kept. It differs from V8's Map in two ways.
 *
 * V8's Map enters every text it is asked for into the table of unique strings, which for a fresh one costs more than all the rest
 * of a look-up; here a number is computed from the text.
 *
 * V8's Map replaces its table after as many changes as it has room for, and the table that was replaced points to the new one and
 * still to all that it held. Once such a table is old, nothing that was ever in the map is young garbage any more: each scavenge
 * finds it reachable, copies it, and only a full collection frees it. Here what was taken out is pointed to by nothing.
 */
export class TextMap<V> {
  readonly #hash: (text: string) => number
  #slots: Slots<V> = emptySlots(MIN_SLOTS)
  /** Those that found their chain full. */
  readonly #crowded = new Map<string, V>()
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
    const hash = this.#hash(key)
    const slots = this.#slots
    for (let entry = slots[hash & (slots.length - 1)]; entry !== undefined; entry = entry.next) {
      if (entry.hash === hash && entry.key === key) return entry.value
    }
    return this.#crowded.size === 0 ? undefined : this.#crowded.get(key)
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  /** @param value anything but undefined, which `get` says for what is not there */
  set(key: string, value: V): void {
    const hash = this.#hash(key)
    const slots = this.#slots
    const slot = hash & (slots.length - 1)
    const first = slots[slot]
    let length = 0
    for (let entry = first; entry !== undefined; entry = entry.next) {
      if (entry.hash === hash && entry.key === key) {
        entry.value = value
        return
      }
      length++
    }
    const crowded = this.#crowded.size > 0 && this.#crowded.has(key)
    if (!crowded) this.#size++
    if (crowded || length >= MAX_CHAIN) {
      this.#crowded.set(key, value)
      return
    }
    slots[slot] = { key, hash, value, next: first }
    if (this.#size > slots.length) this.#resize(slots.length * 2)
  }

  /** Tells whether it was there. */
  delete(key: string): boolean {
    const hash = this.#hash(key)
    const slots = this.#slots
    const slot = hash & (slots.length - 1)
    let before: Entry<V> | undefined
    for (let entry = slots[slot]; entry !== undefined; before = entry, entry = entry.next) {
      if (entry.hash !== hash || entry.key !== key) continue
      if (before !== undefined) before.next = entry.next
      else slots[slot] = entry.next
      entry.next = undefined
      this.#size--
      if (slots.length > MIN_SLOTS && this.#size < slots.length * SPARSE) this.#resize(slots.length / 2)
      return true
    }
    if (!this.#crowded.delete(key)) return false
    this.#size--
    return true
  }

  *values(): IterableIterator<V> {
    for (const first of this.#slots) {
      for (let entry = first; entry !== undefined; entry = entry.next) yield entry.value
    }
    yield* this.#crowded.values()
  }

  clear(): void {
    this.#slots = emptySlots(MIN_SLOTS)
    this.#crowded.clear()
    this.#size = 0
  }

  /** @param count a power of two */
  #resize(count: number): void {
    const from = this.#slots
    const to = emptySlots<V>(count)
    for (let i = 0; i < from.length; i++) {
      let entry = from[i]
      from[i] = undefined
      while (entry !== undefined) {
        const { next } = entry
        const slot = entry.hash & (count - 1)
        entry.next = to[slot]
        to[slot] = entry
        entry = next
      }
    }
    this.#slots = to
  }
}

function emptySlots<V>(count: number): Slots<V> {
  return Array.from({ length: count })
}

function hashOf(text: string): number {
  let hash = SEED ^ text.length
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193)
  return hash ^ (hash >>> 15)
}
