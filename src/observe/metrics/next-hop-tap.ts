import type { MetricsWriter } from '../../metrics/writer.ts'
import type { Spine } from '../../spine/spine.ts'
import { perKnown } from './known-series.ts'

/** From a name server next door to the deadline of a search. Seconds. */
const DNS_BUCKETS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]
const DNS_TYPES = ['A', 'AAAA', 'SRV', 'NAPTR'] as const
const DNS_OUTCOMES = ['found', 'none', 'error', 'timeout'] as const
const FAILOVER_REASONS = ['timeout', 'transport', '503'] as const

/** Counts and times questions to name servers, and counts who went to the next target. */
export function tapNextHops(spine: Spine, writer: MetricsWriter): void {
  const queries = writer.counter(
    'siphon_dns_queries_total',
    'Questions to name servers, by type of record and what became of them',
    { labels: ['type', 'outcome'] },
  )
  const seconds = writer.histogram('siphon_dns_query_seconds', 'Question to answer, or to giving up', {
    buckets: DNS_BUCKETS,
  })
  const byType = new Map(
    DNS_TYPES.map((type) => [
      type,
      new Map(
        DNS_OUTCOMES.map((outcome) => [outcome, queries.labels({ type: type.toLowerCase(), outcome })]),
      ),
    ]),
  )
  spine.dnsAsked.subscribe(({ type, outcome, ms }) => {
    byType.get(type)?.get(outcome)?.inc()
    seconds.observe(ms / 1000)
  })
  const failovers = writer.counter(
    'siphon_next_hop_failovers_total',
    'Requests that went to the next target of their hop, by why',
    { labels: ['reason'] },
  )
  const byReason = perKnown(failovers, 'reason', FAILOVER_REASONS)
  spine.hopFailedOver.subscribe(({ reason }) => byReason(reason).inc())
}
