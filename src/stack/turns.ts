import type { Connection } from '../net/connection.ts'

/** What streams may take at once, ms. Then datagrams, timers and verdicts get their turn. */
const TURN_MS = 10
/** A turn that began so long ago is over, whoever had it. */
const OVER_MS = 2 * TURN_MS
/** What one connection may have at once while others wait: some ten messages, a millisecond. */
const QUANTUM_BYTES = 4_096
const NOTHING = Buffer.alloc(0)

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
 * wait in a row, one quantum of each connection after the other, and a connection whose bytes wait is not read: TCP tells its peer
 * to wait. So no more waits than what was read of each at once (64 KiB).
 */
export class StreamTurns {
  readonly #o: TurnsOptions
  readonly #later: (run: () => void) => unknown
  /** In the order of their turns. */
  readonly #waiting = new Map<Connection, Buffer[]>()
  #began = 0
  #spentMs = 0
  #turnComes = false

  constructor(options: TurnsOptions) {
    this.#o = options
    this.#later = options.later ?? setImmediate
  }

  /** Connections of which something has come in that is not handled yet. */
  get waiting(): number {
    return this.#waiting.size
  }

  take(connection: Connection, bytes: Buffer): void {
    if (this.#waiting.size > 0) return this.#wait(connection, bytes)
    const now = this.#o.now()
    if (now - this.#began >= OVER_MS) this.#begin(now)
    if (this.#spentMs < TURN_MS) this.#handle(connection, bytes, now)
    else this.#wait(connection, bytes)
  }

  #begin(now: number): void {
    this.#began = now
    this.#spentMs = 0
  }

  #handle(connection: Connection, bytes: Buffer, now: number): void {
    // A frame of a WebSocket is one message: only streams can be cut.
    const whole = bytes.length <= QUANTUM_BYTES || connection.ping !== null
    this.#o.handle(connection, whole ? bytes : bytes.subarray(0, QUANTUM_BYTES))
    this.#spentMs += this.#o.now() - now
    if (!whole) this.#wait(connection, bytes.subarray(QUANTUM_BYTES))
  }

  #wait(connection: Connection, ...bytes: readonly Buffer[]): void {
    const others = this.#waiting.get(connection)
    if (others === undefined) {
      connection.pause()
      this.#waiting.set(connection, [...bytes])
    } else others.push(...bytes)
    this.#awaitTurn()
  }

  #awaitTurn(): void {
    if (!this.#turnComes) this.#later(this.#turn)
    this.#turnComes = true
  }

  readonly #turn = (): void => {
    this.#turnComes = false
    this.#begin(this.#o.now())
    while (this.#spentMs < TURN_MS) {
      const [next] = this.#waiting
      if (next === undefined) return
      const [connection, [first = NOTHING, ...others]] = next
      this.#waiting.delete(connection)
      this.#handle(connection, first, this.#o.now())
      if (others.length > 0) this.#wait(connection, ...others)
      else if (!this.#waiting.has(connection)) connection.resume()
    }
    if (this.#waiting.size > 0) this.#awaitTurn()
  }
}
