import { systemClock } from '../base/clock.ts'
import type { MetricsWriter } from '../metrics/writer.ts'
import { startThreadProbe } from '../observe/metrics/probe.ts'

/** Every handler thread runs this before the script: its memory and load are reported like the other threads'. */
export function setUpThread(writer: MetricsWriter): () => void {
  const probe = startThreadProbe(writer, systemClock)
  return () => probe.stop()
}
