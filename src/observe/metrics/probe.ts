import { GCProfiler, getHeapStatistics } from 'node:v8'
import type { Clock, Timer } from '../../base/clock.ts'
import type { MetricsWriter } from '../../metrics/writer.ts'

const PERIOD_MS = 1000
/** External memory is the least of so many seconds. */
const WINDOW = 30

export interface ThreadProbe {
  /** Ends the probing. The thread's numbers stay until the reader detaches it. */
  stop(): void
}

/** The metric whose sum over the threads is most of `siphon_memory_allocated_bytes`. */
export const LIVE_BYTES = 'siphon_thread_live_bytes'

/**
 * Reports this thread's memory and load once a second: call once in each thread.
 *
 * Live bytes are what the last full collection left in the V8 heap, plus external memory: buffers are freed at any
 * collection, or a while after it, so what lives is the lowest level of the last half minute, whenever that was. The profiler hands us the
 * heap's size inside each collection's epilogue: asking at a later turn of the loop would count what has been allocated
 * since, which under load is the very sawtooth to be kept out. It costs about 10 µs a collection.
 */
export function startThreadProbe(writer: MetricsWriter, clock: Clock): ThreadProbe {
  const used = writer.threadGauge(
    'nodejs_heap_size_used_bytes',
    'V8 heap in use, garbage included, by thread',
  )
  const total = writer.threadGauge('nodejs_heap_size_total_bytes', 'V8 heap taken from the system, by thread')
  const external = writer.threadGauge(
    'nodejs_external_memory_bytes',
    'Buffers and other memory outside the V8 heap, by thread',
  )
  const busy = writer.threadGauge(
    'nodejs_eventloop_utilization_ratio',
    'Share of the last second the event loop was busy, by thread',
  )
  const live = writer.threadGauge(
    LIVE_BYTES,
    'Heap left by the last full collection, plus external memory, by thread',
  )

  const profiler = new GCProfiler()
  let liveHeap = getHeapStatistics().used_heap_size
  const externals = new Float64Array(WINDOW).fill(Infinity)
  let next = 0
  let loop = performance.eventLoopUtilization()
  let timer: Timer

  const sample = (): void => {
    const heap = getHeapStatistics()
    externals[next++ % WINDOW] = heap.external_memory
    used.set(heap.used_heap_size)
    total.set(heap.total_heap_size)
    external.set(heap.external_memory)
    live.set(liveHeap + Math.min(...externals))
    const now = performance.eventLoopUtilization()
    busy.set(performance.eventLoopUtilization(now, loop).utilization)
    loop = now
  }
  const tick = (): void => {
    const full = profiler.stop()?.statistics.findLast((gc) => gc.gcType === 'MarkSweepCompact')
    profiler.start()
    if (full !== undefined) liveHeap = full.afterGC.heapStatistics.usedHeapSize
    sample()
    timer = clock.startTimer(PERIOD_MS, tick)
  }
  profiler.start()
  sample()
  timer = clock.startTimer(PERIOD_MS, tick)
  return {
    stop: () => {
      timer.cancel()
      profiler.stop()
    },
  }
}
