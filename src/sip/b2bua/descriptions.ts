import type { Content } from './events.ts'
import { isSdp } from './headers.ts'
import { Origin } from './origin.ts'

/** The session descriptions that one peer gets from us. */
export class Descriptions {
  readonly #origin = new Origin()
  #last: Content | null = null

  /** One that is about to go to the peer, as it must be. */
  describe(content: Content | null): Content | null {
    return content === null ? null : this.#origin.keep(content)
  }

  /** It went to the peer. */
  told(content: Content | null): void {
    if (isSdp(content)) this.#last = content
  }

  /** What the peer was told last, for refreshes that have to repeat it; null: nothing yet. */
  get last(): Content | null {
    return this.#last
  }
}
