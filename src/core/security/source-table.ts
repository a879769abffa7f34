/**
 * What is remembered of each source, in bounded memory: two generations of at most `most` sources. When the younger one
 * is full it becomes the older, and what was the older is forgotten. A source that sends now is always known; one is
 * forgotten when at least `most` others have sent since it did. A flood from a million forged addresses costs no
 * more memory than the first 2 × `most` of them.
 */
export class SourceTable<T> {
  readonly #most: number
  readonly #make: (source: string) => T
  #young = new Map<string, T>()
  #old = new Map<string, T>()

  /** @param make what is known of a source that is not remembered */
  constructor(most: number, make: (source: string) => T) {
    this.#most = most
    this.#make = make
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  get(source: string): T {
    const young = this.#young.get(source)
    if (young !== undefined) return young
    return this.#enter(source, this.#old.get(source) ?? this.#make(source))
  }

  /** Without remembering it. */
  peek(source: string): T | undefined {
    return this.#young.get(source) ?? this.#old.get(source)
  }

  #enter(source: string, entry: T): T {
    if (this.#young.size >= this.#most) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(source, entry)
    // It may be in both: the size is a bound, not a count.
    return entry
  }
}
