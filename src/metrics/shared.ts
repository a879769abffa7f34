import { randomBytes } from 'node:crypto'
import { MetricDeclarationError, occupiedNames, shapeText, type Shape } from './declaration.ts'
import { hash64, type Seed } from './hash.ts'

/** What all threads share: made once on the control thread, handed to every other in its workerData. */
export interface MetricsShared {
  /** Open addressing, 4 words an entry: hash of a name, hash of the shape that owns it (0: none), epoch and flag, series. */
  readonly names: SharedArrayBuffer
  /** Open addressing, 2 words an entry: hash of metric and labels, the value's 64 bits (of gauges). */
  readonly series: SharedArrayBuffer
  readonly seed: Seed
  readonly maxSeriesPerMetric: number
}

export interface MetricsSharedOptions {
  /** Label sets a script's metric may have over all threads before the rest go to `__other__`. 1000 unless told. */
  readonly maxSeriesPerMetric?: number
  /** Label sets of all metrics together; rounded up to a power of two. 98,304 unless told. */
  readonly maxSeries?: number
}

const NAME_WORDS = 4
const SERIES_WORDS = 2
const NAME_PLACES = 1 << 13
/** Linear probing stays short below this share of places taken. */
const MAX_LOAD = 0.75

export function createMetricsShared(options: MetricsSharedOptions = {}): MetricsShared {
  const places = 2 ** Math.ceil(Math.log2((options.maxSeries ?? 98_304) / MAX_LOAD))
  const random = randomBytes(8)
  return {
    names: new SharedArrayBuffer(NAME_PLACES * NAME_WORDS * 8),
    // One entry more than places: the first word past the end counts the places taken.
    series: new SharedArrayBuffer((places + 1) * SERIES_WORDS * 8),
    seed: [random.readInt32LE(0), random.readInt32LE(4)],
    maxSeriesPerMetric: options.maxSeriesPerMetric ?? 1000,
  }
}

/** Where a metric lives in the tables: valid in every thread until it is retired. */
export interface Claim {
  readonly entry: number
  /** Rises with each retirement, so that a name declared anew starts with fresh series. */
  readonly epoch: number
}

/**
 * One thread's view of the shared tables. Names and series are found by hash with compare-exchange, so that no thread
 * has to ask another: two workers that declare the same gauge at the same moment get the same cell.
 * Entries are never removed (a retired name's are just no longer found), hence probing needs no lock.
 */
export class Directory {
  readonly #names: BigInt64Array
  readonly #series: BigInt64Array
  readonly #values: Float64Array
  readonly #seed: Seed
  readonly #max: bigint
  readonly #places: number

  constructor(shared: MetricsShared) {
    this.#names = new BigInt64Array(shared.names)
    this.#series = new BigInt64Array(shared.series)
    this.#values = new Float64Array(shared.series)
    this.#seed = shared.seed
    this.#max = BigInt(shared.maxSeriesPerMetric)
    this.#places = this.#series.length / SERIES_WORDS - 1
  }

  /** The words of gauges: index with what `cell` returns. */
  get cells(): BigInt64Array {
    return this.#series
  }

  /** The same words as numbers, for reading. */
  get values(): Float64Array {
    return this.#values
  }

  /**
   * Takes every name of the metric, or finds them taken by the same shape.
   * @throws MetricDeclarationError when another metric has one of them, or the table is full
   */
  claim(shape: Shape): Claim {
    const owner = hash64(shapeText(shape), this.#seed)
    const taken: number[] = []
    for (const name of occupiedNames(shape)) {
      const entry = this.#nameEntry(name)
      const before = entry < 0 ? -1n : Atomics.compareExchange(this.#names, entry + 1, 0n, owner)
      if (before === 0n) taken.push(entry)
      else if (before !== owner) {
        for (const undo of taken) Atomics.store(this.#names, undo + 1, 0n)
        throw new MetricDeclarationError(shape.name, this.#why(entry, name, shape))
      }
      if (shape.origin === 'builtin') Atomics.or(this.#names, entry + 2, 1n)
    }
    const entry = this.#nameEntry(shape.name)
    return { entry, epoch: Number(Atomics.load(this.#names, entry + 2) >> 1n) }
  }

  #why(entry: number, name: string, shape: Shape): string {
    if (entry < 0) return 'is one too many: the table of names is full'
    if ((Atomics.load(this.#names, entry + 2) & 1n) === 1n) {
      return name === shape.name
        ? 'is a metric of the server itself'
        : `needs the name '${name}', which the server uses`
    }
    return name === shape.name
      ? 'is already declared with another type, other labels or other buckets'
      : `needs the name '${name}' too, which another metric has`
  }

  /** Gives the names back. Writers that still hold the metric write where nobody looks. */
  retire(shape: Shape): void {
    const owner = hash64(shapeText(shape), this.#seed)
    for (const name of occupiedNames(shape)) {
      const entry = this.#nameEntry(name)
      if (entry < 0 || Atomics.load(this.#names, entry + 1) !== owner) continue
      Atomics.add(this.#names, entry + 2, 2n)
      Atomics.store(this.#names, entry + 3, 0n)
      Atomics.store(this.#names, entry + 1, 0n)
    }
  }

  /**
   * The cell of a series, the same in every thread. -1: the metric has its limit of label sets, or the table is full.
   * @param limited false for the series that take what overflows and for the server's own, which must always find a place
   */
  cell(claim: Claim, name: string, labels: readonly string[], limited: boolean): number {
    const key = hash64(seriesText(name, claim.epoch, labels), this.#seed)
    const count = claim.entry + 3
    let place = Number(BigInt.asUintN(32, key)) % this.#places
    for (let probes = 0; probes < this.#places; probes++) {
      const at = place * SERIES_WORDS
      let found = Atomics.load(this.#series, at)
      if (found === 0n) {
        if (!this.#admit(count, limited)) return -1
        found = Atomics.compareExchange(this.#series, at, 0n, key)
        if (found === 0n) return at + 1
        this.#dismiss(count, limited)
      }
      if (found === key) return at + 1
      place = (place + 1) % this.#places
    }
    return -1
  }

  /** Counts one more series, before it is entered: better one too few for a moment than one too many for ever. */
  #admit(count: number, limited: boolean): boolean {
    const taken = Number(Atomics.add(this.#series, this.#places * SERIES_WORDS, 1n))
    if (!limited) {
      // The rest is kept for series that must have a place, and is more than there are of them.
      if (taken < this.#places - 1) return true
      Atomics.sub(this.#series, this.#places * SERIES_WORDS, 1n)
      return false
    }
    const own = Atomics.add(this.#names, count, 1n)
    if (taken < this.#places * MAX_LOAD && own < this.#max) return true
    this.#dismiss(count, limited)
    return false
  }

  #dismiss(count: number, limited: boolean): void {
    Atomics.sub(this.#series, this.#places * SERIES_WORDS, 1n)
    if (limited) Atomics.sub(this.#names, count, 1n)
  }

  /** Index of the name's first word, entered if need be; -1 when the table is full. */
  #nameEntry(name: string): number {
    const key = hash64(name, this.#seed)
    let place = Number(BigInt.asUintN(32, key)) % NAME_PLACES
    for (let probes = 0; probes < NAME_PLACES * MAX_LOAD; probes++) {
      const at = place * NAME_WORDS
      const found = Atomics.compareExchange(this.#names, at, 0n, key)
      if (found === 0n || found === key) return at
      place = (place + 1) % NAME_PLACES
    }
    return -1
  }
}

/** One text for each label set: lengths in front, so that no value can imitate a border. */
function seriesText(name: string, epoch: number, labels: readonly string[]): string {
  let text = `${name}#${epoch}`
  for (const value of labels) text += `,${value.length}:${value}`
  return text
}
