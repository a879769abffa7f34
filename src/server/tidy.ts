import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Clock, Timer } from '../base/clock.ts'

const PERIOD_MS = 500
/** So much more than after the last time is worth a pause, bytes. */
const WORTH_BYTES = 64 << 20
/** A loop that is busy for less than this part of the time has time. */
const QUIET = 0.1
/** A flood may draw breath for one. */
const QUIET_PERIODS = 2

export interface Tidying {
  /** Something large is over: there is something to give back even if this thread's heap has not grown. */
  expect(): void
  stop(): void
}

/** What is looked at and done: V8, but in tests. */
export interface Heap {
  /** Bytes taken from the system. */
  total(): number
  /** Share of the time since the last question that the loop was busy. */
  busy(): number
  collect(): void
}

/**
 * Gives memory back to the system after a burst, from the thread that calls it.
 *
 * V8 collects when a thread allocates. After a flood nobody does: the nursery stays as large as the flood has made it,
 * and transactions that have ended lie in the old space, until the next flood. Asked for a collection that is to make
 * the heap small, it returns all of that. It stops the thread for 60 to 130 ms, 220 where others want its processor, and
 * longer the more lives. Therefore it is done only when `free()` says that nobody would notice, and the loop has had
 * next to nothing to do for a second.
 */
export function startTidying(clock: Clock, free: () => boolean, heap: Heap = v8Heap()): Tidying {
  let least = heap.total()
  let expected = false
  let quiet = 0
  heap.busy()
  let timer: Timer
  const tick = (): void => {
    timer = clock.startTimer(PERIOD_MS, tick)
    quiet = heap.busy() < QUIET ? quiet + 1 : 0
    const total = heap.total()
    least = Math.min(least, total)
    if ((!expected && total - least < WORTH_BYTES) || quiet < QUIET_PERIODS || !free()) return
    expected = false
    heap.collect()
    // What is left is needed: to ask for the same again and again would free nothing.
    least = heap.total()
    heap.busy()
  }
  timer = clock.startTimer(PERIOD_MS, tick)
  return { expect: () => void (expected = true), stop: () => timer.cancel() }
}

/** A heap is collected in full when it has grown by this part of what the last full collection left in it, percent. */
const GROWTH_PERCENT = 200

/**
 * V8's own ways to keep heaps small cost more than the memory is worth.
 *
 * Of what a call promotes nearly all is dead half a minute later, so a full collection has the same code and tables to go
 * through each time, and by itself V8 makes one when the heap has doubled: each 3,000 calls. After eight seconds with little
 * to do it makes another one, which takes away what is compiled for objects of which none is alive just then, and the next
 * burst of calls is compiled anew while it lasts.
 *
 * Holds for threads that are started after this. The engine and the control thread are tidied as above when a burst is over
 * for good; what a handler's thread has is bounded by its limit, and goes with its worker.
 */
export function keepHeapsLarge(): void {
  setFlagsFromString('--no-memory-reducer')
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`)
}

/** @param after what is done after a collection */
export function v8Heap(after: () => void = () => undefined): Heap {
  // The function is not there unless the flag is; contexts that exist already do not get it.
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as (how: { type: 'major'; flavor: 'last-resort' }) => void
  let loop = performance.eventLoopUtilization()
  return {
    total: () => getHeapStatistics().total_heap_size,
    busy: () => {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, loop)
      loop = now
      return utilization
    },
    // Only this flavour makes V8 return the pages, too; an ordinary one keeps them for the next burst.
    collect: () => {
      gc({ type: 'major', flavor: 'last-resort' })
      after()
    },
  }
}
