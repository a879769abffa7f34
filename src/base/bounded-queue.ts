/** First in, first out, with a ceiling: a full queue refuses and counts, it never blocks and never grows past `capacity`. */
export class BoundedQueue<T> {
  readonly capacity: number
  #items: (T | undefined)[] = []
  #head = 0
  #refused = 0

  /** @param capacity most items held at once, 1 or more */
  constructor(capacity: number) {
    this.capacity = capacity
  }

  get size(): number {
    return this.#items.length - this.#head
  }

  /** How many items `push` has refused so far. */
  get refused(): number {
    return this.#refused
  }

  /** False when full: the item was not taken, and was counted. */
  push(item: T): boolean {
    if (this.size >= this.capacity) {
      this.#refused++
      return false
    }
    this.#items.push(item)
    return true
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head++] = undefined
    // Compact rarely: moving the tail once in a while costs less than a linked list's allocations.
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  peek(): T | undefined {
    return this.#items[this.#head]
  }
}
