import type { Shape } from './declaration.ts'

/** Where one thread keeps the numbers of a series. */
interface Source {
  readonly thread: string
  readonly cells: Float64Array
  readonly at: number
}

/**
 * One label set of a metric over all threads. Its numbers: one for a counter or gauge; for a histogram one for each
 * bucket (not cumulative), +Inf, and the sum.
 */
export class Series {
  readonly labels: readonly string[]
  readonly #width: number
  readonly #sources: Source[] = []
  /** What threads that are gone have left. */
  readonly #base: Float64Array
  /** The cell all threads share; a gauge's number is there and nowhere else. */
  readonly #cell: { readonly values: Float64Array; readonly at: number } | null

  constructor(labels: readonly string[], width: number, cell: { values: Float64Array; at: number } | null) {
    this.labels = labels
    this.#width = width
    this.#base = new Float64Array(width)
    this.#cell = cell
  }

  /** The `i`th number as of now. */
  number(i: number): number {
    if (this.#cell !== null) return this.#cell.values[this.#cell.at]!
    let sum = this.#base[i]!
    for (const source of this.#sources) sum += source.cells[source.at + i]!
    return sum
  }

  add(source: Source): void {
    // The same message twice must not count twice.
    const known = this.#sources.some(
      (s) => s.thread === source.thread && s.cells === source.cells && s.at === source.at,
    )
    if (!known) this.#sources.push(source)
  }

  /** Takes over what a thread has counted, which writes no more. */
  fold(thread: string): void {
    for (let i = this.#sources.length - 1; i >= 0; i--) {
      const source = this.#sources[i]!
      if (source.thread !== thread) continue
      for (let n = 0; n < this.#width; n++) this.#base[n]! += source.cells[source.at + n]!
      this.#sources.splice(i, 1)
    }
  }

  /** Whether the thread writes here. */
  has(thread: string): boolean {
    return this.#sources.some((s) => s.thread === thread)
  }
}

/** A metric with all its series, as the control thread knows it. */
export class Family {
  readonly shape: Shape
  readonly epoch: number
  help: string
  readonly #series = new Map<string, Series>()
  #sorted: readonly Series[] | null = null

  constructor(shape: Shape, epoch: number, help: string) {
    this.shape = shape
    this.epoch = epoch
    this.help = help
  }

  /** How many numbers a series has. */
  get width(): number {
    return this.shape.buckets === null ? 1 : this.shape.buckets.length + 2
  }

  /** In the order of their label values, the same at each scrape. */
  get series(): readonly Series[] {
    this.#sorted ??= [...this.#series.values()].sort((a, b) => compare(a.labels, b.labels))
    return this.#sorted
  }

  find(labels: readonly string[]): Series | undefined {
    return this.#series.get(JSON.stringify(labels))
  }

  open(labels: readonly string[], cell: { values: Float64Array; at: number } | null): Series {
    const key = JSON.stringify(labels)
    let series = this.#series.get(key)
    if (series === undefined) {
      series = new Series(labels, this.width, cell)
      this.#series.set(key, series)
      this.#sorted = null
    }
    return series
  }

  remove(labels: readonly string[]): void {
    if (this.#series.delete(JSON.stringify(labels))) this.#sorted = null
  }
}

function compare(a: readonly string[], b: readonly string[]): number {
  for (const [i, value] of a.entries()) {
    const other = b[i]!
    if (value !== other) return value < other ? -1 : 1
  }
  return 0
}
