import { systemClock } from '../base/clock.ts'
import { createMetricsShared } from '../metrics/shared.ts'
import { MetricsReader } from '../metrics/reader.ts'
import { MetricsWriter } from '../metrics/writer.ts'
import { declarePulled } from '../observe/metrics/builtin.ts'
import { startThreadProbe } from '../observe/metrics/probe.ts'
import { declareProcess } from '../observe/metrics/process.ts'
import { attachMetricsTap } from '../observe/metrics/tap.ts'
import type { HandlerSettings, ScriptFault } from '../script/conversation.ts'
import { doubtsOf } from '../script/doubts.ts'
import { HandlerWorker, type Loaded } from '../script/handler-worker.ts'
import { typeFaults } from '../script/type-check.ts'
import { createSpine } from '../spine/spine.ts'

/** How long a script may take to load, ms: as long as in the server. */
const LOAD_MS = 10_000

export interface ScriptCheck {
  /** Why it would not serve, or not do what it says. */
  readonly faults: readonly ScriptFault[]
  /** What it most likely does not mean, and what could not be checked. */
  readonly doubts: readonly ScriptFault[]
}

export interface CheckLimits {
  readonly memoryLimitMb: number
  readonly loadTimeoutMs?: number
  readonly settings?: HandlerSettings
}

/**
 * Checks the types of a script as an editor does, and loads it in a handler thread as the server does, what it declares
 * included. No handler and no timer of it runs.
 *
 * @param path absolute
 */
export async function checkScript(path: string, limits: CheckLimits): Promise<ScriptCheck> {
  const [types, loaded] = await Promise.all([checkTypes(path), load(path, limits)])
  const doubts = loaded.ok ? doubtsOf(loaded.manifest) : []
  if (loaded.ok) return { faults: types.faults, doubts: [...types.doubts, ...doubts] }
  // The compiler has told of that line already, and says more.
  const { fault } = loaded
  const known = types.faults.some(({ where }) => where !== null && lineOf(where) === lineOf(fault.where))
  return { faults: known ? types.faults : [...types.faults, fault], doubts: types.doubts }
}

function lineOf(where: string | null): string | null {
  return where === null ? null : where.replace(/:\d+$/, '')
}

/** JavaScript has no types to check. */
async function checkTypes(path: string): Promise<ScriptCheck> {
  if (!/\.[cm]?ts$/.test(path)) return { faults: [], doubts: [] }
  try {
    return { faults: await typeFaults(path), doubts: [] }
  } catch (error) {
    const [why = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    const what = `types are not checked: the TypeScript compiler does not run: ${why}`
    return { faults: [], doubts: [{ what, where: null }] }
  }
}

async function load(path: string, limits: CheckLimits): Promise<Loaded> {
  const shared = createMetricsShared()
  const done = Promise.withResolvers<void>()
  takeOwnNames(shared)
  const worker = new HandlerWorker({
    id: 1,
    generation: 1,
    script: path,
    slots: 1,
    metrics: shared,
    setup: null,
    settings: limits.settings ?? {},
    memoryLimitMb: limits.memoryLimitMb,
    loadTimeoutMs: limits.loadTimeoutMs ?? LOAD_MS,
    onLog: () => undefined,
    onMetrics: () => undefined,
    onExit: () => done.resolve(),
  })
  const loaded = await worker.loaded
  worker.kill()
  await done.promise
  return loaded
}

/** The server's own metrics, so that a script which declares one of their names is refused as it is in service. */
function takeOwnNames(shared: ReturnType<typeof createMetricsShared>): void {
  const reader = new MetricsReader(shared)
  declareProcess(reader, { version: '', startTime: 0, sharedBytes: () => 0 })
  declarePulled(reader, () => null)
  const writer = new MetricsWriter({ thread: 'check', shared, post: () => undefined, origin: 'builtin' })
  startThreadProbe(writer, systemClock).stop()
  attachMetricsTap(
    createSpine(() => undefined),
    writer,
    { transports: [] },
  )
}
