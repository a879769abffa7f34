import type { Clock, Timer } from '../base/clock.ts'
import type { CallRecord, MediaFigures } from '../spine/facts.ts'

/** A record waits for its figures no longer than this. */
export const FIGURES_MS = 1_000

interface Held {
  readonly waiting: { readonly record: CallRecord; readonly push: (record: CallRecord) => void }[]
  /** Undefined: not known yet. */
  figures: MediaFigures | null | undefined
  timer: Timer | null
}

/**
 * Puts media figures into records. The record of a call with media is held until the engine has told them or a second
 * has passed; every record is passed on, once.
 */
export class MediaRecords {
  readonly #clock: Clock
  readonly #held = new Map<string, Held>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Calls whose figures are awaited. */
  get size(): number {
    return this.#held.size
  }

  /** The call is over and its figures will come. Before its record. */
  expect(callId: string): void {
    this.settle(callId, null)
    const held: Held = { waiting: [], figures: undefined, timer: null }
    held.timer = this.#clock.startTimer(FIGURES_MS, () => this.settle(callId, null))
    this.#held.set(callId, held)
  }

  /** The figures are known, or never will be. Those known already when the call ends wait for its record, which is next. */
  settle(callId: string, figures: MediaFigures | null): void {
    const held = this.#held.get(callId)
    if (held === undefined) return
    held.timer?.cancel()
    held.figures = figures
    for (const { record, push } of held.waiting) push({ ...record, media: figures })
    held.waiting.length = 0
    // The record is published in the same breath as the call's end.
    queueMicrotask(() => {
      if (this.#held.get(callId) === held) this.#held.delete(callId)
    })
  }

  /** Passes a record on: now, or when its figures are known. */
  complete(record: CallRecord, push: (record: CallRecord) => void): void {
    const held = this.#held.get(record.callId)
    if (held === undefined) push(record)
    else if (held.figures !== undefined) push({ ...record, media: held.figures })
    else held.waiting.push({ record, push })
  }

  /** Passes on all that is held, as it is. */
  release(): void {
    for (const callId of [...this.#held.keys()]) this.settle(callId, null)
  }
}
