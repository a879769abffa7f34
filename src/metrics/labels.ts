/** What a label may be given as; everything is exposed as text. */
export type LabelValue = string | number | boolean

/** The label values of the series that takes what is over the limit. */
export const OTHER = '__other__'

/** Longer label values are cut: nobody reads them, and every scrape would carry them. In UTF-16 units. */
export const MAX_LABEL_VALUE = 256

// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/g

/** A label value that both formats can carry and every reader takes: well-formed, bounded, without control characters. */
export function cleanLabelValue(value: string): string {
  const cut = value.length > MAX_LABEL_VALUE ? `${value.slice(0, MAX_LABEL_VALUE - 1)}…` : value
  return cut.toWellFormed().replace(CONTROL, '\ufffd')
}

type Node<S> = Map<string, Node<S> | S>

export interface SeriesSource<S> {
  /** Makes the series for clean label values, or null when the metric has its limit of them. */
  open(values: readonly string[]): S | null
  /** The series that takes the overflow; counts. */
  overflow(): S
  /** The series that ignores everything; counts the misuse. */
  misuse(): S
}

/**
 * From an object of label values to the series, by one map for each label. Maps and not objects: `__proto__` and
 * `constructor` are label values like others.
 */
export class LabelTree<S> {
  readonly #names: readonly string[]
  readonly #source: SeriesSource<S>
  readonly #root: Node<S> = new Map()

  constructor(names: readonly string[], source: SeriesSource<S>) {
    this.#names = names
    this.#source = source
  }

  find(values: Readonly<Record<string, LabelValue>>): S {
    if (typeof values !== 'object' || values === null) return this.#source.misuse()
    const names = this.#names
    let node: Node<S> | S | undefined = this.#root
    for (let i = 0; i < names.length; i++) {
      const value: unknown = values[names[i]!]
      if (typeof value === 'string') node = (node as Node<S>).get(value)
      else if (typeof value === 'number' || typeof value === 'boolean')
        node = (node as Node<S>).get(String(value))
      else return this.#source.misuse()
      if (node === undefined) return this.#open(values)
    }
    if (!hasExactly(values, names.length)) return this.#source.misuse()
    return node as S
  }

  #open(values: Readonly<Record<string, LabelValue>>): S {
    const clean: string[] = []
    for (const name of this.#names) {
      const value: unknown = values[name]
      if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
        return this.#source.misuse()
      }
      const text = cleanLabelValue(String(value))
      clean.push(text)
    }
    if (!hasExactly(values, this.#names.length)) return this.#source.misuse()
    const known = this.#walk(clean)
    if (known !== undefined) return known
    const series = this.#source.open(clean)
    if (series === null) return this.#source.overflow()
    // Only under its clean values: a peer could send endless ways to write one that needs cleaning.
    this.#keep(clean, series)
    return series
  }

  #walk(values: readonly string[]): S | undefined {
    let node: Node<S> | S | undefined = this.#root
    for (const value of values) {
      node = (node as Node<S>).get(value)
      if (node === undefined) return undefined
    }
    return node as S
  }

  #keep(values: readonly string[], series: S): void {
    let node = this.#root
    for (const value of values.slice(0, -1)) {
      let next = node.get(value)
      if (next === undefined) node.set(value, (next = new Map()))
      node = next as Node<S>
    }
    node.set(values.at(-1)!, series)
  }
}

/** Every name was found; the same number of names means that there is no other. */
function hasExactly(values: object, count: number): boolean {
  let seen = 0
  for (const _ in values) seen++
  return seen === count
}
