import { parentPort, workerData } from 'node:worker_threads'
import { MetricsWriter } from '../../src/metrics/writer.ts'
import type { MetricsShared } from '../../src/metrics/shared.ts'

/** A thread that writes as told: `rounds` of everything, or (-1) without end. */
const { thread, shared, rounds } = workerData as { thread: string; shared: MetricsShared; rounds: number }
const writer = new MetricsWriter({
  thread,
  shared,
  origin: 'script',
  post: (m) => parentPort?.postMessage(m),
})
const calls = writer.counter('calls_total', 'Calls', { labels: ['to'] })
const active = writer.gauge('active', 'Active', { labels: ['to'] })
const setup = writer.histogram('setup_seconds', 'Setup', { buckets: [1, 2, 3] })
const many = writer.counter('many_total', 'Many', { labels: ['n'] })
const end = rounds < 0 ? Infinity : rounds
for (let i = 0; i < end; i++) {
  calls.labels({ to: `peer${i % 3}` }).inc()
  active.labels({ to: 'x' }).inc(2)
  active.labels({ to: 'x' }).dec()
  setup.observe(i % 5)
  if (i < 100) many.labels({ n: `${thread}-${i % 50}` }).inc()
}
parentPort?.postMessage('done')
