import type { MetricsWriter } from '../../metrics/writer.ts'
import type { OwnRequestEnded } from '../../spine/facts.ts'
import type { Spine } from '../../spine/spine.ts'

/** As the core has them; observers know no core. A test holds them equal. */
export const GATEWAY_RESULTS: readonly string[] = [
  'answered',
  'refused',
  'unavailable',
  'no_answer',
  'timeout',
  'unreachable',
  'cancelled',
]
export const PROBE_OUTCOMES: readonly string[] = ['answered', 'unavailable', 'timeout', 'unreachable']

const OWN_OUTCOMES: readonly OwnRequestEnded['outcome'][] = ['answered', 'timeout', 'unreachable']
const PURPOSES: readonly OwnRequestEnded['purpose'][] = ['probe', 'script']

/** From a gateway in the same room to a caller's patience. Seconds. */
const RESPONSE_BUCKETS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 32]

/** Counts what becomes of requests to gateways, of probes, and of other requests of our own. */
export function tapGateways(spine: Spine, writer: MetricsWriter): void {
  const labels = ['group', 'destination'] as const
  const requests = writer.counter(
    'siphon_gateway_requests_total',
    'Forwarded requests that ended at a gateway, by result',
    { labels: [...labels, 'result'] },
  )
  const seconds = writer.histogram(
    'siphon_gateway_response_seconds',
    'Forwarding of a request to the first response above 100 of the gateway',
    { labels, buckets: RESPONSE_BUCKETS },
  )
  const probes = writer.counter('siphon_gateway_probes_total', 'OPTIONS to gateways, by outcome', {
    labels: [...labels, 'outcome'],
  })
  const own = writer.counter('siphon_uac_requests_total', 'Requests of our own, by outcome', {
    labels: ['purpose', 'outcome'],
  })
  for (const purpose of PURPOSES) for (const outcome of OWN_OUTCOMES) own.labels({ purpose, outcome })
  spine.gatewayAdded.subscribe(({ group, destination }) => {
    seconds.labels({ group, destination })
    for (const result of GATEWAY_RESULTS) requests.labels({ group, destination, result })
    for (const outcome of PROBE_OUTCOMES) probes.labels({ group, destination, outcome })
  })
  spine.gatewayEnded.subscribe(({ group, destination, what, outcome }) => {
    if (what === 'probe') probes.labels({ group, destination, outcome }).inc()
    else requests.labels({ group, destination, result: outcome }).inc()
  })
  spine.gatewayResponded.subscribe(({ group, destination, ms }) =>
    seconds.labels({ group, destination }).observe(ms / 1000),
  )
  spine.ownRequestEnded.subscribe(({ purpose, outcome }) => own.labels({ purpose, outcome }).inc())
}
