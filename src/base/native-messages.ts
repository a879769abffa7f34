import type { Destination, KernelUdp, NativeMemory } from './native-udp.ts'

/**
 * sendmmsg and recvmmsg of 64-bit Linux: arrays of struct mmsghdr in memory that never moves, made once. A header's words are
 * msg_name, msg_namelen, msg_iov, msg_iovlen, msg_control, msg_controllen, msg_flags, and msg_len, which recvmmsg writes.
 */
/** struct sockaddr_in. */
export const SOCKADDR_IN = 16
export const MSG_DONTWAIT = 0x40
const MMSGHDR = 64
const IOVEC = 16
const HEADER_WORDS = MMSGHDR / 8
const LENGTH_AT = 56
/** No datagram is longer. */
const SLOT = 1 << 16

export interface NativeBatch {
  readonly size: number
  readonly full: boolean
  add(offset: number, length: number): void
  /**
   * Sends what was added, from the first on, and is empty again. Returns how many the kernel took; fewer than there
   * were when its buffer is full, or when the peer's port is closed (then dgram hears of it).
   */
  send(fd: number): number
}

export interface NativeBurst {
  readonly size: number
  /** Adds a text of one character a byte; null when there is no room for it. The bytes are valid until `send`. */
  add(text: string, to: Destination): Uint8Array | null
  /** Sends all and is empty again; `refused` gets, by number and bytes, each that the kernel does not take now. */
  send(fd: number, refused: (index: number, bytes: Uint8Array) => void): void
}

export interface NativeReader {
  /** What the kernel's pointers lead to: must live as long as the reader. */
  readonly held: readonly unknown[]
  /** Reads what has come. Returns how many; fewer than the most there could be when nothing is left. */
  read(fd: number): number
  /** The bytes of datagram `index` of the last read: valid until the next. */
  bytes(index: number): Buffer
  /** Where it came from, as a number: the IPv4 address × 65,536 + the port. */
  source(index: number): number
}

type Allocate = (bytes: number) => NativeMemory

interface Messages {
  readonly headers: NativeMemory
  readonly words: Words
  /** Of each message a pointer and a length. */
  readonly vectors: Words
}

/** Memory as words of eight bytes, written without making a BigInt of each. */
class Words {
  readonly #halves: Uint32Array

  constructor({ bytes }: NativeMemory) {
    this.#halves = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  }

  /** @param value a safe integer, 0 or more */
  set(word: number, value: number): void {
    this.#halves[word * 2] = value >>> 0
    this.#halves[word * 2 + 1] = value / 0x1_0000_0000
  }
}

function messages(most: number, memory: Allocate): Messages {
  const headers = memory(most * MMSGHDR)
  const vectors = memory(most * IOVEC)
  headers.bytes.fill(0)
  const words = new Words(headers)
  for (let i = 0; i < most; i++) {
    words.set(i * HEADER_WORDS + 2, vectors.address + i * IOVEC)
    words.set(i * HEADER_WORDS + 3, 1)
  }
  return { headers, words, vectors: new Words(vectors) }
}

export function createBatch(
  kernel: KernelUdp,
  from: NativeMemory,
  most: number,
  memory: Allocate,
): NativeBatch {
  const { headers, vectors } = messages(most, memory)
  let size = 0
  return {
    get size() {
      return size
    },
    get full() {
      return size === most
    },
    add: (offset, length) => {
      vectors.set(size * 2, from.address + offset)
      vectors.set(size * 2 + 1, length)
      size++
    },
    send: (fd) => {
      const count = size
      size = 0
      return count === 0 ? 0 : Math.max(0, kernel.sendmmsg(fd, headers.pointer, count, MSG_DONTWAIT))
    },
  }
}

export function createBurst(kernel: KernelUdp, most: number, bytes: number, memory: Allocate): NativeBurst {
  const { headers, words, vectors } = messages(most, memory)
  const slab = memory(bytes)
  const ends = new Uint32Array(most + 1)
  for (let i = 0; i < most; i++) words.set(i * HEADER_WORDS + 1, SOCKADDR_IN)
  let size = 0
  const sendFrom = (fd: number, first: number): number => {
    const at = first === 0 ? headers.pointer : headers.pointer + BigInt(first * MMSGHDR)
    return kernel.sendmmsg(fd, at, size - first, MSG_DONTWAIT)
  }
  return {
    get size() {
      return size
    },
    add: (text, to) => {
      const start = ends[size] ?? 0
      const { length } = text
      if (size === most || start + length > bytes) return null
      slab.bytes.write(text, start, length, 'latin1')
      words.set(size * HEADER_WORDS, to.address)
      vectors.set(size * 2, slab.address + start)
      vectors.set(size * 2 + 1, length)
      size++
      ends[size] = start + length
      return slab.bytes.subarray(start, start + length)
    },
    send: (fd, refused) => {
      let first = 0
      while (first < size) {
        first += Math.max(0, sendFrom(fd, first))
        if (first >= size) break
        refused(first, slab.bytes.subarray(ends[first], ends[first + 1]))
        first++
      }
      size = 0
    },
  }
}

export function createReader(kernel: KernelUdp, most: number, memory: Allocate): NativeReader {
  const { headers, words, vectors } = messages(most, memory)
  const slab = memory(most * SLOT)
  const names = memory(most * SOCKADDR_IN)
  for (let i = 0; i < most; i++) {
    words.set(i * HEADER_WORDS, names.address + i * SOCKADDR_IN)
    // The kernel writes back what it used of it, which of an IPv4 socket is always all.
    words.set(i * HEADER_WORDS + 1, SOCKADDR_IN)
    vectors.set(i * 2, slab.address + i * SLOT)
    vectors.set(i * 2 + 1, SLOT)
  }
  return {
    // No function here uses the vectors again, and what nothing uses is freed.
    held: [words, vectors, slab, names],
    read: (fd) => Math.max(0, kernel.recvmmsg(fd, headers.pointer, most, MSG_DONTWAIT, 0n)),
    bytes: (index) => {
      const length = headers.bytes.readUInt32LE(index * MMSGHDR + LENGTH_AT)
      return slab.bytes.subarray(index * SLOT, index * SLOT + length)
    },
    source: (index) => {
      const at = index * SOCKADDR_IN
      return names.bytes.readUInt32BE(at + 4) * 65_536 + names.bytes.readUInt16BE(at + 2)
    },
  }
}
