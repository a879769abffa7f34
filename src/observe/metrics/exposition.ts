import type { Shape } from '../../metrics/declaration.ts'
import type { Family, Series } from '../../metrics/family.ts'
import { cleanLabelValue } from '../../metrics/labels.ts'
import type { MetricsReader, Pulled } from '../../metrics/reader.ts'
import type { Format } from './negotiate.ts'

/**
 * Writes everything a reader knows, in text 0.0.4 or OpenMetrics 1.0. Sample lines are equal in both: they differ in
 * the names of counter families, in escaping help, and in the end mark.
 */
export class Exposition {
  readonly #reader: MetricsReader
  /** What stands before the number, for each line of a series: made once, most of a scrape's text. */
  readonly #prefixes = new WeakMap<Series, readonly string[]>()
  readonly #rendered = new Map<Format, string>()

  constructor(reader: MetricsReader) {
    this.#reader = reader
  }

  /** The whole exposition. Scrapes that arrived in the same turn of the event loop share one rendering. */
  render(format: Format): string {
    let text = this.#rendered.get(format)
    if (text === undefined) {
      text = this.#write(format)
      if (this.#rendered.size === 0) setImmediate(() => this.#rendered.clear())
      this.#rendered.set(format, text)
    }
    return text
  }

  #write(format: Format): string {
    const all: { name: string; write: () => string }[] = []
    for (const family of this.#reader.families()) {
      all.push({ name: family.shape.name, write: () => head(format, family) + this.#family(family) })
    }
    for (const pulled of this.#reader.pulled()) {
      all.push({ name: pulled.shape.name, write: () => head(format, pulled) + this.#pulled(pulled) })
    }
    all.sort((a, b) => (a.name < b.name ? -1 : 1))
    let text = ''
    for (const { write } of all) text += write()
    return format === 'openmetrics' ? `${text}# EOF\n` : text
  }

  #family(family: Family): string {
    const histogram = family.shape.type === 'histogram'
    let text = ''
    for (const series of family.series) {
      let prefixes = this.#prefixes.get(series)
      if (prefixes === undefined) {
        prefixes = linePrefixes(family.shape, series.labels)
        this.#prefixes.set(series, prefixes)
      }
      if (histogram) text += histogramLines(series, prefixes)
      else text += `${prefixes[0]!}${formatNumber(series.number(0))}\n`
    }
    return text
  }

  #pulled(pulled: Pulled): string {
    const { shape } = pulled
    const got = this.#reader.collect(pulled)
    if (got === null) return ''
    if (typeof got === 'number') return `${shape.name} ${formatNumber(got)}\n`
    let text = ''
    for (const [labels, value] of got) {
      const values = shape.labels.map((label) => cleanLabelValue(String(labels[label] ?? '')))
      text += `${shape.name}${labelSet(shape.labels, values)} ${formatNumber(value)}\n`
    }
    return text
  }
}

/** Cumulative buckets, sum and count. Each bucket is read once, so count is the +Inf bucket whatever is written now. */
function histogramLines(series: Series, prefixes: readonly string[]): string {
  const last = prefixes.length - 2
  let text = ''
  let count = 0
  for (let i = 0; i < last; i++) {
    count += series.number(i)
    text += `${prefixes[i]!}${formatNumber(count)}\n`
  }
  return `${text}${prefixes[last]!}${formatNumber(series.number(last))}\n${prefixes[last + 1]!}${formatNumber(count)}\n`
}

function linePrefixes(shape: Shape, values: readonly string[]): readonly string[] {
  const { name, labels, buckets } = shape
  const plain = labelSet(labels, values)
  if (buckets === null) return [`${name}${plain} `]
  const bounds = [...buckets, Infinity]
  const lines = bounds.map(
    (b) => `${name}_bucket${labelSet([...labels, 'le'], [...values, formatBound(b)])} `,
  )
  return [...lines, `${name}_sum${plain} `, `${name}_count${plain} `]
}

function labelSet(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return ''
  return `{${names.map((name, i) => `${name}="${escapeLabelValue(values[i]!)}"`).join(',')}}`
}

function head(format: Format, { shape, help }: { readonly shape: Shape; readonly help: string }): string {
  const text = cleanHelp(help)
  if (format === 'text')
    return `# HELP ${shape.name} ${escapeHelp(text)}\n# TYPE ${shape.name} ${shape.type}\n`
  const [name, type] = openMetricsFamily(shape)
  return `# HELP ${name} ${escapeLabelValue(text)}\n# TYPE ${name} ${type}\n`
}

/** OpenMetrics names a counter's family without `_total`; a counter without it could not keep its name, so it is `unknown`. */
function openMetricsFamily({ name, type }: Shape): readonly [name: string, type: string] {
  if (type !== 'counter') return [name, type]
  return name.endsWith('_total') && name !== '_total'
    ? [name.slice(0, -'_total'.length), 'counter']
    : [name, 'unknown']
}

/** A scripted help text may hold what neither format can carry. */
function cleanHelp(help: string): string {
  return help.toWellFormed().replaceAll('\r', ' ').replaceAll('\0', ' ')
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function escapeLabelValue(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"')
}

/** Whole numbers without exponent, however large; the rest as JavaScript writes them, which both formats read. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value)) return Math.abs(value) < 1e21 ? String(value) : BigInt(value).toString()
  if (Number.isNaN(value)) return 'NaN'
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}

/** A bucket's bound is spelled alike in both formats, or a series would change its name with the Accept header. */
function formatBound(bound: number): string {
  return Number.isInteger(bound) ? `${formatNumber(bound)}.0` : formatNumber(bound)
}
