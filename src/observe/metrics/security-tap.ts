import type { Protocol } from '../../base/address.ts'
import type { CounterSeries } from '../../metrics/series.ts'
import type { MetricsWriter } from '../../metrics/writer.ts'
import type { Banned, DropReason } from '../../spine/facts.ts'
import type { Spine } from '../../spine/spine.ts'

const DROP_REASONS: readonly DropReason[] = [
  'acl',
  'banned',
  'rate_limit',
  'scanner',
  'connections',
  'connections_per_source',
  'handshakes',
  'proxy_protocol',
  'slow_message',
  'idle',
  'slow_reader',
]

const BAN_KINDS: readonly Banned['kind'][] = ['rate_limit', 'failed_auth', 'script']

/** Counts what was refused, and who was banned for what. */
export function tapSecurity(spine: Spine, writer: MetricsWriter, transports: readonly Protocol[]): void {
  const drops = writer.counter(
    'siphon_security_drops_total',
    'Datagrams, messages and connections refused or cut before they cost more, by reason',
    { labels: ['reason', 'transport'] },
  )
  const rateLimited = writer.counter(
    'siphon_rate_limited_total',
    'Requests and connections of sources over their rate limit that were dropped',
  )
  const scanners = writer.counter(
    'siphon_scanner_blocked_total',
    'Requests of known scanners that were dropped',
  )
  const bans = writer.counter('siphon_bans_total', 'Bans that began, by what they are for', {
    labels: ['reason'],
  })

  // A flood is counted here: nothing is made for a drop.
  const known = new Map<Protocol, Map<DropReason, CounterSeries>>()
  const on = (transport: Protocol): Map<DropReason, CounterSeries> => {
    let series = known.get(transport)
    if (series === undefined) {
      series = new Map(DROP_REASONS.map((reason) => [reason, drops.labels({ reason, transport })]))
      known.set(transport, series)
    }
    return series
  }
  for (const transport of transports) on(transport)
  spine.dropped.subscribe(({ reason, protocol }) => {
    on(protocol).get(reason)?.inc()
    if (reason === 'rate_limit') rateLimited.inc()
    else if (reason === 'scanner') scanners.inc()
  })
  const byKind = new Map(BAN_KINDS.map((reason) => [reason, bans.labels({ reason })]))
  spine.banned.subscribe(({ kind }) => byKind.get(kind)?.inc())
}
