const MIN_SLOTS = 16

/**
 * A map by numbers that count up, for what comes and goes: what was taken out is pointed to by nothing (V8's Map does for long,
 * see `TextMap`). Open addressing with linear probing; a number's slot is its lowest bits. No order is kept.
 */
export class NumberMap<V> {
  #keys: Float64Array = new Float64Array(MIN_SLOTS)
  #values: (V | undefined)[] = Array.from({ length: MIN_SLOTS })
  #size = 0

  get size(): number {
    return this.#size
  }

  get(key: number): V | undefined {
    return this.#size === 0 ? undefined : this.#values[this.#find(key)]
  }

  has(key: number): boolean {
    return this.get(key) !== undefined
  }

  /**
   * @param key a safe integer, 0 or more
   * @param value anything but undefined, which `get` says for what is not there
   */
  set(key: number, value: V): void {
    if ((this.#size + 1) * 2 > this.#values.length) this.#resize(this.#values.length * 2)
    const slot = this.#find(key)
    if (this.#values[slot] === undefined) this.#size++
    this.#keys[slot] = key
    this.#values[slot] = value
  }

  /** Tells whether it was there. */
  delete(key: number): boolean {
    const values = this.#values
    const keys = this.#keys
    const mask = values.length - 1
    let gap = this.#find(key)
    if (values[gap] === undefined) return false
    // What was put further on because this slot was taken moves up: no mark of the deleted is needed.
    for (let slot = (gap + 1) & mask; values[slot] !== undefined; slot = (slot + 1) & mask) {
      const moving = keys[slot] ?? 0
      if (((slot - (moving % values.length)) & mask) < ((slot - gap) & mask)) continue
      keys[gap] = moving
      values[gap] = values[slot]
      gap = slot
    }
    values[gap] = undefined
    this.#size--
    if (values.length > MIN_SLOTS && this.#size * 16 < values.length) this.#resize(values.length / 2)
    return true
  }

  *values(): IterableIterator<V> {
    for (const value of this.#values) if (value !== undefined) yield value
  }

  clear(): void {
    this.#keys = new Float64Array(MIN_SLOTS)
    this.#values = Array.from({ length: MIN_SLOTS })
    this.#size = 0
  }

  /** The slot it is in, or the free one where it would be. */
  #find(key: number): number {
    const values = this.#values
    const mask = values.length - 1
    let slot = key % values.length
    while (values[slot] !== undefined && this.#keys[slot] !== key) slot = (slot + 1) & mask
    return slot
  }

  /** @param count a power of two */
  #resize(count: number): void {
    const keys = this.#keys
    const values = this.#values
    this.#keys = new Float64Array(count)
    this.#values = Array.from({ length: count })
    for (let i = 0; i < values.length; i++) {
      const value = values[i]
      if (value === undefined) continue
      const key = keys[i] ?? 0
      const slot = this.#find(key)
      this.#keys[slot] = key
      this.#values[slot] = value
    }
  }
}
