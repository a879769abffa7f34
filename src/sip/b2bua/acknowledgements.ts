import type { Dialog, Outgoing } from '../dialog/dialog.ts'
import { declining } from './declining.ts'
import type { Descriptions } from './descriptions.ts'
import type { Content, Header, Out } from './events.ts'
import { put } from './headers.ts'

/**
 * The ACKs of the peer's 2xx, which are the UAC core's own (RFC 3261 §13.2.2.4): sent when there is something to say, and
 * again, the same, each time the 2xx comes again.
 */
export class Acknowledgements {
  readonly #dialog: Dialog
  readonly #out: Out
  readonly #descriptions: Descriptions
  /** CSeq number of the INVITE whose 2xx waits for its ACK. */
  #waiting: number | null = null
  /** Of that INVITE (§22.1: its ACK has the same). */
  #credentials: readonly Header[] = []
  /** Of that 2xx: the ACK must answer it (§13.2.1). */
  #offer: Content | null = null
  /** The last two: one 2xx may be repeated while the next INVITE is answered. */
  #sent: readonly { readonly seq: number; readonly ack: Outgoing }[] = []

  constructor(dialog: Dialog, out: Out, descriptions: Descriptions) {
    this.#descriptions = descriptions
    this.#dialog = dialog
    this.#out = out
  }

  /** A 2xx waits for its ACK: its offer is still to be answered. */
  get waiting(): boolean {
    return this.#waiting !== null
  }

  /** The 2xx of this INVITE came, for the first time or again. */
  received(seq: number, credentials: readonly Header[] = [], offer: Content | null = null): void {
    const known = this.#sent.find((one) => one.seq === seq)
    if (known !== undefined) this.#out({ do: 'ack', ...known.ack })
    else if (this.#waiting !== seq) {
      this.#waiting = seq
      this.#credentials = credentials
      this.#offer = offer
    }
  }

  /** With the answer, when the 2xx was the offer. */
  send(content: Content | null): void {
    const said = this.#descriptions.describe(content)
    this.#descriptions.told(said)
    const seq = this.#waiting
    if (seq === null) return
    this.#waiting = null
    const ack = this.#dialog.ack(seq)
    put(ack.request, said, this.#credentials)
    this.#sent = [...this.#sent.slice(-1), { seq, ack }]
    this.#out({ do: 'ack', ...ack })
  }

  /**
   * The session ends with a 2xx unanswered: it is acknowledged all the same, so that it is not repeated for 32 s, and its
   * offer declined (§13.2.2.4).
   */
  flush(): void {
    if (this.#waiting === null) return
    const answer = this.#offer === null ? null : declining(this.#offer)
    this.send(answer)
  }
}
