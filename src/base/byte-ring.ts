/**
 * A ring of byte records in shared memory: one thread writes, one other reads, and neither ever waits.
 *
 * Layout: three cache lines of counters (the writer's, the reader's, constants), then `capacity` bytes of data. A record
 * is a 32-bit length and its bytes, padded to four, and never wraps: what is left at the end is skipped by a mark.
 * Positions and counts are 32-bit and wrap; only their differences are used.
 */
const HEADER_BYTES = 192
const TAIL = 0
const PUSHED = 1
const REFUSED = 2
const HEAD = 16
const POPPED = 17
const CAPACITY = 32
const SKIP = -1
const MIN_CAPACITY = 1024
const MAX_CAPACITY = 1 << 30

/** @param capacity bytes of data, rounded up to a power of two, 1 KiB … 1 GiB. A record may take up to half of it. */
export function createByteRing(capacity: number): SharedArrayBuffer {
  let size = MIN_CAPACITY
  while (size < capacity && size < MAX_CAPACITY) size *= 2
  const shared = new SharedArrayBuffer(HEADER_BYTES + size)
  new Int32Array(shared)[CAPACITY] = size
  return shared
}

function counters(shared: SharedArrayBuffer): Int32Array {
  return new Int32Array(shared, 0, HEADER_BYTES / 4)
}

/** The writing end. Exactly one may exist for each ring. */
export class ByteRingWriter {
  /** The data area. Write a reserved record here, from the offset that `reserve` gave. */
  readonly bytes: Buffer
  /** The same memory in 32-bit words, for fields that are aligned: offset / 4. */
  readonly words: Int32Array
  readonly capacity: number
  readonly #counters: Int32Array
  #tail: number
  /** As last read: behind the truth only to the safe side. */
  #head: number
  #next = 0

  constructor(shared: SharedArrayBuffer) {
    this.#counters = counters(shared)
    this.capacity = this.#counters[CAPACITY] ?? 0
    this.bytes = Buffer.from(shared, HEADER_BYTES, this.capacity)
    this.words = new Int32Array(shared, HEADER_BYTES, this.capacity / 4)
    this.#tail = Atomics.load(this.#counters, TAIL)
    this.#head = Atomics.load(this.#counters, HEAD)
  }

  /** Records refused so far, modulo 2^32. */
  get refused(): number {
    return (this.#counters[REFUSED] ?? 0) >>> 0
  }

  /**
   * Makes room for a record of exactly `length` bytes. Returns the offset to write it at, a multiple of four, or -1 when the
   * ring has no room: the record is refused and counted. Nothing is seen by the reader before `commit`.
   */
  reserve(length: number): number {
    const need = 4 + ((length + 3) & ~3)
    const at = this.#tail & (this.capacity - 1)
    const contiguous = this.capacity - at
    const total = need <= contiguous ? need : contiguous + need
    if (need * 2 > this.capacity || total > this.#free()) {
      this.#head = Atomics.load(this.#counters, HEAD)
      if (need * 2 > this.capacity || total > this.#free()) {
        Atomics.add(this.#counters, REFUSED, 1)
        return -1
      }
    }
    let start = at
    if (total !== need) {
      this.words[at >> 2] = SKIP
      start = 0
    }
    this.words[start >> 2] = length
    this.#next = (this.#tail + total) | 0
    return start + 4
  }

  /** Hands the reserved record to the reader. */
  commit(): void {
    this.#tail = this.#next
    Atomics.store(this.#counters, PUSHED, ((this.#counters[PUSHED] ?? 0) + 1) | 0)
    Atomics.store(this.#counters, TAIL, this.#tail)
  }

  #free(): number {
    return this.capacity - ((this.#tail - this.#head) >>> 0)
  }
}

/** The reading end. Exactly one may exist for each ring. */
export class ByteRingReader {
  /** The data area; the ranges that `drain` gives lie in here. */
  readonly bytes: Buffer
  readonly words: Int32Array
  readonly capacity: number
  readonly #counters: Int32Array
  #head: number
  #popped = 0
  #refused = 0
  #refusedSeen = 0

  constructor(shared: SharedArrayBuffer) {
    this.#counters = counters(shared)
    this.capacity = this.#counters[CAPACITY] ?? 0
    this.bytes = Buffer.from(shared, HEADER_BYTES, this.capacity)
    this.words = new Int32Array(shared, HEADER_BYTES, this.capacity / 4)
    this.#head = Atomics.load(this.#counters, HEAD)
  }

  /** Records written and not yet taken. */
  get queued(): number {
    return (Atomics.load(this.#counters, PUSHED) - (this.#counters[POPPED] ?? 0)) >>> 0
  }

  /** Bytes in use, lengths and padding included. */
  get usedBytes(): number {
    return (Atomics.load(this.#counters, TAIL) - this.#head) >>> 0
  }

  /** Records taken by this reader since it was made. */
  get taken(): number {
    return this.#popped
  }

  /** Records refused to the writer. Exact over the 32-bit wrap as long as it is asked (or drained) once in 2^32 refusals. */
  get refused(): number {
    const now = Atomics.load(this.#counters, REFUSED)
    this.#refused += (now - this.#refusedSeen) >>> 0
    this.#refusedSeen = now
    return this.#refused
  }

  /**
   * Gives up to `max` records to `take` as offsets into `bytes`, valid during the call only, and frees their room at the
   * end of the batch. `take` returns false to leave a record (and all after it) for later. Returns how many were taken.
   */
  drain(max: number, take: (start: number, end: number) => boolean): number {
    const mask = this.capacity - 1
    const tail = Atomics.load(this.#counters, TAIL)
    let head = this.#head
    let count = 0
    try {
      while (head !== tail && count < max) {
        let at = head & mask
        let length = this.words[at >> 2] ?? SKIP
        let next = head
        if (length === SKIP) {
          next = (next + this.capacity - at) | 0
          at = 0
          length = this.words[0] ?? 0
        }
        if (!take(at + 4, at + 4 + length)) break
        head = (next + 4 + ((length + 3) & ~3)) | 0
        count++
      }
    } finally {
      // The counts move together with the head, so that queued + taken is exact whenever `take` does not run.
      this.#head = head
      this.#popped += count
      Atomics.store(this.#counters, POPPED, ((this.#counters[POPPED] ?? 0) + count) | 0)
      Atomics.store(this.#counters, HEAD, head)
    }
    return count
  }
}
