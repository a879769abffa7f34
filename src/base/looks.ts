/**
 * How often a busy thread looks for what has come, instead of being woken by each thing that comes. A wake-up costs more than
 * three messages; longer would cost less still, but a call waits for it three times before it is answered. Milliseconds.
 */
const LOOK_MS = 4

/** Takes what has come. True: there may be more by now, and the next look should follow at once. */
export type Look = () => boolean

/** Somebody whose things are fetched at each look while there are looks, and who has to be woken for them otherwise. */
export interface Companion {
  /** From now on there are looks. */
  begin(): void
  /** Fetches what has come. */
  fetch(): void
  /** There are none any more. What came before this must be fetched now. */
  end(): void
}

/**
 * The regular looks of one thread. Sockets that are busy ask for them; others go along, and are spared to wake the thread.
 * All look in one turn of the event loop, so that what they find is handled, passed on and sent together.
 */
export class Looks {
  readonly #lookers = new Set<Look>()
  readonly #companions: Companion[] = []
  #timer: NodeJS.Timeout | null = null
  /** A look that follows at once. */
  #next: NodeJS.Immediate | null = null

  /** Somebody looks: the timer runs. */
  get going(): boolean {
    return this.#timer !== null
  }

  /** Calls `look` every four milliseconds until it leaves. */
  join(look: Look): void {
    this.#lookers.add(look)
    if (this.#timer !== null) return
    this.#timer = setInterval(this.#run, LOOK_MS)
    for (const companion of this.#companions) companion.begin()
  }

  leave(look: Look): void {
    if (!this.#lookers.delete(look) || this.#lookers.size > 0) return
    if (this.#timer !== null) clearInterval(this.#timer)
    if (this.#next !== null) clearImmediate(this.#next)
    this.#timer = null
    this.#next = null
    for (const companion of this.#companions) companion.end()
  }

  /** Goes along from now on. */
  accompany(companion: Companion): void {
    this.#companions.push(companion)
    if (this.#timer !== null) companion.begin()
  }

  readonly #run = (): void => {
    for (const companion of this.#companions) companion.fetch()
    let soon = false
    for (const look of this.#lookers) if (look()) soon = true
    // As soon as everybody else has had a turn.
    if (soon && this.#timer !== null) this.#next ??= setImmediate(this.#runNext)
  }

  readonly #runNext = (): void => {
    this.#next = null
    this.#run()
  }
}
