import type { Protocol } from '../../base/address.ts'
import type { CounterSeries } from '../../metrics/series.ts'
import type { Counter } from '../../metrics/writer.ts'
import { METHODS } from '../../sip/message/methods.ts'

/** Any other token than a method in use, or a peer could make series at will. */
const OTHER_METHOD = 'OTHER'

/** Response codes that are there at 0 from the start; the rest of 100 … 699 appear when first seen. */
const COMMON_CODES: readonly number[] = [
  100, 180, 181, 183, 200, 202, 301, 302, 400, 401, 403, 404, 405, 407, 408, 410, 415, 416, 420, 423, 480,
  481, 482, 483, 484, 486, 487, 488, 491, 500, 501, 502, 503, 504, 505, 513, 600, 603, 604,
]

/** A series for each known method, and one for all others. */
export function perMethod(series: (method: string) => CounterSeries): (method: string) => CounterSeries {
  const known = new Map(METHODS.map((method) => [method, series(method)]))
  const other = series(OTHER_METHOD)
  return (method) => known.get(method) ?? other
}

/** A series for each response code. */
export function perCode(series: (code: number) => CounterSeries): (code: number) => CounterSeries {
  const known: (CounterSeries | undefined)[] = Array.from({ length: 700 }, () => undefined)
  for (const code of COMMON_CODES) known[code] = series(code)
  return (code) => {
    const found = known[code]
    if (found !== undefined) return found
    // The parser lets 100 … 699 through (§7.2): at most 600 of these, and the limit of series above that.
    return (known[code] = series(code))
  }
}

/** What each transport needs; made at once for those given, later for any other. */
export function perTransport<T>(
  transports: readonly Protocol[],
  make: (transport: Protocol) => T,
): (of: Protocol) => T {
  const known = new Map(transports.map((transport) => [transport, make(transport)]))
  return (transport) => {
    let found = known.get(transport)
    if (found === undefined) known.set(transport, (found = make(transport)))
    return found
  }
}

/** A series for each value of one label; those given are there at 0 from the start. @param others labels that are the same for all */
export function perKnown<L extends string>(
  counter: Counter<L>,
  label: L,
  values: readonly string[],
  others: Partial<Record<L, string>> = {},
): (value: string) => CounterSeries {
  const of = (value: string): CounterSeries =>
    counter.labels({ ...others, [label]: value } as Record<L, string>)
  const known = new Map(values.map((value) => [value, of(value)]))
  return (value) => known.get(value) ?? of(value)
}
