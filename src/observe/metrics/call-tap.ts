import type { MetricsWriter } from '../../metrics/writer.ts'
import type { CallResult } from '../../spine/facts.ts'
import type { Spine } from '../../spine/spine.ts'
import { perKnown } from './known-series.ts'

const CALL_RESULTS: readonly CallResult[] = [
  'answered',
  'cancelled',
  'busy',
  'no_answer',
  'rejected',
  'unavailable',
  'timeout',
  'error',
  'challenged',
  'shed',
]
const LEG_RESULTS = ['answered', 'refused', 'cancelled'] as const

/** From a proxied call's few milliseconds to the ringing that timer C ends. Seconds. */
const SETUP_BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 32, 60, 180,
]
const DURATION_BUCKETS: readonly number[] = [1, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200]

/** Counts and times call attempts and calls. */
export function tapCalls(spine: Spine, writer: MetricsWriter): void {
  const attempts = writer.counter('siphon_call_attempts_total', 'Call attempts decided, by result', {
    labels: ['result'],
  })
  const setup = writer.histogram(
    'siphon_call_setup_seconds',
    'INVITE to final response of answered call attempts',
    {
      buckets: SETUP_BUCKETS,
    },
  )
  const duration = writer.histogram(
    'siphon_call_duration_seconds',
    'Answer to end of calls that were answered',
    {
      buckets: DURATION_BUCKETS,
    },
  )
  const byResult = perKnown(attempts, 'result', CALL_RESULTS)
  spine.callDecided.subscribe(({ result, setupMs }) => {
    byResult(result).inc()
    if (result === 'answered') setup.observe(setupMs / 1000)
  })
  spine.callEnded.subscribe((record) => {
    if (record.kind !== 'register' && record.answeredAt !== null) duration.observe(record.durationMs / 1000)
  })
}

/** Counts and times the legs of B2BUA calls. */
export function tapLegs(spine: Spine, writer: MetricsWriter): void {
  const legs = writer.counter(
    'siphon_b2bua_legs_total',
    'Legs that SIPhon made and that are over, by result',
    {
      labels: ['result'],
    },
  )
  const setup = writer.histogram(
    'siphon_b2bua_leg_setup_seconds',
    'INVITE to 2xx of the legs that SIPhon made and that were answered',
    { buckets: SETUP_BUCKETS },
  )
  const byResult = perKnown(legs, 'result', LEG_RESULTS)
  spine.legEnded.subscribe(({ result, setupMs }) => {
    byResult(result).inc()
    if (setupMs !== null) setup.observe(setupMs / 1000)
  })
}
