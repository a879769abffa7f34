import type { Clock } from '../../base/clock.ts'
import type { RefusedBy } from '../../sip/b2bua/events.ts'
import { UacLeg } from '../../sip/b2bua/uac-leg.ts'
import type { UasLeg } from '../../sip/b2bua/uas-leg.ts'
import type { Spine } from '../../spine/spine.ts'
import { BranchWatch, type GatewayPort } from '../branch-watch.ts'

interface Book {
  readonly at: number
  answered: boolean | null
  setupMs: number | null
  /** Of a leg to a gateway. */
  readonly watch: BranchWatch | null
}

export interface LegBooksWorld {
  readonly clock: Clock
  readonly spine: Spine
  /** Null: there are none. */
  readonly gateways: GatewayPort | null
}

/** The legs that a call has dialled: when each began, and what came of it, for the metrics and for its gateway. */
export class LegBooks {
  readonly #w: LegBooksWorld
  readonly #books = new Map<UacLeg, Book>()

  constructor(world: LegBooksWorld) {
    this.#w = world
  }

  /** Legs that are not over, in the order they began. */
  get legs(): readonly UacLeg[] {
    return [...this.#books.keys()]
  }

  begin(leg: UacLeg): void {
    const { clock, gateways } = this.#w
    const { gateway } = leg.target
    const watch = gateway == null || gateways === null ? null : new BranchWatch(gateways, gateway, clock)
    this.#books.set(leg, { at: clock.now(), answered: null, setupMs: null, watch })
  }

  /** A provisional response. */
  ringing(leg: UacLeg, status: number): void {
    this.#books.get(leg)?.watch?.received(status)
  }

  /** @param by who refused; null: answered */
  decided(leg: UacLeg, by: RefusedBy | null, status: number): void {
    const book = this.#books.get(leg)
    if (book === undefined || book.answered !== null) return
    // Given up: that says nothing of the gateway, and its leg has not been decided.
    if (by === 'cancelled') return book.watch?.failed('cancelled')
    const answered = by === null
    book.answered = answered
    if (by === null || by === 'peer') book.watch?.received(status)
    else if (by === 'no-answer') book.watch?.unanswered()
    else book.watch?.failed(by)
    book.setupMs = answered ? this.#w.clock.now() - book.at : null
  }

  /** The leg is over, or another call has it from now on: what became of it here is told. */
  close(leg: UasLeg | UacLeg): void {
    if (!(leg instanceof UacLeg)) return
    const book = this.#books.get(leg)
    this.#books.delete(leg)
    const { legEnded } = this.#w.spine
    if (book === undefined || !legEnded.active) return
    const result = book.answered === null ? 'cancelled' : book.answered ? 'answered' : 'refused'
    legEnded.publish({ result, setupMs: book.setupMs })
  }
}
