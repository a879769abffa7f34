import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { MetricsMessage } from '../../src/metrics/messages.ts'
import { MetricsReader } from '../../src/metrics/reader.ts'
import { createMetricsShared } from '../../src/metrics/shared.ts'
import { MetricsWriter } from '../../src/metrics/writer.ts'
import { bench } from './support.ts'

const names = (reader: MetricsReader): string[] => [...reader.families()].map((f) => f.shape.name)

describe('a reload', () => {
  it('gives a metric of the same shape its old values', () => {
    const { reader, writer } = bench()
    const old = writer('old')
    old.counter('calls_total', 'Calls').inc(3)
    old.gauge('active', 'Active').set(4)
    const next = writer('new')
    next.counter('calls_total', 'Calls, better told').inc()
    next.gauge('active', 'Active').inc()
    reader.retireAllBut(reader.declaredBy('new'))
    reader.detach('old')
    assert.equal(reader.value('calls_total'), 4)
    assert.equal(reader.value('active'), 5)
    assert.equal(
      [...reader.families()].find((f) => f.shape.name === 'calls_total')?.help,
      'Calls, better told',
    )
  })

  it('takes away what the new script no longer declares, with its tallies', () => {
    const { reader, writer } = bench()
    const gone = writer('old').counter('gone_total', 'Gone', { labels: ['a'] })
    gone.labels({ a: 'x' }).inc()
    writer('new').counter('stays_total', 'Stays')
    reader.retireAllBut(reader.declaredBy('new'))
    assert.deepEqual(reader.scriptMetrics(), ['stays_total'])
    assert.equal(reader.value('siphon_metrics_overflow_total', { metric: 'gone_total' }), undefined)
    // The old worker still runs: what it does with the metric now is nobody's business.
    gone.labels({ a: 'x' }).inc()
    gone.labels({ a: 'y' }).inc()
    reader.detach('old')
    assert.deepEqual(reader.scriptMetrics(), ['stays_total'])
  })

  it('lets a retired name come back in another shape, fresh', () => {
    const { reader, writer } = bench({ maxSeriesPerMetric: 2 })
    const before = writer('a').gauge('x', 'X', { labels: ['a'] })
    for (const a of ['1', '2', '3']) before.labels({ a }).set(9)
    writer('b')
    reader.retireAllBut(reader.declaredBy('b'))
    const after = writer('c').gauge('x', 'X', { labels: ['a'] })
    for (const a of ['1', '2']) after.labels({ a }).inc()
    assert.equal(reader.value('x', { a: '1' }), 1)
    assert.equal(reader.value('siphon_metrics_overflow_total', { metric: 'x' }), 0)
    reader.retire(['x'])
    writer('d').histogram('x', 'X')
    assert.ok(names(reader).includes('x'))
  })

  it('cannot retire what the server itself declares', () => {
    const { reader, writer } = bench()
    writer('engine', 'builtin').counter('siphon_x_total', 'X')
    reader.retire(['siphon_x_total'])
    assert.ok(names(reader).includes('siphon_x_total'))
  })
})

describe('messages', () => {
  it('of a thread that is already gone still count', () => {
    const shared = createMetricsShared()
    const reader = new MetricsReader(shared)
    const sent: MetricsMessage[] = []
    reader.attach('w')
    const writer = new MetricsWriter({ thread: 'w', shared, origin: 'script', post: (m) => sent.push(m) })
    writer.counter('calls_total', 'Calls').inc(7)
    writer.threadGauge('level', 'Level').set(1)
    reader.detach('w')
    for (const message of sent) reader.receive('w', structuredClone(message))
    assert.equal(reader.value('calls_total'), 7)
    assert.equal(reader.value('level', { thread: 'w' }), undefined)
  })
})

describe('a pulled metric', () => {
  it('is read when asked for', () => {
    const { reader } = bench()
    let level = 1
    reader.gaugeFrom('siphon_calls_active', 'Calls', [], () => level)
    level = 2
    assert.equal(reader.value('siphon_calls_active'), 2)
    reader.counterFrom('siphon_x_total', 'X', ['sink'], () => [[{ sink: 'file' }, 3]])
    assert.equal(reader.value('siphon_x_total', { sink: 'file' }), 3)
  })
})
