import type { MetricsWriter } from '../../metrics/writer.ts'
import type { Spine } from '../../spine/spine.ts'

/** Commands of every call; the rarer ones appear when first used. */
const MEDIA_COMMANDS: readonly string[] = ['ping', 'offer', 'answer', 'query', 'delete']
const MEDIA_OUTCOMES: readonly string[] = ['ok', 'error', 'timeout', 'malformed']
/** On one machine a command takes less than a millisecond. Seconds. */
const MEDIA_BUCKETS: readonly number[] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]

/** Counts and times commands to rtpengine. */
export function tapMedia(spine: Spine, writer: MetricsWriter): void {
  const requests = writer.counter(
    'siphon_rtpengine_requests_total',
    'Commands to rtpengine that have ended',
    {
      labels: ['command', 'outcome'],
    },
  )
  const seconds = writer.histogram(
    'siphon_rtpengine_request_seconds',
    'First sending of a command to its answer; commands without one are not in it',
    { buckets: MEDIA_BUCKETS },
  )
  for (const command of MEDIA_COMMANDS) {
    for (const outcome of MEDIA_OUTCOMES) requests.labels({ command, outcome })
  }
  spine.mediaCommandDone.subscribe(({ command, outcome, ms }) => {
    requests.labels({ command: command.replaceAll(' ', '_').toLowerCase(), outcome }).inc()
    if (outcome !== 'timeout') seconds.observe(ms / 1000)
  })
}
