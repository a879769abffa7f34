/** What a `DeadlineHeap` holds. Both fields are written by the heap alone while the item is in it. */
export interface Due {
  /** Monotonic ms. */
  deadline: number
  /** Where in the heap it is; -1 outside. */
  place: number
}

/**
 * Items by deadline: a binary heap whose items know their places, so that one is moved or removed in log n steps
 * without a search and nothing stale is ever left in it.
 */
export class DeadlineHeap<Item extends Due> {
  readonly #items: Item[] = []

  get size(): number {
    return this.#items.length
  }

  /** The item due first. */
  get first(): Item | undefined {
    return this.#items[0]
  }

  /** Puts an item in, or moves it to its new deadline. */
  put(item: Item, deadline: number): void {
    const later = item.place >= 0 && deadline > item.deadline
    item.deadline = deadline
    if (item.place < 0) {
      item.place = this.#items.length
      this.#items.push(item)
    }
    if (later) this.#sink(item)
    else this.#rise(item)
  }

  /** Takes an item out; nothing happens when it is not in. */
  remove(item: Item): void {
    const at = item.place
    if (at < 0) return
    item.place = -1
    const last = this.#items.pop()
    if (last === undefined || last === item) return
    this.#set(at, last)
    this.#rise(last)
    this.#sink(last)
  }

  #rise(item: Item): void {
    let at = item.place
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = this.#items[above]
      if (parent === undefined || parent.deadline <= item.deadline) break
      this.#set(at, parent)
      at = above
    }
    this.#set(at, item)
  }

  #sink(item: Item): void {
    let at = item.place
    for (;;) {
      const left = this.#items[2 * at + 1]
      const right = this.#items[2 * at + 2]
      const child = left !== undefined && right !== undefined && right.deadline < left.deadline ? right : left
      if (child === undefined || child.deadline >= item.deadline) break
      const below = child.place
      this.#set(at, child)
      at = below
    }
    this.#set(at, item)
  }

  #set(at: number, item: Item): void {
    this.#items[at] = item
    item.place = at
  }
}
