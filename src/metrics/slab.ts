/** 16 kB: a worker's usual metrics in one chunk, and little lost when a worker has few. */
const CHUNK_SLOTS = 2048

export interface Slots {
  readonly chunk: number
  readonly buffer: SharedArrayBuffer
  readonly cells: Float64Array
  /** Index of the first slot in `cells`. */
  readonly at: number
}

/**
 * The numbers of one thread: Float64 slots that only this thread writes and the control thread reads.
 * Grows by chunks, because a handle to a slot of a fixed buffer is one load away and stays valid for ever.
 */
export class Slab {
  #buffer: SharedArrayBuffer | undefined
  #cells: Float64Array = new Float64Array(0)
  #used = 0
  #chunks = 0

  /** Hands out `count` neighbouring slots, all 0. */
  take(count: number): Slots {
    if (this.#buffer === undefined || this.#used + count > this.#cells.length) {
      this.#buffer = new SharedArrayBuffer(Math.max(count, CHUNK_SLOTS) * 8)
      this.#cells = new Float64Array(this.#buffer)
      this.#used = 0
      this.#chunks++
    }
    const at = this.#used
    this.#used += count
    return { chunk: this.#chunks - 1, buffer: this.#buffer, cells: this.#cells, at }
  }
}
