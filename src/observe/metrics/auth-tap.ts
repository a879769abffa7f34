import type { MetricsWriter } from '../../metrics/writer.ts'
import type { AuthBackendAsked, CredentialFailure } from '../../spine/facts.ts'
import type { Spine } from '../../spine/spine.ts'

export const CREDENTIAL_FAILURES: readonly Exclude<CredentialFailure, 'none'>[] = [
  'wrong',
  'forged_nonce',
  'replayed',
  'stale',
  'unknown_user',
  'malformed',
]

export const BACKEND_OUTCOMES: readonly Exclude<AuthBackendAsked['outcome'], 'cached'>[] = [
  'found',
  'unknown',
  'timeout',
  'error',
]

/** Counts who could prove who they are, and what the users' backend said. */
export function tapAuth(spine: Spine, writer: MetricsWriter): void {
  const bare = writer.counter(
    'siphon_auth_failures_total',
    'Requests that were asked for credentials and brought none',
  )
  const failed = writer.counter(
    'siphon_credential_failures_total',
    'Requests whose credentials proved nothing, by reason',
    { labels: ['reason'] },
  )
  const asked = writer.counter(
    'siphon_auth_http_requests_total',
    'Questions to the HTTP backend of users, by outcome',
    { labels: ['outcome'] },
  )
  const hits = writer.counter(
    'siphon_auth_ha1_cache_hits_total',
    'Users whom the cache knew, or knew not to exist',
  )
  const byReason = new Map(CREDENTIAL_FAILURES.map((reason) => [reason, failed.labels({ reason })] as const))
  const byOutcome = new Map(BACKEND_OUTCOMES.map((outcome) => [outcome, asked.labels({ outcome })] as const))
  spine.authenticated.subscribe(({ reason }) => {
    if (reason === 'none') bare.inc()
    else if (reason !== null) byReason.get(reason)?.inc()
  })
  spine.authBackendAsked.subscribe(({ outcome }) => {
    if (outcome === 'cached') hits.inc()
    else byOutcome.get(outcome)?.inc()
  })
}
