import { isA, isSpace, TOKEN } from './characters.ts'
import { type Fault, malformed, type Parsed } from './fault.ts'
import { readHead } from './head.ts'
import { defaultLimits, type Limits } from './limits.ts'
import { lineEnd } from './lines.ts'
import { findFault } from './parse.ts'
import { unsizedFault } from './unsized.ts'

export type Framed =
  /** `last`: its body was the rest of the stream; nothing that follows is one. */
  | { readonly what: 'message'; readonly text: string; readonly last?: true }
  /** CRLF CRLF between messages: a ping that wants a CRLF for an answer (RFC 5626 §3.5.1, §4.4.1). */
  | { readonly what: 'keepalive' }
  /** Where the next message starts cannot be known: close the connection. `text` is what may be left to answer. */
  | { readonly what: 'fault'; readonly fault: Fault; readonly text: string }

const CR = 0x0d
const LF = 0x0a
const EMPTY = new Uint8Array(0)

/**
 * What the bytes that come in are: `messages`, each with its length; the `rest` of a request without one; of no use, since
 * such a request has been given (`over`) or since a fault (`dead`).
 */
type Phase = 'messages' | 'rest' | 'over' | 'dead'

/**
 * Cuts a stream of bytes into messages by their Content-Length (§18.3, §7.5).
 *
 * A request without one is taken as RFC 2543 had it: its body is all that follows, until the caller says that no more
 * comes. No byte after it is read as SIP: it could be body. The first one is a fault.
 *
 * What it says of bytes depends on them alone, never on how they were split. Each byte is looked at a bounded number of
 * times, however it arrives, as long as `stalled` is asked once a message. After a fault it is dead: it gives nothing any
 * more and keeps nothing.
 */
export class StreamFramer {
  readonly #limits: Limits
  /** Bytes kept from one push to the next: the start of a message. */
  #kept: Uint8Array = EMPTY
  #keptLength = 0
  /** Where the search for the empty line goes on, from the start of the message. */
  #searched = 0
  /** Length of the whole message once its head has been read, else 0. */
  #messageLength = 0
  /** One CRLF between messages was seen. */
  #afterEmptyLine = false
  #phase: Phase = 'messages'

  constructor(limits: Limits = defaultLimits) {
    this.#limits = limits
  }

  /** Bytes held back because their message is not complete. */
  get buffered(): number {
    return this.#keptLength
  }

  /** The head of a message has begun and has not ended. */
  get inHead(): boolean {
    return this.#keptLength > 0 && this.#messageLength === 0 && this.#phase === 'messages'
  }

  /** The body of a message without Content-Length is coming in: only silence ends it. */
  get inRest(): boolean {
    return this.#phase === 'rest'
  }

  /** Nothing that comes in is read any more. */
  get deaf(): boolean {
    return this.#phase === 'over' || this.#phase === 'dead'
  }

  /**
   * To be asked when a message stops coming. One without Content-Length is whole then.
   *
   * A head may never end, as where the empty line was forgotten; when what is there of it is broken beyond what could
   * follow, that is the fault. A line is looked at once the next one has begun: until then it may be folded (§7.3.1). Its
   * fault is one that the whole message would have, so that no valid one is harmed.
   */
  stalled(): Framed[] {
    const framed: Framed[] = []
    if (!this.inHead && !this.inRest) return framed
    const text = latin1(this.#kept, 0, this.#keptLength)
    if (this.inRest) {
      this.#phase = 'over'
      this.#forget()
      return [{ what: 'message', text, last: true }]
    }
    const fault = findFault(text.slice(0, unfoldable(text)), this.#limits)
    if (fault === null) return framed
    // A last line that might have been folded does for an answer; one that is cut off does not.
    this.#fail(fault, text.slice(0, text.lastIndexOf('\r\n') + 2), framed)
    this.#forget()
    return framed
  }

  /** Takes the next bytes of the stream; gives what has become complete. The bytes can be reused after the call. */
  push(bytes: Uint8Array): Framed[] {
    const framed: Framed[] = []
    if (this.#phase === 'dead' || bytes.length === 0) return framed
    if (this.#phase === 'over') {
      this.#fail({ status: 400, what: 'more after a message without content-length' }, '', framed)
      return framed
    }
    const joined = this.#keptLength > 0
    if (joined) this.#keep(bytes)
    const source = joined ? this.#kept : bytes
    const end = joined ? this.#keptLength : bytes.length
    let start = 0
    while (start < end && !this.deaf) {
      const next = this.#frame(source, start, end, framed)
      if (next === start) break
      start = next
    }
    if (this.deaf) this.#forget()
    else if (!joined) this.#keep(bytes.subarray(start))
    else if (start > 0) {
      this.#kept.copyWithin(0, start, end)
      this.#keptLength = end - start
      if (this.#keptLength === 0) this.#forget()
    }
    return framed
  }

  /** Takes one thing from the source and returns where the next one starts; `start` when more bytes are needed. */
  #frame(source: Uint8Array, start: number, end: number, framed: Framed[]): number {
    if (this.inRest) return this.#rest(source, start, end, framed)
    if (this.#messageLength === 0 && this.#searched === 0 && source[start] === CR) {
      if (start + 1 === end) return start
      if (source[start + 1] === LF) {
        if (this.#afterEmptyLine) framed.push({ what: 'keepalive' })
        this.#afterEmptyLine = !this.#afterEmptyLine
        return start + 2
      }
    }
    this.#afterEmptyLine = false
    if (this.#messageLength === 0 && this.#searched === 0 && !isA(TOKEN, source[start] ?? 0)) {
      // A TLS handshake on a TCP port, the rest of a body that was announced too short …: do not wait for its end.
      this.#fail({ status: 400, what: 'a message cannot start so' }, '', framed)
      return end
    }
    if (this.#messageLength === 0 && !this.#readHead(source, start, end, framed))
      return this.deaf ? end : start
    // Its body may be here already, and too long.
    if (this.inRest) return this.#rest(source, start, end, framed)
    const stop = start + this.#messageLength
    if (stop > end) return start
    framed.push({ what: 'message', text: latin1(source, start, stop) })
    this.#messageLength = 0
    this.#searched = 0
    return stop
  }

  /** The body of a message without Content-Length grows: as far as one with it may. */
  #rest(source: Uint8Array, start: number, end: number, framed: Framed[]): number {
    const { maxMessageBytes } = this.#limits
    if (end - start <= maxMessageBytes) return start
    this.#fail(TOO_LONG, latin1(source, start, start + maxMessageBytes), framed)
    return end
  }

  /** Looks for the end of the head and learns the message's length from it. False when there is more to come, or a fault. */
  #readHead(source: Uint8Array, start: number, end: number, framed: Framed[]): boolean {
    const limit = Math.min(end, start + this.#limits.maxHeaderBytes)
    const bodyStart = afterEmptyLine(source, start + this.#searched, limit)
    if (bodyStart < 0) {
      if (limit < start + this.#limits.maxHeaderBytes) {
        this.#searched = Math.max(1, end - start - 3)
        return false
      }
      this.#fail(
        { status: 513, what: 'header fields that are too long' },
        latin1(source, start, limit),
        framed,
      )
      return false
    }
    const head = latin1(source, start, bodyStart)
    const length = announcedLength(head, this.#limits)
    if (!length.ok) {
      this.#fail(length.fault, head, framed)
      return false
    }
    if (length.value === null) this.#phase = 'rest'
    else this.#messageLength = head.length + length.value
    return true
  }

  #fail(fault: Fault, text: string, framed: Framed[]): void {
    this.#phase = 'dead'
    framed.push({ what: 'fault', fault, text })
  }

  #keep(bytes: Uint8Array): void {
    const length = this.#keptLength + bytes.length
    if (length > this.#kept.length) {
      // Doubling, so that a byte is copied a bounded number of times.
      const larger = new Uint8Array(Math.max(length, 2 * this.#kept.length, 1024))
      larger.set(this.#kept.subarray(0, this.#keptLength))
      this.#kept = larger
    }
    this.#kept.set(bytes, this.#keptLength)
    this.#keptLength = length
  }

  #forget(): void {
    this.#kept = EMPTY
    this.#keptLength = 0
  }
}

/** The length of the lines that have ended and are followed by the beginning of another, not of a fold. */
function unfoldable(text: string): number {
  let crlf = text.lastIndexOf('\r\n')
  while (crlf >= 0 && (crlf + 2 === text.length || isSpace(text.charCodeAt(crlf + 2)))) {
    crlf = crlf === 0 ? -1 : text.lastIndexOf('\r\n', crlf - 1)
  }
  return crlf < 0 ? 0 : crlf + 2
}

/** The place after the first CRLF CRLF in `source` that starts at or after `from` and ends by `end`; -1 when there is none. */
function afterEmptyLine(source: Uint8Array, from: number, end: number): number {
  for (let lf = source.indexOf(LF, from + 3); lf >= 0 && lf < end; lf = source.indexOf(LF, lf + 1)) {
    if (source[lf - 1] === CR && source[lf - 2] === LF && source[lf - 3] === CR) return lf + 1
  }
  return -1
}

const TOO_LONG: Fault = { status: 513, what: 'the message is too long' }

/**
 * How long the body is said to be; null: as long as the stream. The head is read by the parser's own rules and any fault in it ends the stream:
 * a peer that is read one way by us and another way by someone else can smuggle a message between us.
 */
function announcedLength(head: string, limits: Limits): Parsed<number | null> {
  const end = lineEnd(head, 0)
  if (end < 0) return malformed('a bare CR or LF in the start line')
  const read = readHead(head, end + 2, limits)
  if (!read.ok) return read
  const { contentLength } = read.value
  if (contentLength === null) {
    const fault = unsizedFault(head, limits)
    return fault === null ? { ok: true, value: null } : { ok: false, fault }
  }
  if (head.length + contentLength > limits.maxMessageBytes) return { ok: false, fault: TOO_LONG }
  return { ok: true, value: contentLength }
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
}
