import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MetricDeclarationError } from '../../src/metrics/declaration.ts'
import { bench } from './support.ts'

const refused = (declare: () => unknown, what: RegExp): void => {
  assert.throws(declare, (e) => e instanceof MetricDeclarationError && what.test(e.message))
}

describe('a counter', () => {
  it('starts at 0 and adds up over its threads', () => {
    const { reader, writer } = bench()
    const a = writer('a').counter('calls_total', 'Calls')
    const b = writer('b').counter('calls_total', 'Calls')
    assert.equal(reader.value('calls_total'), 0)
    a.inc()
    b.inc(2.5)
    assert.equal(reader.value('calls_total'), 3.5)
  })

  it('ignores and counts what is no increment', () => {
    const { reader, writer } = bench()
    const calls = writer().counter('calls_total', 'Calls')
    const wrong = ['1', null, {}, 1n] as unknown[]
    for (const n of [-1, NaN, Infinity, ...wrong]) calls.inc(n as number)
    assert.equal(reader.value('calls_total'), 0)
    assert.equal(reader.value('siphon_metrics_misuse_total', { metric: 'calls_total' }), 7)
  })

  it('keeps what a thread counted when the thread is gone', () => {
    const { reader, writer } = bench()
    const first = writer('a').counter('calls_total', 'Calls', { labels: ['to'] })
    first.labels({ to: 'x' }).inc(5)
    reader.detach('a')
    assert.equal(reader.value('calls_total', { to: 'x' }), 5)
    writer('b')
      .counter('calls_total', 'Calls', { labels: ['to'] })
      .labels({ to: 'x' })
      .inc()
    assert.equal(reader.value('calls_total', { to: 'x' }), 6)
  })
})

describe('a gauge', () => {
  it('is one value for all threads, and outlives them', () => {
    const { reader, writer } = bench()
    const a = writer('a').gauge('active', 'Active')
    const b = writer('b').gauge('active', 'Active')
    a.inc(5)
    b.dec(2)
    assert.equal(reader.value('active'), 3)
    b.set(10.5)
    a.inc()
    assert.equal(reader.value('active'), 11.5)
    reader.detach('a')
    reader.detach('b')
    assert.equal(reader.value('active'), 11.5)
  })

  it('ignores NaN and infinities', () => {
    const { reader, writer } = bench()
    const active = writer().gauge('active', 'Active')
    for (const n of [NaN, Infinity, '3' as unknown as number]) {
      active.set(n)
      active.inc(n)
      active.dec(n)
    }
    assert.equal(reader.value('active'), 0)
    assert.equal(reader.value('siphon_metrics_misuse_total', { metric: 'active' }), 9)
  })

  it('of one thread has its name, and goes with it', () => {
    const { reader, writer } = bench()
    writer('a').threadGauge('heap_bytes', 'Heap').set(7)
    writer('b').threadGauge('heap_bytes', 'Heap').set(8)
    assert.equal(reader.value('heap_bytes', { thread: 'a' }), 7)
    reader.detach('a')
    assert.equal(reader.value('heap_bytes', { thread: 'a' }), undefined)
    assert.equal(reader.value('heap_bytes', { thread: 'b' }), 8)
  })
})

describe('a histogram', () => {
  it('puts a value on a bound into that bucket', () => {
    const { reader, writer } = bench()
    const setup = writer().histogram('setup_seconds', 'Setup', { buckets: [0.1, 1] })
    for (const v of [0.05, 0.1, 0.5, 1, 2]) setup.observe(v)
    const [family] = [...reader.families()].filter((f) => f.shape.name === 'setup_seconds')
    const series = family?.series[0]
    assert.deepEqual(
      [0, 1, 2].map((i) => series?.number(i)),
      [2, 2, 1],
    )
    assert.ok(Math.abs((series?.number(3) ?? 0) - 3.65) < 1e-9)
  })

  it('finds the same bucket by halving as by looking at each', () => {
    const { reader, writer } = bench()
    const bounds = Array.from({ length: 100 }, (_, i) => i)
    const wide = writer().histogram('wide', 'Wide', { buckets: bounds })
    for (let i = 0; i <= 100; i++) wide.observe(i - 0.5)
    wide.observe(50)
    const series = [...reader.families()].find((f) => f.shape.name === 'wide')?.series[0]
    for (let i = 0; i <= 100; i++) assert.equal(series?.number(i), i === 50 ? 2 : 1)
  })
})

describe('labels', () => {
  it('may be named and valued like parts of objects', () => {
    const { reader, writer } = bench()
    const odd = writer().counter('odd_total', 'Odd', { labels: ['constructor', 'toString'] })
    for (const value of ['__proto__', 'constructor', 'hasOwnProperty', '']) {
      odd.labels({ constructor: value, toString: 'x' }).inc()
      assert.equal(reader.value('odd_total', { constructor: value, toString: 'x' }), 1)
    }
    // Inherited functions are no label values.
    odd.labels({} as never).inc()
    assert.equal(reader.value('siphon_metrics_misuse_total', { metric: 'odd_total' }), 1)
  })

  it('take numbers and booleans as text', () => {
    const { reader, writer } = bench()
    const calls = writer().counter('calls_total', 'Calls', { labels: ['code', 'ok'] })
    calls.labels({ code: 200, ok: true }).inc()
    calls.labels({ code: '200', ok: 'true' }).inc()
    assert.equal(reader.value('calls_total', { code: 200, ok: 'true' }), 2)
  })

  it('that are missing, unknown or no label values are misuse', () => {
    const { reader, writer } = bench()
    const calls = writer().counter('calls_total', 'Calls', { labels: ['to'] })
    calls.labels({ to: 'x' }).inc()
    const wrong = [{}, { from: 'x' }, { to: 'x', from: 'y' }, { to: null }, { to: {} }, null, undefined, 'x']
    for (const values of wrong) calls.labels(values as never).inc()
    calls.inc()
    const plain = writer('w2').counter('plain_total', 'Plain')
    plain.labels({ to: 'x' } as never).inc()
    plain.labels({}).inc()
    assert.equal(reader.value('calls_total', { to: 'x' }), 1)
    assert.equal(reader.value('siphon_metrics_misuse_total', { metric: 'calls_total' }), wrong.length + 1)
    assert.equal(reader.value('plain_total'), 1)
    assert.equal(reader.value('siphon_metrics_misuse_total', { metric: 'plain_total' }), 1)
  })

  it('are made well-formed, bounded and free of control characters', () => {
    const { reader, writer } = bench()
    const calls = writer().counter('calls_total', 'Calls', { labels: ['ua'] })
    for (const ua of ['a\ud800b', 'a\u0000\r\u007f', 'x'.repeat(5000)]) calls.labels({ ua }).inc()
    const got = [...reader.families()]
      .find((f) => f.shape.name === 'calls_total')
      ?.series.map((s) => s.labels[0])
    assert.deepEqual(got, ['a\ufffdb', 'a\ufffd\ufffd\ufffd', `${'x'.repeat(255)}…`])
  })
})

describe('the limit of label sets', () => {
  it('holds over all threads, sends the rest to __other__ and counts', () => {
    const { reader, writer } = bench({ maxSeriesPerMetric: 10 })
    const a = writer('a').counter('calls_total', 'Calls', { labels: ['to', 'x'] })
    const b = writer('b').counter('calls_total', 'Calls', { labels: ['to', 'x'] })
    assert.equal(reader.value('siphon_metrics_overflow_total', { metric: 'calls_total' }), 0)
    for (let i = 0; i < 8; i++) a.labels({ to: `a${i}`, x: '' }).inc()
    for (let i = 0; i < 8; i++) b.labels({ to: `b${i}`, x: '' }).inc()
    for (let i = 0; i < 8; i++) b.labels({ to: `a${i}`, x: '' }).inc()
    a.labels({ to: 'late', x: '' }).inc()
    assert.equal(reader.value('calls_total', { to: '__other__', x: '__other__' }), 7)
    assert.equal(reader.value('siphon_metrics_overflow_total', { metric: 'calls_total' }), 7)
    assert.equal(reader.value('calls_total', { to: 'a3', x: '' }), 2)
    assert.equal([...reader.families()].find((f) => f.shape.name === 'calls_total')?.series.length, 11)
  })

  it("is none of the server's own metrics, even where scripts have filled the table", () => {
    const { reader, writer } = bench({ maxSeriesPerMetric: 2, maxSeries: 64 })
    const script = writer().counter('mine_total', 'Mine', { labels: ['l'] })
    for (let i = 0; i < 100; i++) script.labels({ l: i }).inc()
    // Two label sets each: together more than scripts may have.
    for (let m = 0; m < 60; m++) {
      const other = writer().gauge(`g${m}`, 'G', { labels: ['l'] })
      for (let i = 0; i < 2; i++) other.labels({ l: i }).inc()
    }
    const own = writer('engine', 'builtin').counter('siphon_results_total', 'R', { labels: ['result'] })
    for (let i = 0; i < 10; i++) own.labels({ result: i }).inc()
    for (let i = 0; i < 10; i++) assert.equal(reader.value('siphon_results_total', { result: String(i) }), 1)
    assert.equal(reader.value('siphon_metrics_overflow_total', { metric: 'siphon_results_total' }), 0)
    assert.equal(reader.value('mine_total', { l: '__other__' }), 98)
  })

  it('holds for gauges and histograms, and when the whole table is full', () => {
    const { reader, writer } = bench({ maxSeries: 64 })
    const w = writer()
    const gauge = w.gauge('g', 'G', { labels: ['l'] })
    const histogram = w.histogram('h', 'H', { labels: ['l'] })
    for (let i = 0; i < 500; i++) {
      gauge.labels({ l: i }).set(i)
      histogram.labels({ l: i }).observe(i)
    }
    assert.equal(reader.value('g', { l: '__other__' }), 499)
    assert.ok((reader.value('siphon_metrics_overflow_total', { metric: 'h' }) ?? 0) > 400)
  })
})

describe('a declaration', () => {
  it('again in the same shape is the same metric', () => {
    const { writer } = bench()
    const w = writer()
    assert.equal(
      w.counter('c_total', 'C', { labels: ['a'] }),
      w.counter('c_total', 'C again', { labels: ['a'] }),
    )
    assert.equal(w.histogram('h', 'H'), w.histogram('h', 'H', { buckets: undefined as never }))
  })

  it('in another shape is refused, in this thread and in others', () => {
    const { writer } = bench()
    const w = writer('a')
    w.counter('c_total', 'C', { labels: ['a'] })
    w.histogram('h', 'H')
    refused(() => w.gauge('c_total', 'C', { labels: ['a'] }), /already declared with type counter/)
    refused(() => w.counter('c_total', 'C'), /already declared with labels \[a\]/)
    refused(() => w.histogram('h', 'H', { buckets: [1] }), /already declared with buckets/)
    refused(() => writer('b').counter('c_total', 'C'), /another type, other labels or other buckets/)
  })

  it('that takes a name of the server is refused', () => {
    const { reader, writer } = bench()
    writer('engine', 'builtin').histogram('siphon_call_setup_seconds', 'Setup')
    reader.gaugeFrom('siphon_calls_active', 'Calls', [], () => 0)
    const script = writer('script')
    refused(() => script.gauge('siphon_calls_active', 'Mine'), /a metric of the server itself/)
    refused(() => script.histogram('siphon_call_setup_seconds', 'Mine'), /a metric of the server itself/)
    refused(
      () => script.counter('siphon_call_setup_seconds_count', 'Mine'),
      /which the server uses|server itself/,
    )
    refused(() => script.counter('siphon_metrics_overflow_total', 'Mine', { labels: ['metric'] }), /server/)
  })

  it('that would share a name with another in either format is refused and leaves nothing behind', () => {
    const { writer } = bench()
    const w = writer()
    w.gauge('calls', 'Calls')
    refused(() => w.counter('calls_total', 'Calls'), /needs the name 'calls' too/)
    w.gauge('calls_total', 'The name is free again')
    w.gauge('h_sum', 'Sum')
    refused(() => w.histogram('h', 'H'), /needs the name 'h_sum' too/)
  })

  it('with a bad name, label, bucket or help is refused', () => {
    const { writer } = bench()
    const w = writer()
    refused(() => w.counter('9lives', 'x'), /is no metric name/)
    refused(() => w.counter('a-b', 'x'), /is no metric name/)
    refused(() => w.counter(undefined as never, 'x'), /is no metric name/)
    refused(() => w.counter('a', ''), /needs a help text/)
    refused(() => w.counter('a', 'x', { labels: ['b-c'] }), /as a label name/)
    refused(() => w.counter('a', 'x', { labels: ['__b'] }), /reserved/)
    refused(() => w.counter('a', 'x', { labels: ['b', 'b'] }), /twice/)
    refused(() => w.counter('a', 'x', { labels: 'b' as never }), /no array/)
    refused(() => w.histogram('a', 'x', { labels: ['le'] }), /'le'/)
    refused(() => w.histogram('a', 'x', { buckets: [] }), /1 to 200 buckets/)
    refused(() => w.histogram('a', 'x', { buckets: [1, 1] }), /do not ascend/)
    refused(() => w.histogram('a', 'x', { buckets: [NaN, 1] }), /finite number/)
  })
})
