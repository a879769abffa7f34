import type { Counter, Gauge, Histogram, HistogramOptions, LabelOptions } from '../../metrics/writer.ts'
import { services } from './services.ts'

/**
 * The script's own metrics, exposed under exactly the name given. Declared again with the same shape, a metric is the
 * same and keeps its values, over reloads too; another type, labels or buckets under a known name is an error.
 * Using a metric never throws: a wrong label or value is ignored and counted in `siphon_metrics_misuse_total`.
 */
export const metrics = {
  /** A count of events: only rises. @throws MetricDeclarationError on a bad name or a clash */
  counter<const L extends string = never>(name: string, help: string, options?: LabelOptions<L>): Counter<L> {
    return services().metrics.counter(name, help, options)
  },

  /** A level that goes up and down: one value, whichever worker sets it. */
  gauge<const L extends string = never>(name: string, help: string, options?: LabelOptions<L>): Gauge<L> {
    return services().metrics.gauge(name, help, options)
  },

  /** A distribution over buckets; `observe` in the unit that the name says (seconds, bytes). */
  histogram<const L extends string = never>(
    name: string,
    help: string,
    options?: HistogramOptions<L>,
  ): Histogram<L> {
    return services().metrics.histogram(name, help, options)
  },
}
