import { BoundedQueue } from './bounded-queue.ts'
import { type Linked, LinkedSet } from './linked-set.ts'
import { TextMap } from './text-map.ts'

/** What waits for one key. */
class Row<T> implements Linked<Row<T>> {
  inSet: LinkedSet<Row<T>> | null = null
  before: Row<T> | null = null
  after: Row<T> | null = null
  readonly key: string
  readonly items = new BoundedQueue<T>(Infinity)

  constructor(key: string) {
    this.key = key
  }
}

/** A queue in which each key has its turn after the other, and its items in their order: who puts in much waits for himself. */
export class FairQueue<T> {
  readonly #rows = new TextMap<Row<T>>()
  readonly #turns = new LinkedSet<Row<T>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  push(key: string, item: T): void {
    let row = this.#rows.get(key)
    if (row === undefined) {
      row = new Row(key)
      this.#rows.set(key, row)
      this.#turns.add(row)
    }
    row.items.push(item)
    this.#size++
  }

  shift(): T | undefined {
    const row = this.#turns.first
    if (row === null) return undefined
    this.#turns.delete(row)
    const item = this.#take(row)
    if (row.items.size > 0) this.#turns.add(row)
    else this.#rows.delete(row.key)
    return item
  }

  /** The first of each key. */
  *heads(): IterableIterator<T> {
    for (const { items } of this.#turns) {
      const head = items.peek()
      if (head !== undefined) yield head
    }
  }

  /** Takes out, of each key, the first ones of which this is true. */
  takeWhile(isMeant: (item: T) => boolean): T[] {
    const taken: T[] = []
    for (const row of [...this.#turns]) {
      for (let head = row.items.peek(); head !== undefined && isMeant(head); head = row.items.peek()) {
        this.#take(row)
        taken.push(head)
      }
      if (row.items.size > 0) continue
      this.#turns.delete(row)
      this.#rows.delete(row.key)
    }
    return taken
  }

  #take(row: Row<T>): T | undefined {
    this.#size--
    return row.items.shift()
  }
}
