import { MetricDeclarationError, shapeOf, shapeText, type Origin, type Shape } from './declaration.ts'
import { LabelTree, OTHER, type LabelValue } from './labels.ts'
import type { MetricsMessage, Place } from './messages.ts'
import { Directory, type Claim, type MetricsShared } from './shared.ts'
import {
  CellGauge,
  SlotCounter,
  SlotGauge,
  SlotHistogram,
  type CounterSeries,
  type GaugeSeries,
  type HistogramSeries,
  type Misuse,
} from './series.ts'
import { Slab, type Slots } from './slab.ts'

export interface LabelOptions<L extends string> {
  readonly labels?: readonly L[]
}

export interface HistogramOptions<L extends string> extends LabelOptions<L> {
  /** Upper bounds, ascending; +Inf is added. `DEFAULT_BUCKETS` unless told. */
  readonly buckets?: readonly number[]
}

const OVERFLOW = 'siphon_metrics_overflow_total'
const MISUSE = 'siphon_metrics_misuse_total'

type Values<L extends string> = Readonly<Record<L, LabelValue>>

/**
 * A declared metric. With labels, use `labels({…})` to get the series; without, use the metric itself.
 * The other way round is ignored and counted in `siphon_metrics_misuse_total`.
 */
export interface Counter<L extends string = never> extends CounterSeries {
  labels(values: Values<L>): CounterSeries
}
export interface Gauge<L extends string = never> extends GaugeSeries {
  labels(values: Values<L>): GaugeSeries
}
export interface Histogram<L extends string = never> extends HistogramSeries {
  labels(values: Values<L>): HistogramSeries
}

export interface WriterOptions {
  /** The thread's name, as in the `thread` label. */
  readonly thread: string
  readonly shared: MetricsShared
  /** Carries a message to the control thread's reader, in order. Called synchronously; must not throw. */
  readonly post: (message: MetricsMessage) => void
  readonly origin: Origin
  /** Told of the first ignored use of each metric, while the call that misused it is on the stack. */
  readonly onMisuse?: (metric: string) => void
}

interface Declared {
  readonly shape: Shape
  readonly metric: unknown
}

/** A metric as this thread knows it. */
interface Known {
  readonly shape: Shape
  readonly claim: Claim
  readonly misuse: Misuse
}

/** Makes one series of a metric; null when there is no room for its label set. */
type Open<S> = (known: Known, labels: readonly string[], limited: boolean) => S | null

/** How the parts of a metric with or without labels are reached. */
interface Reach<S> {
  /** The one series of a metric without labels, otherwise null. */
  readonly only: S | null
  readonly find: (values: Readonly<Record<string, LabelValue>>) => S
  readonly misuse: Misuse
}

/** Takes every call and does nothing: what a misused metric hands out. */
const IGNORED: CounterSeries & GaugeSeries & HistogramSeries = { inc() {}, dec() {}, set() {}, observe() {} }

/**
 * Declares metrics and writes their values: one in each thread. Values go to memory the control thread reads;
 * only declarations and new series are told by message.
 */
export class MetricsWriter {
  readonly thread: string
  readonly #origin: Origin
  readonly #post: (message: MetricsMessage) => void
  readonly #directory: Directory
  readonly #slab = new Slab()
  readonly #declared = new Map<string, Declared>()
  readonly #overflows: (metric: string) => CounterSeries
  readonly #misuses: (metric: string) => CounterSeries
  readonly #onMisuse: (metric: string) => void

  constructor(options: WriterOptions) {
    this.thread = options.thread
    this.#origin = options.origin
    this.#post = options.post
    this.#onMisuse = options.onMisuse ?? (() => undefined)
    this.#directory = new Directory(options.shared)
    this.#overflows = this.#tally(
      OVERFLOW,
      'Uses of label sets over the limit, counted on the series __other__ instead',
    )
    this.#misuses = this.#tally(
      MISUSE,
      'Ignored uses: wrong labels, a negative increment, or a value that is no number',
    )
  }

  /**
   * A count of events since start: only rises, survives reload and the death of this thread.
   * The same name and shape again is the same metric.
   * @throws MetricDeclarationError on a bad name, label or clash
   */
  counter<const L extends string = never>(name: string, help: string, options?: LabelOptions<L>): Counter<L> {
    const shape = shapeOf('counter', name, help, options, this.#origin)
    const open: Open<CounterSeries> = (known, labels, limited) => {
      const slots = this.#slots(known, labels, limited, 1)
      return slots && new SlotCounter(slots, known.misuse)
    }
    return this.#declare(shape, help, open, ({ only, find, misuse }) => ({
      labels: find,
      inc: only ? (n) => only.inc(n) : misuse,
    }))
  }

  /**
   * A level that goes up and down: one value, whichever threads set it.
   * @throws MetricDeclarationError on a bad name, label or clash
   */
  gauge<const L extends string = never>(name: string, help: string, options?: LabelOptions<L>): Gauge<L> {
    const shape = shapeOf('gauge', name, help, options, this.#origin)
    const open: Open<GaugeSeries> = (known, labels, limited) => {
      const cell = this.#directory.cell(known.claim, known.shape.name, labels, limited)
      if (cell < 0) return null
      this.#opened(known, labels, { cell })
      return new CellGauge(this.#directory.cells, cell, known.misuse)
    }
    return this.#declare(shape, help, open, ({ only, find, misuse }) => ({
      labels: find,
      inc: only ? (n) => only.inc(n) : misuse,
      dec: only ? (n) => only.dec(n) : misuse,
      set: only ? (value) => only.set(value) : misuse,
    }))
  }

  /**
   * A distribution of values over buckets.
   * @throws MetricDeclarationError on a bad name, label, bucket or clash
   */
  histogram<const L extends string = never>(
    name: string,
    help: string,
    options?: HistogramOptions<L>,
  ): Histogram<L> {
    const shape = shapeOf('histogram', name, help, options, this.#origin)
    const bounds = shape.buckets ?? []
    const open: Open<HistogramSeries> = (known, labels, limited) => {
      const slots = this.#slots(known, labels, limited, SlotHistogram.slots(bounds))
      return slots && new SlotHistogram(bounds, slots, known.misuse)
    }
    return this.#declare(shape, help, open, ({ only, find, misuse }) => ({
      labels: find,
      observe: only ? (value) => only.observe(value) : misuse,
    }))
  }

  /** A level of this thread alone, exposed with its name in the label `thread`, and gone when the thread is. */
  threadGauge(name: string, help: string): GaugeSeries {
    const before = this.#declared.get(name)
    if (before?.shape.scope === 'thread') return before.metric as GaugeSeries
    const shape: Shape = {
      ...shapeOf('gauge', name, help, { labels: ['thread'] }, 'builtin'),
      scope: 'thread',
    }
    const slots = this.#slab.take(1)
    this.#opened({ shape, claim: this.#announce(shape, help) }, [this.thread], slots)
    const metric = new SlotGauge(slots)
    this.#declared.set(name, { shape, metric })
    return metric
  }

  #declare<S extends object, M>(shape: Shape, help: string, open: Open<S>, build: (reach: Reach<S>) => M): M {
    const before = this.#declared.get(shape.name)
    if (before !== undefined) {
      const clash = difference(before.shape, shape)
      if (clash !== null) throw new MetricDeclarationError(shape.name, `is already declared with ${clash}`)
      return before.metric as M
    }
    let told = false
    const misuse: Misuse = () => {
      this.#misuses(shape.name).inc()
      if (told) return
      told = true
      this.#onMisuse(shape.name)
    }
    const known: Known = { shape, misuse, claim: this.#announce(shape, help) }
    const metric = build(shape.labels.length === 0 ? this.#single(known, open) : this.#labelled(known, open))
    // Scripts can misuse; the server's own code is held to its types by the compiler.
    if (shape.origin === 'script') this.#misuses(shape.name)
    this.#declared.set(shape.name, { shape, metric })
    return metric
  }

  #single<S extends object>(known: Known, open: Open<S>): Reach<S> {
    const only = open(known, [], false)
    if (only === null)
      throw new MetricDeclarationError(known.shape.name, 'is one too many: the table is full')
    const find = (values: object): S => {
      if (typeof values === 'object' && values !== null && Object.keys(values).length === 0) return only
      known.misuse()
      return IGNORED as unknown as S
    }
    return { only, find, misuse: known.misuse }
  }

  #labelled<S extends object>(known: Known, open: Open<S>): Reach<S> {
    const { shape, misuse } = known
    const overflows = this.#overflows(shape.name)
    let other: S | null = null
    const tree = new LabelTree<S>(shape.labels, {
      // The server's own label values are finite: its series are there whatever scripts may have.
      open: (labels) => open(known, labels, shape.origin === 'script'),
      overflow: () => {
        overflows.inc()
        other ??= open(known, Array<string>(shape.labels.length).fill(OTHER), false)
        return other ?? (IGNORED as unknown as S)
      },
      misuse: () => {
        misuse()
        return IGNORED as unknown as S
      },
    })
    return { only: null, find: (values) => tree.find(values), misuse }
  }

  /** Slots of the slab for a series, unless a script's metric has its limit of label sets over all threads. */
  #slots(known: Known, labels: readonly string[], limited: boolean, count: number): Slots | null {
    if (this.#directory.cell(known.claim, known.shape.name, labels, limited) < 0) return null
    const slots = this.#slab.take(count)
    this.#opened(known, labels, slots)
    return slots
  }

  /** Counters of the metrics core itself, a series for each metric: as many as there are names, so without a limit. */
  #tally(name: string, help: string): (metric: string) => CounterSeries {
    const shape = shapeOf('counter', name, help, { labels: ['metric'] }, 'builtin')
    const claim = this.#announce(shape, help)
    const series = new Map<string, CounterSeries>()
    return (metric) => {
      let counter = series.get(metric)
      if (counter === undefined) {
        const slots = this.#slab.take(1)
        this.#opened({ shape, claim }, [metric], slots)
        counter = new SlotCounter(slots, () => {})
        series.set(metric, counter)
      }
      return counter
    }
  }

  #announce(shape: Shape, help: string): Claim {
    const claim = this.#directory.claim(shape)
    this.#post({ what: 'metric', shape, help, epoch: claim.epoch })
    return claim
  }

  #opened(known: Omit<Known, 'misuse'>, labels: readonly string[], where: Place): void {
    const place = 'cell' in where ? where : { chunk: where.chunk, buffer: where.buffer, at: where.at }
    this.#post({ what: 'series', name: known.shape.name, epoch: known.claim.epoch, labels, place })
  }
}

/** Which part of two shapes of one name differs, in words; null when none does. */
function difference(before: Shape, now: Shape): string | null {
  if (before.type !== now.type) return `type ${before.type}`
  if (JSON.stringify(before.labels) !== JSON.stringify(now.labels))
    return `labels [${before.labels.join(', ')}]`
  if (JSON.stringify(before.buckets) !== JSON.stringify(now.buckets))
    return `buckets [${before.buckets?.join(', ')}]`
  return shapeText(before) === shapeText(now) ? null : 'another scope'
}
