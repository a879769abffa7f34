import type { Slots } from './slab.ts'

/** Told of every use that makes no sense; counts it and never throws. */
export type Misuse = () => void

/** One counter with its label values. Keep it where the same labels are used again: `inc` is then a few nanoseconds. */
export interface CounterSeries {
  /** Adds `n`, 1 unless told. Anything but a finite number ≥ 0 is ignored and counted as misuse. */
  inc(n?: number): void
}

/** One gauge with its label values: the same number in every thread. */
export interface GaugeSeries {
  inc(n?: number): void
  dec(n?: number): void
  set(value: number): void
}

export interface HistogramSeries {
  observe(value: number): void
}

export class SlotCounter implements CounterSeries {
  readonly #cells: Float64Array
  readonly #at: number
  readonly #misuse: Misuse

  constructor(slots: Slots, misuse: Misuse) {
    this.#cells = slots.cells
    this.#at = slots.at
    this.#misuse = misuse
  }

  inc(n = 1): void {
    // Scripts run unchecked, so a string can come here, and `+=` would take it for text.
    if (typeof n === 'number' && n >= 0 && n < Infinity) this.#cells[this.#at]! += n
    else this.#misuse()
  }
}

// One pair of views for the thread: a double goes through them to its bits and back.
const scratch = new Float64Array(1)
const bits = new BigInt64Array(scratch.buffer)

/**
 * A gauge in the shared table. Handlers of one script run in several threads and must see one value, so `inc` is
 * a compare-exchange on the double's bits and not a plain store.
 */
export class CellGauge implements GaugeSeries {
  readonly #cells: BigInt64Array
  readonly #at: number
  readonly #misuse: Misuse

  constructor(cells: BigInt64Array, at: number, misuse: Misuse) {
    this.#cells = cells
    this.#at = at
    this.#misuse = misuse
  }

  inc(n = 1): void {
    if (!Number.isFinite(n)) {
      this.#misuse()
      return
    }
    for (;;) {
      const before = Atomics.load(this.#cells, this.#at)
      bits[0] = before
      scratch[0]! += n
      if (Atomics.compareExchange(this.#cells, this.#at, before, bits[0]) === before) return
    }
  }

  dec(n = 1): void {
    if (Number.isFinite(n)) this.inc(-n)
    else this.#misuse()
  }

  set(value: number): void {
    if (!Number.isFinite(value)) {
      this.#misuse()
      return
    }
    scratch[0] = value
    Atomics.store(this.#cells, this.#at, bits[0]!)
  }
}

/** A gauge of one thread in its own slab: nobody else writes it, and it is gone with the thread. */
export class SlotGauge implements GaugeSeries {
  readonly #cells: Float64Array
  readonly #at: number

  constructor(slots: Slots) {
    this.#cells = slots.cells
    this.#at = slots.at
  }

  inc(n = 1): void {
    this.#cells[this.#at]! += n
  }

  dec(n = 1): void {
    this.#cells[this.#at]! -= n
  }

  set(value: number): void {
    this.#cells[this.#at] = value
  }
}

/** Above this many bounds halving beats looking at each. */
const LINEAR_BOUNDS = 16

/**
 * Slots: one for each bucket that is not cumulative, one for +Inf, then the sum. There is no count: the reader adds
 * the buckets up, so that count and +Inf bucket agree whatever is written meanwhile.
 */
export class SlotHistogram implements HistogramSeries {
  readonly #bounds: readonly number[]
  readonly #cells: Float64Array
  readonly #at: number
  readonly #sum: number
  readonly #misuse: Misuse

  constructor(bounds: readonly number[], slots: Slots, misuse: Misuse) {
    this.#bounds = bounds
    this.#cells = slots.cells
    this.#at = slots.at
    this.#sum = slots.at + bounds.length + 1
    this.#misuse = misuse
  }

  /** How many slots a histogram needs. */
  static slots(bounds: readonly number[]): number {
    return bounds.length + 2
  }

  observe(value: number): void {
    if (!Number.isFinite(value)) {
      this.#misuse()
      return
    }
    const bounds = this.#bounds
    let low = 0
    let high = bounds.length
    while (high - low > LINEAR_BOUNDS) {
      const middle = (low + high) >>> 1
      if (value <= bounds[middle]!) high = middle
      else low = middle + 1
    }
    while (low < high && value > bounds[low]!) low++
    this.#cells[this.#at + low]! += 1
    this.#cells[this.#sum]! += value
  }
}
