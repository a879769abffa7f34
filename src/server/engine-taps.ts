import type { Address, Path } from '../base/address.ts'
import { ByteRingWriter } from '../base/byte-ring.ts'
import type { Clock } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import type { MetricsMessage } from '../metrics/messages.ts'
import { MetricsWriter } from '../metrics/writer.ts'
import { CdrTap } from '../observe/cdr/tap.ts'
import { HepTap } from '../observe/hep/tap.ts'
import { attachLogTap } from '../observe/log/tap.ts'
import { startThreadProbe } from '../observe/metrics/probe.ts'
import { attachMetricsTap } from '../observe/metrics/tap.ts'
import type { CallRecord } from '../spine/facts.ts'
import type { Spine } from '../spine/spine.ts'
import type { EngineStart } from './conversation.ts'
import type { Outbox } from './outbox.ts'

export interface TapOptions {
  readonly start: EngineStart
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly outbox: Outbox
  readonly onMetrics: (message: MetricsMessage) => void
  /** The address that peers know the local end of this path by. */
  readonly advertised: (path: Path) => Address
  /** The Call-ID that both legs of a call are traced under. */
  readonly correlation: (callId: string) => string
  /** Adds to a record what only the media relay knows, and hands it on. Null without one: records go as they are. */
  readonly complete: ((record: CallRecord, done: (record: CallRecord) => void) => void) | null
}

/** Connects the four ways of being seen to the spine, as far as the configuration asks for them. @returns ends them */
export function attachTaps(options: TapOptions): () => void {
  const { start, clock, identifiers, spine, outbox, complete } = options
  const writer = new MetricsWriter({
    thread: 'engine',
    shared: start.metrics,
    post: options.onMetrics,
    origin: 'builtin',
  })
  attachMetricsTap(spine, writer, { transports: [...new Set(start.listeners.map((l) => l.protocol))] })
  const probe = startThreadProbe(writer, clock)
  attachLogTap(spine, clock, (line) => outbox.line(line))
  if (start.trace) {
    new HepTap({
      spine,
      ring: new ByteRingWriter(start.trace),
      ownAddress: options.advertised,
      correlationOf: ({ callId }) => options.correlation(callId),
    })
  }
  if (start.cdr.enabled) {
    const out = (record: CallRecord): void => outbox.record(record)
    const push = complete === null ? out : (record: CallRecord): void => complete(record, out)
    new CdrTap({ spine, identifiers, policy: start.cdr, push })
  }
  return () => probe.stop()
}
