/** What can be in one `LinkedSet` at a time. The fields are the set's. */
export interface Linked<T extends Linked<T>> {
  /** The set it is in. */
  inSet: LinkedSet<T> | null
  before: T | null
  after: T | null
}

/**
 * A set in the order of adding whose items hold the links themselves: nothing is allocated, nothing is looked up, and nothing
 * points to what was taken out (V8's Set does for long, see `TextMap`).
 */
export class LinkedSet<T extends Linked<T>> {
  #first: T | null = null
  #last: T | null = null
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The one that was added before all others. */
  get first(): T | null {
    return this.#first
  }

  /** Throws when it is in a set already. */
  add(item: T): void {
    if (item.inSet !== null) throw new Error('an item that is in a set already')
    const last = this.#last
    item.inSet = this
    item.before = last
    if (last === null) this.#first = item
    else last.after = item
    this.#last = item
    this.#size++
  }

  has(item: T): boolean {
    return item.inSet === this
  }

  /** Tells whether it was there. */
  delete(item: T): boolean {
    if (item.inSet !== this) return false
    const { before, after } = item
    if (before === null) this.#first = after
    else before.after = after
    if (after === null) this.#last = before
    else after.before = before
    item.inSet = null
    item.before = null
    item.after = null
    this.#size--
    return true
  }

  /** The item that was given last may be taken out meanwhile; whoever takes out others goes through a copy. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (let item = this.#first; item !== null;) {
      const { after } = item
      yield item
      item = after
    }
  }

  clear(): void {
    while (this.#first !== null) this.delete(this.#first)
  }
}
