import type { Address } from '../base/address.ts'
import { systemClock } from '../base/clock.ts'
import { MetricsReader } from '../metrics/reader.ts'
import { createMetricsShared } from '../metrics/shared.ts'
import { MetricsWriter } from '../metrics/writer.ts'
import { declarePulled, type Levels } from '../observe/metrics/builtin.ts'
import { Exposition } from '../observe/metrics/exposition.ts'
import type { Format } from '../observe/metrics/negotiate.ts'
import { startThreadProbe } from '../observe/metrics/probe.ts'
import { declareProcess } from '../observe/metrics/process.ts'
import { declareUdpDrops } from '../observe/metrics/udp-drops.ts'

export interface NodeMetricsOptions {
  readonly version: string
  /** Series that one metric may have. */
  readonly maxSeries: number
  /** Bytes shared between threads, besides those of the metrics. */
  readonly sharedBytes: number
  /** How much each table holds now. */
  readonly levels: () => Promise<Levels>
}

/** The metrics of the whole process, as the control thread reads them from every thread's slabs. */
export class NodeMetrics {
  /** For the threads that write. */
  readonly shared
  readonly reader: MetricsReader
  /** UDP listeners, whose drops the kernel counts; null before they are open. */
  udp: readonly Address[] | null = null
  readonly #exposition: Exposition
  readonly #pull: () => Promise<Levels>
  readonly #probe
  #levels: Levels | null = null
  #reading: Promise<void> | null = null

  constructor({ version, maxSeries, sharedBytes, levels }: NodeMetricsOptions) {
    this.shared = createMetricsShared({ maxSeriesPerMetric: maxSeries })
    const reader = new MetricsReader(this.shared)
    this.reader = reader
    this.#exposition = new Exposition(reader)
    this.#pull = levels
    declareProcess(reader, {
      version,
      startTime: Date.now() / 1000,
      sharedBytes: () => sharedBytes,
    })
    declarePulled(reader, () => this.#levels)
    declareUdpDrops(reader, () => this.udp)
    reader.attach('control')
    const writer = new MetricsWriter({
      thread: 'control',
      shared: this.shared,
      post: (message) => reader.receive('control', message),
      origin: 'builtin',
    })
    this.#probe = startThreadProbe(writer, systemClock)
  }

  /** All metrics, as they are now. */
  async render(format: Format): Promise<string> {
    await this.#read()
    return this.#exposition.render(format)
  }

  close(): void {
    this.#probe.stop()
  }

  /** One reading serves all scrapes that wait for it. */
  #read(): Promise<void> {
    this.#reading ??= this.#pull()
      .then((levels) => void (this.#levels = levels))
      .finally(() => (this.#reading = null))
    return this.#reading
  }
}
