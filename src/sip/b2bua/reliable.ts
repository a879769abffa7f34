import type { Request, Response } from '../message/message.ts'
import type { Timers } from '../transaction/timers.ts'
import type { Actor, Out } from './events.ts'

/**
 * Reliable provisional responses of one dialog, sender's side (RFC 3262 §3): numbered, one at a time, each repeated until
 * its PRACK. What may not overtake the one that waits (the next reliable one, a 2xx) waits behind it.
 */
export class ReliableSender {
  readonly #by: Actor
  readonly #out: Out
  readonly #timers: Timers
  readonly #waiting: (() => void)[] = []
  #seq: number
  #unpracked: { readonly seq: number; readonly transaction: number; readonly response: Response } | null =
    null
  #interval = 0

  /** @param first RSeq of the first, 1 … 2^31 - 1 */
  constructor(by: Actor, out: Out, timers: Timers, first: number) {
    this.#by = by
    this.#out = out
    this.#timers = timers
    this.#seq = first
  }

  /** Sends it now, or when those before it are acknowledged. */
  send(transaction: number, response: Response): void {
    this.after(() => {
      const seq = this.#seq++
      response.headers.append('Require', '100rel')
      response.headers.append('RSeq', String(seq))
      this.#unpracked = { seq, transaction, response }
      this.#interval = this.#timers.t1
      this.#out({ do: 'respond', transaction, response })
      this.#start('reliable', this.#interval)
      this.#start('unpracked', this.#timers.life)
    })
  }

  /** Does something when no reliable response waits for its PRACK. */
  after(then: () => void): void {
    if (this.#unpracked === null) then()
    else this.#waiting.push(then)
  }

  /** Whether a PRACK is for the response that waits; then it waits no more. What was held back follows with `release`. */
  pracked(prack: Request): boolean {
    const waiting = this.#unpracked
    const [rseq, cseq, method] = (prack.headers.first('rack') ?? '').trim().split(/\s+/)
    if (waiting === null || Number(rseq) !== waiting.seq) return false
    if (method !== 'INVITE' || Number(cseq) !== waiting.response.cseq.number) return false
    this.#unpracked = null
    this.#stop()
    return true
  }

  /** After the PRACK has its answer. */
  release(): void {
    while (this.#unpracked === null) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      next()
    }
  }

  repeat(): void {
    if (this.#unpracked === null) return
    const { transaction, response } = this.#unpracked
    this.#interval *= 2
    this.#out({ do: 'respond', transaction, response })
    this.#start('reliable', this.#interval)
  }

  /** The INVITE is over otherwise: nothing more is sent. */
  abandon(): void {
    if (this.#unpracked !== null) this.#stop()
    this.#unpracked = null
    this.#waiting.length = 0
  }

  #start(timer: 'reliable' | 'unpracked', ms: number): void {
    this.#out({ do: 'startTimer', by: this.#by, timer, ms, spreadMs: 0 })
  }

  #stop(): void {
    this.#out({ do: 'stopTimer', by: this.#by, timer: 'reliable' })
    this.#out({ do: 'stopTimer', by: this.#by, timer: 'unpracked' })
  }
}
