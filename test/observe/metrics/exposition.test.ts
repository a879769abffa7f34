import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Exposition, formatNumber } from '../../../src/observe/metrics/exposition.ts'
import { bench } from '../../metrics/support.ts'

/** The lines about one metric. */
const about = (text: string, name: string): string[] =>
  text
    .split('\n')
    .filter((line) => new RegExp(`^(# (HELP|TYPE) )?${name}(_bucket|_sum|_count)?[ {]`).test(line))

describe('the text format', () => {
  it('writes help, type and samples of each kind', () => {
    const { reader, writer } = bench()
    const w = writer()
    w.counter('calls_total', 'Calls\nby \\ "result"', { labels: ['result'] })
      .labels({ result: 'ok' })
      .inc(3)
    w.gauge('active', 'Active').set(-1.5)
    const setup = w.histogram('setup_seconds', 'Setup', { buckets: [0.5, 1], labels: ['to'] })
    setup.labels({ to: 'x' }).observe(0.25)
    setup.labels({ to: 'x' }).observe(4)
    const text = new Exposition(reader).render('text')
    assert.deepEqual(about(text, 'calls_total'), [
      '# HELP calls_total Calls\\nby \\\\ "result"',
      '# TYPE calls_total counter',
      'calls_total{result="ok"} 3',
    ])
    assert.deepEqual(about(text, 'active').at(-1), 'active -1.5')
    assert.deepEqual(about(text, 'setup_seconds'), [
      '# HELP setup_seconds Setup',
      '# TYPE setup_seconds histogram',
      'setup_seconds_bucket{to="x",le="0.5"} 1',
      'setup_seconds_bucket{to="x",le="1.0"} 1',
      'setup_seconds_bucket{to="x",le="+Inf"} 2',
      'setup_seconds_sum{to="x"} 4.25',
      'setup_seconds_count{to="x"} 2',
    ])
    assert.ok(text.endsWith('\n') && !text.includes('# EOF'))
  })

  it('escapes label values', () => {
    const { reader, writer } = bench()
    writer()
      .counter('c_total', 'C', { labels: ['l'] })
      .labels({ l: 'a"b\\c\nd\ré\ud83d' })
      .inc()
    const line = about(new Exposition(reader).render('text'), 'c_total').at(-1)
    assert.equal(line, 'c_total{l="a\\"b\\\\c\\nd\ufffdé\ufffd"} 1')
  })

  it('orders families by name and series by their labels, whatever the order they came in', () => {
    const { reader, writer } = bench()
    const w = writer()
    const b = w.counter('b_total', 'B', { labels: ['l'] })
    w.counter('a_total', 'A')
    reader.gaugeFrom('ab', 'AB', [], () => 1)
    for (const l of ['z', 'a', 'm']) b.labels({ l }).inc()
    const text = new Exposition(reader).render('text')
    const families = text
      .split('\n')
      .filter((l) => l.startsWith('# TYPE'))
      .map((l) => l.split(' ')[2]!)
    assert.deepEqual(families, families.toSorted())
    assert.deepEqual(
      about(text, 'b_total').slice(2),
      ['a', 'm', 'z'].map((l) => `b_total{l="${l}"} 1`),
    )
  })
})

describe('OpenMetrics', () => {
  it('names counter families without _total, escapes quotes in help and ends with EOF', () => {
    const { reader, writer } = bench()
    const w = writer()
    w.counter('calls_total', 'The "calls"').inc()
    w.counter('odd', 'No _total').inc(2)
    const text = new Exposition(reader).render('openmetrics')
    assert.ok(text.includes('# HELP calls The \\"calls\\"\n# TYPE calls counter\ncalls_total 1\n'))
    assert.ok(text.includes('# HELP odd No _total\n# TYPE odd unknown\nodd 2\n'))
    assert.ok(text.endsWith('\n# EOF\n'))
  })
})

describe('pulled metrics', () => {
  it('are absent when they cannot be read, and a failure spoils no scrape', () => {
    const { reader } = bench()
    reader.gaugeFrom('gone', 'Gone', [], () => null)
    reader.gaugeFrom('broken', 'Broken', [], () => {
      throw new Error('no')
    })
    reader.gaugeFrom('sinks', 'Sinks', ['sink'], () => [[{ sink: 'a"b' }, 1]])
    const exposition = new Exposition(reader)
    const text = exposition.render('text')
    assert.equal(about(text, 'gone').length, 2)
    assert.equal(about(text, 'broken').length, 2)
    assert.equal(about(text, 'sinks').at(-1), 'sinks{sink="a\\"b"} 1')
    assert.equal(reader.value('siphon_metrics_collect_failures_total'), 1)
  })
})

describe('scrapes of the same moment', () => {
  it('share one rendering; the next turn reads anew', async () => {
    const { reader } = bench()
    let reads = 0
    reader.gaugeFrom('reads', 'Reads', [], () => ++reads)
    const exposition = new Exposition(reader)
    assert.equal(exposition.render('text'), exposition.render('text'))
    assert.equal(reads, 1)
    await new Promise((resolve) => setImmediate(resolve))
    exposition.render('text')
    assert.equal(reads, 2)
  })
})

describe('numbers', () => {
  it('are spelled as both formats want them', () => {
    const cases: [number, string][] = [
      [0, '0'],
      [-0, '0'],
      [3, '3'],
      [1e15, '1000000000000000'],
      [2 ** 53, '9007199254740992'],
      [1e22, '10000000000000000000000'],
      [0.1, '0.1'],
      [1e-7, '1e-7'],
      [NaN, 'NaN'],
      [Infinity, '+Inf'],
      [-Infinity, '-Inf'],
    ]
    for (const [value, text] of cases) assert.equal(formatNumber(value), text)
  })
})
