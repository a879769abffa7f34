import type { Connection } from '../net/connection.ts'

/** What streams may take at once, ms. Then datagrams, timers and verdicts get their turn. */
const TURN_MS = 10
/** A turn that began so long ago is over, whoever had it. */
const OVER_MS = 2 * TURN_MS
/** What one connection may have at once while others wait: some ten messages, a millisecond. */
const QUANTUM_BYTES = 4_096
const NOTHING = Buffer.alloc(0)
const FRESH_IN_A_ROW = 8

/** What has come in and waits, by connection. */
type Row = Map<Connection, Buffer[]>

export interface TurnsOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly handle: (connection: Connection, bytes: Buffer) => void
  /** Runs something after everything else that is due now; `setImmediate` unless told. */
  readonly later?: (run: () => void) => unknown
}

/**
 * Whose bytes are handled next, and when: a connection that sends as fast as it can costs those their time who do not.
 *
 * What comes in is handled at once while there is time. Past `TURN_MS`, and where one connection has more than its quantum, bytes
 * wait, and a connection whose bytes wait is not read: TCP tells its peer to wait. So no more waits than what was read of each at
 * once (64 KiB). Of those who wait, who had nothing yet of what came in is before who had a quantum of it, as in FQ-CoDel
 * (RFC 8290 §4.1): a phone with one message is before fifty peers with a hundred each.
 */
export class StreamTurns {
  readonly #o: TurnsOptions
  readonly #later: (run: () => void) => unknown
  /** Of these nothing was handled since they came to wait; in the order of their turns. */
  readonly #fresh: Row = new Map()
  /** Of these a quantum was, at least. */
  readonly #served: Row = new Map()
  #began = 0
  #spentMs = 0
  #turnComes = false
  #freshInARow = 0

  constructor(options: TurnsOptions) {
    this.#o = options
    this.#later = options.later ?? setImmediate
  }

  /** Connections of which something has come in that is not handled yet. */
  get waiting(): number {
    return this.#fresh.size + this.#served.size
  }

  take(connection: Connection, bytes: Buffer): void {
    if (this.waiting > 0) return this.#wait(this.#fresh, connection, [bytes])
    const now = this.#o.now()
    if (now - this.#began >= OVER_MS) this.#begin(now)
    if (this.#spentMs < TURN_MS) this.#handle(connection, [bytes], now)
    else this.#wait(this.#fresh, connection, [bytes])
    return undefined
  }

  #begin(now: number): void {
    this.#began = now
    this.#spentMs = 0
  }

  /** Handles a quantum of the first of these, and lets the rest wait. */
  #handle(connection: Connection, [first = NOTHING, ...others]: readonly Buffer[], now: number): void {
    // A frame of a WebSocket is one message: only streams can be cut.
    const whole = first.length <= QUANTUM_BYTES || connection.ping !== null
    this.#o.handle(connection, whole ? first : first.subarray(0, QUANTUM_BYTES))
    this.#spentMs += this.#o.now() - now
    const rest = whole ? others : [first.subarray(QUANTUM_BYTES), ...others]
    if (rest.length > 0) this.#wait(this.#served, connection, rest)
    else connection.resume()
  }

  #wait(row: Row, connection: Connection, bytes: readonly Buffer[]): void {
    const others = this.#fresh.get(connection) ?? this.#served.get(connection)
    if (others === undefined) {
      connection.pause()
      row.set(connection, [...bytes])
    } else others.push(...bytes)
    if (!this.#turnComes) this.#later(this.#turn)
    this.#turnComes = true
  }

  readonly #turn = (): void => {
    this.#turnComes = false
    this.#begin(this.#o.now())
    while (this.#spentMs < TURN_MS) {
      const row = this.#next()
      const [next] = row
      if (next === undefined) return
      row.delete(next[0])
      this.#handle(...next, this.#o.now())
    }
    if (this.waiting === 0 || this.#turnComes) return
    this.#turnComes = true
    this.#later(this.#turn)
  }

  /** Those who had something get their turn all the same, however many others come. */
  #next(): Row {
    if (this.#fresh.size > 0 && (this.#served.size === 0 || ++this.#freshInARow < FRESH_IN_A_ROW))
      return this.#fresh
    this.#freshInARow = 0
    return this.#served
  }
}
