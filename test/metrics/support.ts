import { MetricsReader } from '../../src/metrics/reader.ts'
import { createMetricsShared, type MetricsSharedOptions } from '../../src/metrics/shared.ts'
import { MetricsWriter } from '../../src/metrics/writer.ts'
import type { Origin } from '../../src/metrics/declaration.ts'

/** A reader, and writers that share this thread and hand their messages over at once. */
export function bench(options?: MetricsSharedOptions) {
  const shared = createMetricsShared(options)
  const reader = new MetricsReader(shared)
  const writer = (thread = 'w1', origin: Origin = 'script'): MetricsWriter => {
    reader.attach(thread)
    return new MetricsWriter({ thread, shared, origin, post: (m) => reader.receive(thread, m) })
  }
  return { shared, reader, writer }
}
