import { systemClock } from '../base/clock.ts'
import { createMetricsShared } from '../metrics/shared.ts'
import { MetricsReader } from '../metrics/reader.ts'
import { MetricsWriter } from '../metrics/writer.ts'
import { declarePulled } from '../observe/metrics/builtin.ts'
import { startThreadProbe } from '../observe/metrics/probe.ts'
import { declareProcess } from '../observe/metrics/process.ts'
import { attachMetricsTap } from '../observe/metrics/tap.ts'
import type { HandlerSettings, ScriptFault } from '../script/conversation.ts'
import { HandlerWorker } from '../script/handler-worker.ts'
import { createSpine } from '../spine/spine.ts'

/** How long a script may take to load, ms: as long as in the server. */
const LOAD_MS = 10_000

/**
 * Loads a script in a handler thread as the server does, what it declares included, and lets it go again. No handler
 * and no timer of it runs.
 *
 * @param path absolute
 * @returns why it would not serve; null when it would
 */
export async function checkScript(
  path: string,
  limits: {
    readonly memoryLimitMb: number
    readonly loadTimeoutMs?: number
    readonly settings?: HandlerSettings
  },
): Promise<ScriptFault | null> {
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
  return loaded.ok ? null : loaded.fault
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
