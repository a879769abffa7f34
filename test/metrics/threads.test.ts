import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { MetricsMessage } from '../../src/metrics/messages.ts'
import { MetricsReader } from '../../src/metrics/reader.ts'
import { createMetricsShared, type MetricsShared } from '../../src/metrics/shared.ts'

const start = (reader: MetricsReader, shared: MetricsShared, thread: string, rounds: number) => {
  reader.attach(thread)
  const worker = new Worker(new URL('./counting-worker.ts', import.meta.url), {
    workerData: { thread, shared, rounds },
  })
  const done = new Promise<void>((resolve) => {
    worker.on('message', (m: MetricsMessage | 'done') =>
      m === 'done' ? resolve() : reader.receive(thread, m),
    )
  })
  return { worker, done }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const histogramOf = (reader: MetricsReader): number[] => {
  const series = [...reader.families()].find((f) => f.shape.name === 'setup_seconds')?.series[0]
  return series === undefined ? [] : [0, 1, 2, 3].map((i) => series.number(i))
}

describe('three threads writing at once', () => {
  it('lose nothing, share gauges and the limit of label sets, and never seem to go backwards', async () => {
    const shared = createMetricsShared({ maxSeriesPerMetric: 100 })
    const reader = new MetricsReader(shared)
    const rounds = 200_000
    const threads = ['a', 'b', 'c'].map((name) => ({ name, ...start(reader, shared, name, rounds) }))
    const running = new Set(threads)
    for (const t of threads) void t.done.then(() => running.delete(t))
    let last = 0
    while (running.size > 0) {
      const count = histogramOf(reader).reduce((a, b) => a + b, 0)
      assert.ok(count >= last)
      last = count
      await turn()
    }
    const check = (): void => {
      const total = [0, 1, 2].reduce(
        (sum, i) => sum + (reader.value('calls_total', { to: `peer${i}` }) ?? 0),
        0,
      )
      assert.equal(total, 3 * rounds)
      assert.equal(reader.value('active', { to: 'x' }), 3 * rounds)
      // 0 and 1 are at most 1.
      assert.deepEqual(
        histogramOf(reader),
        [2, 1, 1, 1].map((n) => (n * 3 * rounds) / 5),
      )
      const many = [...reader.families()].find((f) => f.shape.name === 'many_total')
      assert.equal(many?.series.length, 101)
      assert.equal(reader.value('many_total', { n: '__other__' }), 100)
      assert.equal(reader.value('siphon_metrics_overflow_total', { metric: 'many_total' }), 100)
    }
    check()
    for (const { name, worker } of threads) {
      await worker.terminate()
      reader.detach(name)
      check()
    }
  })
})

describe('a thread that is killed while it writes', () => {
  it('leaves its last counts behind', async () => {
    const shared = createMetricsShared()
    const reader = new MetricsReader(shared)
    const { worker } = start(reader, shared, 'stuck', -1)
    while ((reader.value('calls_total', { to: 'peer0' }) ?? 0) < 1000) await turn()
    const before = reader.value('calls_total', { to: 'peer0' }) ?? 0
    await worker.terminate()
    const dead = reader.value('calls_total', { to: 'peer0' }) ?? 0
    assert.ok(dead >= before)
    reader.detach('stuck')
    assert.equal(reader.value('calls_total', { to: 'peer0' }), dead)
    const next = start(reader, shared, 'next', 3)
    await next.done
    assert.equal(reader.value('calls_total', { to: 'peer0' }), dead + 1)
    await next.worker.terminate()
  })
})
