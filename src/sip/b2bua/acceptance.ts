import type { Response } from '../message/message.ts'
import type { Timers } from '../transaction/timers.ts'
import type { Actor, Out } from './events.ts'

/**
 * A 2xx to an INVITE that waits for its ACK: the UAS core repeats it, whatever the transport, until the ACK comes or
 * 64 × T1 have passed (RFC 3261 §13.3.1.4).
 */
export class Acceptance {
  /** CSeq number of the INVITE. */
  readonly seq: number
  /** The 2xx carries an offer: the ACK must answer it (§13.2.1). */
  readonly offered: boolean
  readonly #transaction: number
  readonly #response: Response
  readonly #by: Actor
  readonly #out: Out
  readonly #timers: Timers
  #interval: number

  constructor(
    by: Actor,
    out: Out,
    timers: Timers,
    { transaction, response, offered }: { transaction: number; response: Response; offered: boolean },
  ) {
    this.seq = response.cseq.number
    this.offered = offered
    this.#transaction = transaction
    this.#response = response
    this.#by = by
    this.#out = out
    this.#timers = timers
    this.#interval = timers.t1
    this.#send()
    out({ do: 'startTimer', by, timer: 'unacked', ms: timers.life, spreadMs: 0 })
  }

  repeat(): void {
    this.#interval = Math.min(2 * this.#interval, this.#timers.t2)
    this.#send()
  }

  /** Acknowledged, or given up. */
  stop(): void {
    this.#out({ do: 'stopTimer', by: this.#by, timer: 'repeat' })
    this.#out({ do: 'stopTimer', by: this.#by, timer: 'unacked' })
  }

  #send(): void {
    this.#out({ do: 'respond', transaction: this.#transaction, response: this.#response })
    this.#out({ do: 'startTimer', by: this.#by, timer: 'repeat', ms: this.#interval, spreadMs: 0 })
  }
}
