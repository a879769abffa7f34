import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { declareProcess } from '../../../src/observe/metrics/process.ts'
import { LIVE_BYTES, startThreadProbe } from '../../../src/observe/metrics/probe.ts'
import { bench } from '../../metrics/support.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const MB = 1e6

setFlagsFromString('--expose-gc')
/** A full collection now: when V8 makes one by itself depends on the machine and its load. */
const collect = runInNewContext('gc') as () => void

/** Runs `second` for a simulated second each, and returns live and used bytes after each. */
const run = (seconds: number, second: () => void) => {
  const { reader, writer } = bench()
  declareProcess(reader, { version: '0', startTime: 0 })
  const clock = new FakeClock()
  const probe = startThreadProbe(writer('t'), clock)
  const live: number[] = []
  const used: number[] = []
  for (let i = 0; i < seconds; i++) {
    second()
    clock.advance(1000)
    live.push(reader.value('siphon_memory_allocated_bytes') ?? NaN)
    used.push(reader.value('nodejs_heap_size_used_bytes', { thread: 't' }) ?? NaN)
  }
  probe.stop()
  assert.equal(clock.pendingTimers, 0)
  return { reader, live, used }
}

const spread = (values: readonly number[]): number => Math.max(...values) - Math.min(...values)

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b) / values.length

/** Long-lived for a while, then garbage: only a full collection frees it. */
const window: object[][] = []
const churn = (): void => {
  for (let n = 0; n < 4; n++) {
    window.push(Array.from({ length: 20_000 }, (_, i) => ({ i, text: `call ${i}`, parts: [i, i + 1] })))
    if (window.length > 3) window.shift()
    Buffer.allocUnsafeSlow(500_000).fill(1)
  }
}

describe('live bytes', () => {
  it('stay flat under garbage while the heap in use is a sawtooth', () => {
    for (let i = 0; i < 60; i++) churn()
    collect()
    const { live, used } = run(150, churn)
    // The first full collection replaces the guess made at the start.
    const settled = live.slice(60)
    assert.ok(
      spread(used) > 20 * MB,
      `the heap in use moved by ${spread(used)} bytes only: the test proves nothing`,
    )
    const moved = `live bytes moved by ${spread(settled)}, the heap in use by ${spread(used)}`
    assert.ok(spread(settled) < spread(used) / 5, moved)
    const drift = mean(settled.slice(45)) - mean(settled.slice(0, 45))
    // Down it may go: what earlier tests left behind is collected meanwhile.
    assert.ok(drift < 6 * MB, `live bytes drifted by ${drift}`)
  })

  it('grow with what is kept, on the heap and outside it', () => {
    const kept: object[] = []
    const { live } = run(120, () => {
      churn()
      if (kept.length % 20 === 0) collect()
      kept.push(Array.from({ length: 10_000 }, (_, i) => ({ i, text: `leak ${i}` })))
    })
    const heapGrowth = live.at(-1)! - live[40]!
    assert.ok(heapGrowth > 20 * MB, `80 s of a leak of some 0.6 MB/s moved live bytes by ${heapGrowth}`)
    const buffers: Buffer[] = []
    collect()
    const outside = run(60, () => {
      churn()
      buffers.push(Buffer.alloc(4 * MB, 1))
    }).live
    // Seen half a minute late at most, collected or not.
    const growth = outside.at(-1)! - outside[5]!
    assert.ok(growth > 90 * MB, `a leak of 220 MB of buffers moved live bytes by ${growth}`)
    assert.equal(kept.length + buffers.length, 180)
  })
})

describe('the process', () => {
  it('tells its files, memory and start', () => {
    const { reader } = run(1, () => {})
    const value = (name: string): number => reader.value(name) ?? NaN
    assert.ok(value('process_resident_memory_bytes') > 10 * MB)
    assert.ok(value('process_virtual_memory_bytes') > value('process_resident_memory_bytes'))
    assert.ok(value('process_open_fds') > 2)
    assert.ok(value('process_max_fds') >= value('process_open_fds'))
    assert.ok(Math.abs(value('process_start_time_seconds') - (Date.now() / 1000 - process.uptime())) < 5)
    assert.ok(value('process_cpu_seconds_total') > 0)
    assert.equal(reader.value('siphon_build_info', { version: '0', node: process.versions.node }), 1)
  })

  it('counts shared memory once, and live bytes of each thread', () => {
    const { reader, writer } = bench()
    declareProcess(reader, { version: '0', startTime: 0, sharedBytes: () => 1000 })
    assert.equal(reader.value('siphon_memory_allocated_bytes'), undefined)
    const [a, b] = ['a', 'b'].map((t) => writer(t).threadGauge(LIVE_BYTES, 'x'))
    a?.set(5)
    b?.set(6)
    assert.equal(reader.value('siphon_memory_allocated_bytes'), 1011 + reader.sharedBytes)
    reader.detach('a')
    assert.equal(reader.value('siphon_memory_allocated_bytes'), 1006 + reader.sharedBytes)
  })
})
