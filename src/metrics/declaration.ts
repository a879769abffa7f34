/** What kind of number a metric is. */
export type MetricType = 'counter' | 'gauge' | 'histogram'

/** `builtin` names belong to the server; a script that declares one is told so. */
export type Origin = 'builtin' | 'script'

/**
 * Everything about a metric but its help text: two declarations of a name must agree in all of it.
 * `thread` metrics are gauges of one thread: they carry a `thread` label and vanish with it.
 */
export interface Shape {
  readonly name: string
  readonly type: MetricType
  readonly labels: readonly string[]
  /** Upper bounds, ascending, without +Inf; null unless a histogram. */
  readonly buckets: readonly number[] | null
  readonly origin: Origin
  readonly scope: 'shared' | 'thread'
}

/** A metric that cannot be declared so: the script's mistake, found while it loads. */
export class MetricDeclarationError extends Error {
  /** The name as it was given. */
  readonly metric: string

  constructor(metric: string, what: string) {
    super(`metric '${metric}' ${what}`)
    this.name = 'MetricDeclarationError'
    this.metric = metric
  }
}

/** Seconds; what every Prometheus client takes when told nothing. */
export const DEFAULT_BUCKETS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/
const MAX_NAME = 200
const MAX_BUCKETS = 200

/**
 * Checks a declaration and returns its shape. The arguments come from scripts whose types nobody checks at run time,
 * so nothing about them is taken for granted.
 * @throws MetricDeclarationError that says what is wrong
 */
export function shapeOf(
  type: MetricType,
  name: unknown,
  help: unknown,
  options: { readonly labels?: unknown; readonly buckets?: unknown } | undefined,
  origin: Origin,
): Shape {
  if (typeof name !== 'string' || !NAME.test(name) || name.length > MAX_NAME) {
    throw new MetricDeclarationError(
      String(name).slice(0, MAX_NAME),
      `is no metric name: letters, digits, '_' and ':', not a digit first, ${MAX_NAME} at most`,
    )
  }
  if (typeof help !== 'string' || help === '') throw new MetricDeclarationError(name, 'needs a help text')
  if (options !== undefined && (typeof options !== 'object' || options === null || Array.isArray(options))) {
    throw new MetricDeclarationError(name, "has options that are no object: write { labels: ['result'] }")
  }
  return {
    name,
    type,
    labels: checkLabels(name, type, options?.labels),
    buckets: type === 'histogram' ? checkBuckets(name, options?.buckets) : null,
    origin,
    scope: 'shared',
  }
}

function checkLabels(name: string, type: MetricType, given: unknown): readonly string[] {
  if (given === undefined) return []
  if (!Array.isArray(given)) throw new MetricDeclarationError(name, 'has labels that are no array of names')
  const labels: string[] = []
  for (const label of given as readonly unknown[]) {
    if (typeof label !== 'string' || !LABEL.test(label)) {
      throw new MetricDeclarationError(
        name,
        `has '${String(label)}' as a label name: letters, digits and '_' only`,
      )
    }
    if (label.startsWith('__'))
      throw new MetricDeclarationError(name, `has label '${label}': names with '__' are reserved`)
    if (type === 'histogram' && label === 'le')
      throw new MetricDeclarationError(name, `is a histogram and has label 'le'`)
    if (labels.includes(label)) throw new MetricDeclarationError(name, `names label '${label}' twice`)
    labels.push(label)
  }
  return labels
}

function checkBuckets(name: string, given: unknown): readonly number[] {
  if (given === undefined) return DEFAULT_BUCKETS
  if (!Array.isArray(given))
    throw new MetricDeclarationError(name, 'has buckets that are no array of numbers')
  const buckets = (given as readonly unknown[]).filter((b) => b !== Infinity)
  if (buckets.length === 0 || buckets.length > MAX_BUCKETS) {
    throw new MetricDeclarationError(name, `needs 1 to ${MAX_BUCKETS} buckets below +Inf`)
  }
  const bounds: number[] = []
  for (const bound of buckets) {
    if (typeof bound !== 'number' || !Number.isFinite(bound)) {
      throw new MetricDeclarationError(name, `has '${String(bound)}' as a bucket: a finite number is needed`)
    }
    if (bounds.length > 0 && bound <= bounds.at(-1)!)
      throw new MetricDeclarationError(name, 'has buckets that do not ascend')
    bounds.push(bound)
  }
  return bounds
}

/**
 * Every name the metric occupies in either exposition format, its own first. OpenMetrics calls the family of a counter
 * by its name without `_total` and forbids two families to share any of these.
 */
export function occupiedNames(shape: Shape): readonly string[] {
  const { name, type } = shape
  if (type === 'histogram') return [name, `${name}_bucket`, `${name}_sum`, `${name}_count`, `${name}_created`]
  if (type === 'counter' && name.endsWith('_total') && name !== '_total') {
    const family = name.slice(0, -'_total'.length)
    return [name, family, `${family}_created`]
  }
  return [name]
}

/** The shape as one text: equal texts are equal shapes. */
export function shapeText(shape: Shape): string {
  return JSON.stringify([shape.name, shape.type, shape.labels, shape.buckets, shape.origin, shape.scope])
}
