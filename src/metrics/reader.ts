import { shapeOf, type MetricType, type Shape } from './declaration.ts'
import { Family } from './family.ts'
import { cleanLabelValue, type LabelValue } from './labels.ts'
import type { MetricDeclared, MetricsMessage, SeriesOpened } from './messages.ts'
import { Directory, type MetricsShared } from './shared.ts'

/** Numbers read when scraped: one, one for each label set, or null when they cannot be read now (then none is exposed). */
export type Collected =
  | number
  | null
  | readonly (readonly [labels: Readonly<Record<string, LabelValue>>, value: number])[]

/** A metric whose values are asked for at each scrape. */
export interface Pulled {
  readonly shape: Shape
  readonly help: string
  readonly collect: () => Collected
}

interface Thread {
  readonly chunks: Map<number, Float64Array>
  /** Script metrics it has declared. */
  readonly declared: Set<string>
}

/** The control thread's side: knows every metric and where each thread keeps its numbers, and adds them up. */
export class MetricsReader {
  readonly #directory: Directory
  readonly #threads = new Map<string, Thread>()
  readonly #families = new Map<string, Family>()
  readonly #pulled = new Map<string, Pulled>()
  /** The last epoch of each retired name: a worker of the old generation may still speak of it. */
  readonly #retired = new Map<string, number>()

  readonly #tables: number
  #failures = 0

  constructor(shared: MetricsShared) {
    this.#directory = new Directory(shared)
    this.#tables = shared.names.byteLength + shared.series.byteLength
    this.counterFrom(
      'siphon_metrics_collect_failures_total',
      'Metrics left out of a scrape because reading them failed',
      [],
      () => this.#failures,
    )
  }

  /** A thread begins: call before its first message. */
  attach(thread: string): void {
    this.#threads.set(thread, { chunks: new Map(), declared: new Set() })
  }

  /** A message of a thread's writer, in the order they were sent. One that comes after `detach` is still counted. */
  receive(thread: string, message: MetricsMessage): void {
    if (message.what === 'metric') this.#declared(thread, message)
    else this.#opened(thread, message)
  }

  /** The thread is gone and writes no more: what it counted stays, its own levels go. */
  detach(thread: string): void {
    this.#threads.delete(thread)
    for (const family of this.#families.values()) this.#settle(family, thread)
  }

  #settle(family: Family, thread: string): void {
    for (const series of family.series) {
      if (!series.has(thread)) continue
      if (family.shape.scope === 'thread') family.remove(series.labels)
      else series.fold(thread)
    }
  }

  #declared(thread: string, { shape, epoch, help }: MetricDeclared): void {
    if (epoch <= (this.#retired.get(shape.name) ?? -1)) return
    const known = this.#families.get(shape.name)
    if (known === undefined || known.epoch < epoch) {
      this.#families.set(shape.name, new Family(shape, epoch, help))
    } else known.help = help
    if (shape.origin === 'script') this.#threads.get(thread)?.declared.add(shape.name)
  }

  #opened(thread: string, { name, epoch, labels, place }: SeriesOpened): void {
    const family = this.#families.get(name)
    if (family === undefined || family.epoch !== epoch) return
    if ('cell' in place) {
      family.open(labels, { values: this.#directory.values, at: place.cell })
      return
    }
    const chunks = this.#threads.get(thread)?.chunks
    let cells = chunks?.get(place.chunk)
    if (cells === undefined) {
      cells = new Float64Array(place.buffer)
      chunks?.set(place.chunk, cells)
    }
    family.open(labels, null).add({ thread, cells, at: place.at })
    if (chunks === undefined) this.#settle(family, thread)
  }

  /** A gauge of the server read at each scrape. @throws MetricDeclarationError on a clash */
  gaugeFrom(name: string, help: string, labels: readonly string[], collect: () => Collected): void {
    this.#pull('gauge', name, help, labels, collect)
  }

  /** A counter kept elsewhere, read at each scrape. @throws MetricDeclarationError on a clash */
  counterFrom(name: string, help: string, labels: readonly string[], collect: () => Collected): void {
    this.#pull('counter', name, help, labels, collect)
  }

  #pull(
    type: MetricType,
    name: string,
    help: string,
    labels: readonly string[],
    collect: () => Collected,
  ): void {
    const shape = shapeOf(type, name, help, { labels }, 'builtin')
    this.#directory.claim(shape)
    this.#pulled.set(name, { shape, help, collect })
  }

  /** Forgets script metrics, values and all: those the current script no longer declares. */
  retire(names: Iterable<string>): void {
    for (const name of names) {
      const family = this.#families.get(name)
      if (family === undefined || family.shape.origin !== 'script') continue
      this.#directory.retire(family.shape)
      this.#families.delete(name)
      this.#retired.set(name, family.epoch)
      for (const other of this.#families.values()) {
        if (TALLIES.has(other.shape.name)) other.remove([name])
      }
    }
  }

  /** Forgets every script metric but these, those of a script included that declared them and did not load. */
  retireAllBut(kept: ReadonlySet<string>): void {
    this.retire(this.scriptMetrics().filter((name) => !kept.has(name)))
  }

  /** Names of the script metrics a thread has declared. */
  declaredBy(thread: string): ReadonlySet<string> {
    return this.#threads.get(thread)?.declared ?? new Set()
  }

  /** Names of all script metrics. */
  scriptMetrics(): string[] {
    return [...this.#families.values()].filter((f) => f.shape.origin === 'script').map((f) => f.shape.name)
  }

  /** Metrics that threads write. */
  families(): Iterable<Family> {
    return this.#families.values()
  }

  /** Metrics that are read when scraped. */
  pulled(): Iterable<Pulled> {
    return this.#pulled.values()
  }

  /** What a pulled metric reads now; null when it cannot be read, which is counted when it threw. */
  collect(pulled: Pulled): Collected {
    try {
      return pulled.collect()
    } catch {
      this.#failures++
      return null
    }
  }

  /** The sum of a metric's series as of now; null when there is none. */
  sum(name: string): number | null {
    const series = this.#families.get(name)?.series ?? []
    return series.length === 0 ? null : series.reduce((sum, s) => sum + s.number(0), 0)
  }

  /** Bytes of shared memory the metrics take: no thread's own heap statistics count them. */
  get sharedBytes(): number {
    let bytes = this.#tables
    for (const { chunks } of this.#threads.values())
      for (const cells of chunks.values()) bytes += cells.byteLength
    return bytes
  }

  /** The value of one series of a counter or gauge as of now; undefined when there is none. For tests and the admin API. */
  value(name: string, labels: Readonly<Record<string, LabelValue>> = {}): number | undefined {
    const family = this.#families.get(name)
    if (family !== undefined) {
      const values = family.shape.labels.map((label) => cleanLabelValue(String(labels[label])))
      return family.find(values)?.number(0)
    }
    const got = this.#pulled.get(name)?.collect()
    if (typeof got === 'number') return got
    return got?.find(([of]) => Object.entries(labels).every(([l, v]) => String(of[l]) === String(v)))?.[1]
  }
}

const TALLIES = new Set(['siphon_metrics_overflow_total', 'siphon_metrics_misuse_total'])
