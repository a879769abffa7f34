/**
 * Who has which job, in memory that the engine and one worker share.
 *
 * A worker that spins reads no messages, so what was posted to it cannot be called back. Therefore a posted job is
 * only an offer: the worker must claim it before it starts, and the engine takes back what is not claimed.
 * The same memory says what the worker is doing, when it can no longer say so itself.
 *
 * Cells: 0 progress · 1 id of the job running now · 2 its handler's index + 1 · 4… one for each slot.
 * A slot: 0 free · id offered · -id claimed · id + FINISHED: the verdict is known, but perhaps not yet posted.
 */
const PROGRESS = 0
const RUNNING = 1
const HANDLER = 2
const FIRST_SLOT = 4
const FINISHED = 0x4000_0000

/** Job ids are 1 … this, then start again. */
export const MAX_JOB_ID = FINISHED - 1

export type SlotState = 'offered' | 'claimed' | 'finished' | 'other'

export class Claims {
  readonly buffer: SharedArrayBuffer
  readonly #cells: Int32Array<SharedArrayBuffer>

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    this.#cells = new Int32Array(buffer)
  }

  /** @param slots most jobs the worker may hold at once */
  static create(slots: number): Claims {
    return new Claims(new SharedArrayBuffer((FIRST_SLOT + slots) * 4))
  }

  get slots(): number {
    return this.#cells.length - FIRST_SLOT
  }

  // The engine's side.

  offer(slot: number, id: number): void {
    Atomics.store(this.#cells, FIRST_SLOT + slot, id)
  }

  /** Takes back a job that was not started, or whose verdict was not posted. False: it is running, or over. */
  takeBack(slot: number, id: number): boolean {
    const cell = FIRST_SLOT + slot
    return (
      Atomics.compareExchange(this.#cells, cell, id, 0) === id ||
      Atomics.compareExchange(this.#cells, cell, id + FINISHED, 0) === id + FINISHED
    )
  }

  state(slot: number, id: number): SlotState {
    const value = Atomics.load(this.#cells, FIRST_SLOT + slot)
    if (value === id) return 'offered'
    if (value === -id) return 'claimed'
    return value === id + FINISHED ? 'finished' : 'other'
  }

  /** Changes whenever the worker does anything. */
  get progress(): number {
    return Atomics.load(this.#cells, PROGRESS)
  }

  /** The job whose handler holds the thread now; 0 when none does, or nobody can tell. */
  get running(): number {
    return Atomics.load(this.#cells, RUNNING)
  }

  /** Index in the manifest of the handler that ran last; -1 before the first. */
  get handler(): number {
    return Atomics.load(this.#cells, HANDLER) - 1
  }

  // The worker's side.

  claim(slot: number, id: number): boolean {
    return Atomics.compareExchange(this.#cells, FIRST_SLOT + slot, id, -id) === id
  }

  finish(slot: number, id: number): void {
    Atomics.compareExchange(this.#cells, FIRST_SLOT + slot, -id, id + FINISHED)
    Atomics.add(this.#cells, PROGRESS, 1)
  }

  enter(id: number, handler: number): void {
    Atomics.store(this.#cells, RUNNING, id)
    Atomics.store(this.#cells, HANDLER, handler + 1)
    Atomics.add(this.#cells, PROGRESS, 1)
  }

  leave(): void {
    Atomics.store(this.#cells, RUNNING, 0)
  }

  alive(): void {
    Atomics.add(this.#cells, PROGRESS, 1)
  }
}
