import type { MetricsWriter } from '../../metrics/writer.ts'
import type { ScriptFailureReason } from '../../spine/facts.ts'
import type { Spine } from '../../spine/spine.ts'

const HANDLERS: readonly string[] = [
  'onRequest',
  'onReply',
  'onFailure',
  'onCancel',
  'timer',
  'b2bua.onInvite',
  'b2bua.onEarlyMedia',
  'b2bua.onAnswer',
  'b2bua.onFailure',
  'b2bua.onBye',
  'b2bua.onCancel',
  'b2bua.onRefer',
]

const FAILURE_REASONS: readonly ScriptFailureReason[] = [
  'exception',
  'timeout',
  'no_verdict',
  'no_handler',
  'worker_lost',
  'bad_verdict',
  'auth_ignored',
]

/** A handler usually takes less than a millisecond. Seconds. */
const HANDLER_BUCKETS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

/** Counts and times the jobs of the script. */
export function tapScript(spine: Spine, writer: MetricsWriter): void {
  const seconds = writer.histogram(
    'siphon_script_handler_seconds',
    'What a job took from its start in a worker to its verdict, by handler',
    {
      labels: ['handler'],
      buckets: HANDLER_BUCKETS,
    },
  )
  const errors = writer.counter(
    'siphon_script_errors_total',
    'Script handlers that failed, by handler and reason',
    {
      labels: ['handler', 'reason'],
    },
  )
  const completed = writer.counter(
    'siphon_pyexec_jobs_completed_total',
    'Script jobs that have ended, failed ones included',
  )
  const shed = writer.counter(
    'siphon_pyexec_jobs_shed_total',
    'Script jobs refused because the queue was full or no worker lived',
  )
  const took = new Map(HANDLERS.map((handler) => [handler, seconds.labels({ handler })]))
  const begin = (handler: string): void => {
    for (const reason of FAILURE_REASONS) errors.labels({ handler, reason })
  }
  HANDLERS.forEach(begin)
  begin('outside')
  // A first failure can be seen to rise only when its series was there before it.
  spine.scriptServes.subscribe(({ handlers }) => handlers.forEach(begin))
  spine.scriptJobDone.subscribe(({ handler, runMs }) => {
    completed.inc()
    const series = took.get(handler) ?? seconds.labels({ handler })
    series.observe(runMs / 1000)
  })
  spine.scriptJobShed.subscribe(() => shed.inc())
  spine.scriptFailed.subscribe(({ handler, reason }) => errors.labels({ handler, reason }).inc())
}
