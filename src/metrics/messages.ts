import type { Shape } from './declaration.ts'

/**
 * What a writer tells the control thread, once for each metric and once for each series: never for a value.
 * Sent at once, so that the series of a worker that is killed a moment later are known.
 */
export type MetricsMessage = MetricDeclared | SeriesOpened

export interface MetricDeclared {
  readonly what: 'metric'
  readonly shape: Shape
  readonly help: string
  readonly epoch: number
}

export interface SeriesOpened {
  readonly what: 'series'
  readonly name: string
  readonly epoch: number
  readonly labels: readonly string[]
  readonly place: Place
}

/** Where a series' numbers are: a cell that all threads share (gauges), or slots of the writing thread's slab. */
export type Place =
  | { readonly cell: number }
  | {
      readonly chunk: number
      /** The chunk itself, each time: a message that comes after its thread has gone is still complete. */
      readonly buffer: SharedArrayBuffer
      readonly at: number
    }
