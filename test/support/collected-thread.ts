/**
 * A thread whose heap is what an engine's is: much that stays (code and tables there), and records that each live for
 * a while. Run as a program it prints how often that thread's heap was collected in full.
 */
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { keepHeapsLarge } from '../../src/server/tidy.ts'

const KEPT = 200_000
const ALIVE = 60_000
const A_TURN = 3_000
const TURNS = 2_500
/** A small nursery, so that records grow old at a rate that the machine has no part in; a heap that V8 would let double, not more. */
const LIMITS = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 512 }

async function collections(): Promise<number> {
  let full = 0
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { detail } = entry as unknown as { detail: { kind: number } }
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) full++
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  const kept = Array.from({ length: KEPT }, (_, i) => ({ i, list: [i] }))
  const alive: object[] = []
  for (let turn = 0; turn < TURNS; turn++) {
    for (let i = 0; i < A_TURN; i++) alive[(turn * A_TURN + i) % ALIVE] = { i, list: [i, turn] }
    // Collections are told between turns of the loop.
    await new Promise((done) => setImmediate(done))
  }
  await new Promise((done) => setImmediate(done))
  return kept.length === KEPT ? full : Number.NaN
}

if (isMainThread) {
  if (process.argv[2] === 'large') keepHeapsLarge()
  new Worker(new URL(import.meta.url), { resourceLimits: LIMITS }).on('message', (full: number) =>
    console.log(full),
  )
} else {
  parentPort?.postMessage(await collections())
}
