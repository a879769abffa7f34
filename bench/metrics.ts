import { MetricsReader } from '../src/metrics/reader.ts'
import { createMetricsShared } from '../src/metrics/shared.ts'
import { MetricsWriter } from '../src/metrics/writer.ts'
import { Exposition } from '../src/observe/metrics/exposition.ts'
import { attachMetricsTap } from '../src/observe/metrics/tap.ts'
import type { MessageCrossed } from '../src/spine/facts.ts'
import { createSpine } from '../src/spine/spine.ts'

/** What a metric costs the thread that uses it, and what a scrape of 10,000 series costs the control thread. */
const OPERATIONS = 2_000_000
const ROUNDS = 7

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN

function perOperation(name: string, run: (i: number) => void): void {
  const rounds: number[] = []
  for (let r = 0; r < ROUNDS; r++) {
    const start = performance.now()
    for (let i = 0; i < OPERATIONS; i++) run(i)
    rounds.push(((performance.now() - start) * 1e6) / OPERATIONS)
  }
  console.log(`${name.padEnd(44)} ${median(rounds).toFixed(1)} ns`)
}

const shared = createMetricsShared()
const reader = new MetricsReader(shared)
const writer = (thread: string): MetricsWriter => {
  reader.attach(thread)
  return new MetricsWriter({ thread, shared, origin: 'builtin', post: (m) => reader.receive(thread, m) })
}
const one = writer('one')
const counter = one.counter('a_total', 'A', { labels: ['direction', 'result'] })
const child = counter.labels({ direction: 'inbound', result: 'ok' })
const plain = one.counter('p_total', 'P')
const gauge = one.gauge('g', 'G')
const histogram = one.histogram('h_seconds', 'H')
const peers = Array.from({ length: 100 }, (_, i) => `peer-${i}`)
perOperation('counter series kept: inc()', () => child.inc())
perOperation('counter without labels: inc()', () => plain.inc())
perOperation('labels({ 2 }).inc()', () => counter.labels({ direction: 'inbound', result: 'ok' }).inc())
perOperation('labels({ 2 }).inc(), 100 values in turn', (i) =>
  counter.labels({ direction: 'inbound', result: peers[i % 100] ?? '' }).inc(),
)
perOperation('gauge: inc()', () => gauge.inc())
perOperation('gauge: set()', (i) => gauge.set(i))
perOperation('histogram, 11 buckets: observe()', (i) => histogram.observe((i % 100) / 10))

const spine = createSpine(() => {})
attachMetricsTap(spine, writer('engine'))
const path = {
  protocol: 'udp',
  local: { host: '127.0.0.1', port: 1 },
  remote: { host: '127.0.0.1', port: 2 },
} as const
const facts = ['INVITE', 'ACK', 'BYE', '180', '200'].map((what) => ({
  path,
  bytes: new Uint8Array(),
  // What the tap looks at, and no more.
  message: /\d/.test(what) ? { kind: 'response', status: Number(what) } : { kind: 'request', method: what },
  at: 0,
})) as unknown as MessageCrossed[]
perOperation('tap: a message', (i) => spine.messageReceived.publish(facts[i % 5]!))

const threads = ['w1', 'w2', 'w3', 'w4'].map(writer)
for (let m = 0; m < 10; m++) {
  for (const thread of threads) {
    const many = thread.counter(`many_${m}_total`, 'Many', { labels: ['peer', 'result'] })
    for (let i = 0; i < 1000; i++) many.labels({ peer: `peer-${i}`, result: 'ok' }).inc(i)
  }
}
const exposition = new Exposition(reader)
const scrapes: number[] = []
let bytes = 0
for (let i = 0; i < 30; i++) {
  const start = performance.now()
  bytes = Buffer.byteLength(exposition.render('text'))
  scrapes.push(performance.now() - start)
  await new Promise((resolve) => setImmediate(resolve))
}
console.log(
  `scrape, 10,000 series of 4 threads (${bytes >> 10} kB): first ${scrapes[0]?.toFixed(1)} ms, then ${median(scrapes).toFixed(1)} ms, worst ${Math.max(...scrapes.slice(1)).toFixed(1)} ms`,
)
