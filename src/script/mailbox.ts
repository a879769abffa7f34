import { ByteRingReader, ByteRingWriter, createByteRing } from '../base/byte-ring.ts'
import type { Batch, Item } from './conversation.ts'

/**
 * What one worker says to the engine, in memory that both share: while the engine comes to look anyway (`Looks`), nobody has to
 * wake it. At all other times, and for what does not fit, there is the port.
 *
 * Order is kept: the worker writes here only when the engine has heard everything that it has posted, and the engine reads what
 * is here before it reads what was posted. Nothing is left lying: the engine says first that it comes no more and then looks
 * once more, and the worker writes first and then looks whether the engine still comes.
 */
const COMES = 0
const HEARD = 1
/** Verdicts of some hundred runs; more means that the engine does not come. */
const RING_BYTES = 64 * 1024

/** What an item is, in the word before its value. */
const NULL = 0
const INTEGER = 1
const DOUBLE = 2
const TEXT = 3

export interface MailboxShared {
  readonly flags: SharedArrayBuffer
  readonly ring: SharedArrayBuffer
}

export function createMailbox(): MailboxShared {
  return { flags: new SharedArrayBuffer(8), ring: createByteRing(RING_BYTES) }
}

/** The worker's end. */
export class MailboxWriter {
  readonly #flags: Int32Array
  readonly #ring: ByteRingWriter
  readonly #port: (batch: Batch) => void
  #posted = 0

  /** @param post wakes the engine */
  constructor(shared: MailboxShared, post: (batch: Batch) => void) {
    this.#flags = new Int32Array(shared.flags)
    this.#ring = new ByteRingWriter(shared.ring)
    this.#port = post
  }

  /**
   * Hands a batch over, in the order of the calls.
   * @param urgent a handler waits for the answer: the engine is woken at all events
   */
  send(batch: Batch, urgent = false): void {
    if (
      urgent ||
      !this.#comes ||
      Atomics.load(this.#flags, HEARD) !== this.#posted ||
      !write(this.#ring, batch)
    )
      return this.#post(batch)
    // It may have looked for the last time before this was there.
    if (!this.#comes) this.#post([])
  }

  get #comes(): boolean {
    return Atomics.load(this.#flags, COMES) === 1
  }

  #post(batch: Batch): void {
    this.#posted = (this.#posted + 1) | 0
    this.#port(batch)
  }
}

/** The engine's end. */
export class MailboxReader {
  readonly #flags: Int32Array
  readonly #ring: ByteRingReader

  constructor(shared: MailboxShared) {
    this.#flags = new Int32Array(shared.flags)
    this.#ring = new ByteRingReader(shared.ring)
  }

  /** Says whether the engine comes from now on. Fetch once more after saying no. */
  comes(comes: boolean): void {
    Atomics.store(this.#flags, COMES, comes ? 1 : 0)
  }

  /** A batch has come by the port: after what is here has been fetched. */
  heard(): void {
    Atomics.add(this.#flags, HEARD, 1)
  }

  /** Takes what is here; null: nothing. */
  fetch(): Batch | null {
    const ring = this.#ring
    if (ring.usedBytes === 0) return null
    let batch: Batch | null = null
    ring.drain(Number.POSITIVE_INFINITY, (start, end) => {
      batch ??= []
      read(ring, start, end, batch)
      return true
    })
    return batch
  }
}

/**
 * A record is the number of items and that of its words, then of each item a word for what it is and one for its value (two for
 * a double; for a text its length), then all texts, a byte a character. False: no room, or a character of more than a byte.
 */
function write(ring: ByteRingWriter, batch: Batch): boolean {
  let count = 2
  let characters = 0
  for (const item of batch) {
    count += 2
    if (typeof item === 'string') characters += item.length
    else if (typeof item === 'number' && (item | 0) !== item) count++
  }
  const start = ring.reserve(count * 4 + characters)
  if (start < 0) return false
  const { words, bytes } = ring
  let word = start >> 2
  let end = start + count * 4
  words[word++] = batch.length
  words[word++] = count
  for (const item of batch) {
    if (typeof item === 'string') {
      words[word++] = TEXT
      words[word++] = item.length
      // What was only reserved is seen by nobody, and the next writes over it.
      if (!writeText(bytes, end, item)) return false
      end += item.length
    } else if (item === null) {
      words[word++] = NULL
      words[word++] = 0
    } else if ((item | 0) === item) {
      words[word++] = INTEGER
      words[word++] = item
    } else {
      words[word++] = DOUBLE
      bytes.writeDoubleLE(item, word * 4)
      word += 2
    }
  }
  ring.commit()
  return true
}

/** False when a character does not fit into a byte. */
function writeText(bytes: Buffer, at: number, text: string): boolean {
  let all = 0
  // A loop, because most are short, and the check needs one in any case.
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    all |= code
    bytes[at + i] = code
  }
  return all <= 0xff
}

function read(ring: ByteRingReader, start: number, end: number, batch: Item[]): void {
  const { words, bytes } = ring
  let word = start >> 2
  let left = words[word++] ?? 0
  const textsAt = start + (words[word++] ?? 0) * 4
  const texts = textsAt < end ? bytes.toString('latin1', textsAt, end) : ''
  let text = 0
  for (; left > 0; left--) {
    const what = words[word++]
    if (what === DOUBLE) {
      batch.push(bytes.readDoubleLE(word * 4))
      word += 2
      continue
    }
    const value = words[word++] ?? 0
    if (what === TEXT) {
      batch.push(texts.slice(text, text + value))
      text += value
    } else batch.push(what === NULL ? null : value)
  }
}
