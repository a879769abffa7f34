import type { CounterSeries } from '../../metrics/series.ts'
import type { MetricsWriter } from '../../metrics/writer.ts'
import type { Spine } from '../../spine/spine.ts'
import { perKnown } from './known-series.ts'

const REGISTRATION_EVENTS = ['registered', 'refreshed', 'deregistered', 'expired'] as const
const REGISTRATION_ENDS = ['request', 'expired', 'operator', 'script', 'flow_closed', 'no_answer'] as const
const KEEPALIVES = [
  ['crlf', 'answered'],
  ['stun', 'answered'],
  ['stun', 'failed'],
  ['crlf', 'sent'],
  ['crlf', 'failed'],
  ['null', 'sent'],
  ['null', 'failed'],
  ['options', 'sent'],
  ['options', 'answered'],
  ['options', 'failed'],
] as const

/** Counts what happens to contacts, and who is kept alive and told. */
export function tapRegistrations(spine: Spine, writer: MetricsWriter): void {
  const changes = writer.counter('siphon_registration_changes_total', 'Contacts that changed, by event', {
    labels: ['event'],
  })
  const ends = writer.counter('siphon_registration_ends_total', 'Contacts that ended, by reason', {
    labels: ['reason'],
  })
  const changed = perKnown(changes, 'event', REGISTRATION_EVENTS)
  const ended = perKnown(ends, 'reason', REGISTRATION_ENDS)
  spine.registrationChanged.subscribe(({ event, reason }) => {
    changed(event).inc()
    if (event === 'deregistered' || event === 'expired') ended(reason).inc()
  })
  const pings = writer.counter(
    'siphon_nat_keepalives_total',
    'Keep-alives of both sides, by method and outcome',
    {
      labels: ['method', 'outcome'],
    },
  )
  const kept = new Map<string, CounterSeries>()
  for (const [method, outcome] of KEEPALIVES)
    kept.set(`${method} ${outcome}`, pings.labels({ method, outcome }))
  spine.keptAlive.subscribe(({ method, outcome }) => kept.get(`${method} ${outcome}`)?.inc())
  const notifies = writer.counter('siphon_notifies_total', 'NOTIFYs sent, by event package and outcome', {
    labels: ['event', 'outcome'],
  })
  const notified = perKnown(notifies, 'outcome', ['delivered', 'failed'], { event: 'reg' })
  spine.notified.subscribe(({ outcome }) => notified(outcome).inc())
}
