import type { Protocol } from '../../base/address.ts'
import type { MetricsReader } from '../../metrics/reader.ts'

/**
 * Sizes and counts the engine and the exporters keep in their own tables, as of the latest probe.
 * null: cannot be read now, or there is no such thing in this configuration; the metric is then without a sample,
 * because a 0 that means "unknown" would silence an alert.
 */
export interface Levels {
  readonly pool: {
    readonly size: number
    readonly max: number
    readonly inflight: number
    readonly queued: number
  } | null
  readonly dialogSessions: number | null
  readonly registrations: number | null
  readonly contacts: number | null
  /** Subscriptions to registrations (RFC 3680). */
  readonly subscriptions: number | null
  /** Contacts that are pinged through their NAT. */
  readonly natContacts: number | null
  /** What keeps registrations over a restart. */
  readonly registrarStore: {
    readonly restored: number
    readonly pending: number
    readonly written: number
    readonly failures: number
    readonly dropped: number
    readonly up: boolean
  } | null
  readonly cdrSessions: number | null
  readonly transactions: {
    readonly inviteClient: number
    readonly inviteServer: number
    readonly nonInviteClient: number
    readonly nonInviteServer: number
  } | null
  readonly dialogs: number | null
  readonly b2buaCalls: number | null
  readonly b2buaLegs: number | null
  /** Open connections of every stream transport. */
  readonly connections: readonly (readonly [transport: Protocol, open: number])[] | null
  /** Until when each certificate that we show is valid, seconds since 1970. */
  readonly certificates: readonly (readonly [serverName: string, notAfter: number])[]
  readonly calls: number | null
  /** Sources banned now, by whatever. */
  readonly bannedIps: number | null
  readonly dnsCacheEntries: number | null
  readonly scriptGeneration: number | null
  readonly ownRequestsPending: number | null
  readonly scriptTimers: number | null
  readonly cacheEntries: readonly (readonly [cache: string, entries: number])[] | null
  /** Ever rising. */
  readonly cacheEvictions: readonly (readonly [cache: string, evicted: number])[] | null
  /** Every destination of every gateway group. */
  readonly gateways: readonly (readonly [group: string, destination: string, up: boolean])[] | null
  /** Every sink configured × every outcome, 0 included; ever rising. */
  readonly cdrRecords: readonly (readonly [sink: string, outcome: string, records: number])[] | null
  readonly cdrQueues: readonly (readonly [sink: string, waiting: number])[] | null
  /** Every outcome, 0 included; ever rising. */
  readonly hepPackets: readonly (readonly [outcome: string, packets: number])[] | null
  readonly hepQueued: number | null
  readonly hepConnected: boolean | null
  readonly mediaSessions: number | null
  /** Every instance that is configured. */
  readonly mediaInstances: readonly (readonly [address: string, up: boolean])[] | null
}

/** Declares the metrics that are levels of the server: read when scraped, by asking `levels` (null: none known yet). */
export function declarePulled(reader: MetricsReader, levels: () => Levels | null): void {
  const gauge = (name: string, help: string, of: (l: Levels) => number | null | undefined): void => {
    reader.gaugeFrom(name, help, [], () => {
      const now = levels()
      return now === null ? null : (of(now) ?? null)
    })
  }
  gauge('siphon_pyexec_pool_size', 'Script worker threads alive', (l) => l.pool?.size)
  gauge('siphon_pyexec_pool_max', 'Most script worker threads the pool may have', (l) => l.pool?.max)
  gauge('siphon_pyexec_inflight', 'Script handlers executing now', (l) => l.pool?.inflight)
  gauge('siphon_pyexec_queue_depth', 'Script jobs that wait for a worker', (l) => l.pool?.queued)
  gauge(
    'siphon_proxy_dialog_sessions',
    'Record-routed dialogs the proxy follows now',
    (l) => l.dialogSessions,
  )
  gauge(
    'siphon_registrations_active',
    'Addresses-of-record with an unexpired contact',
    (l) => l.registrations,
  )
  gauge('siphon_registration_contacts_active', 'Unexpired contacts of all users', (l) => l.contacts)
  gauge(
    'siphon_reg_subscriptions_active',
    'Subscriptions to registrations (RFC 3680)',
    (l) => l.subscriptions,
  )
  gauge('siphon_nat_contacts_active', 'Contacts that are pinged through their NAT', (l) => l.natContacts)
  gauge(
    'siphon_registrations_restored',
    'Contacts put back from the registration file at the last start',
    (l) => l.registrarStore?.restored ?? 0,
  )
  gauge(
    'siphon_registrar_store_pending',
    'Changes of registrations that wait to be written',
    (l) => l.registrarStore?.pending ?? 0,
  )
  gauge('siphon_registrar_store_up', '1 while the registration file can be written, otherwise 0', (l) =>
    l.registrarStore === null ? null : Number(l.registrarStore.up),
  )
  reader.counterFrom(
    'siphon_registrar_store_changes_total',
    'Changes of registrations for the registration file, by what became of them',
    ['outcome'],
    () => {
      const { written = 0, dropped = 0 } = levels()?.registrarStore ?? {}
      return [
        [{ outcome: 'written' }, written],
        [{ outcome: 'dropped' }, dropped],
      ]
    },
  )
  reader.counterFrom(
    'siphon_registrar_store_failures_total',
    'Attempts to open or write the registration file that failed',
    [],
    () => levels()?.registrarStore?.failures ?? 0,
  )
  gauge('siphon_cdr_sessions', 'Calls a CDR is open for', (l) => l.cdrSessions)
  gauge('siphon_dialogs_active', 'Dialogs the server knows now', (l) => l.dialogs)
  gauge('siphon_banned_ips', 'Sources banned now: addresses, and /64 networks of IPv6', (l) => l.bannedIps)
  gauge(
    'siphon_b2bua_calls_active',
    'Calls of the back-to-back user agent that are not over',
    (l) => l.b2buaCalls,
  )
  gauge(
    'siphon_b2bua_legs_active',
    'Legs of the back-to-back user agent, their last 32 seconds included',
    (l) => l.b2buaLegs,
  )
  gauge('siphon_calls_active', 'Call attempts and calls in progress', (l) => l.calls)
  gauge('siphon_dns_cache_entries', 'Answers of name servers remembered now', (l) => l.dnsCacheEntries)
  gauge(
    'siphon_script_generation',
    'Script loads that took over since start: the first is 1',
    (l) => l.scriptGeneration,
  )
  gauge(
    'siphon_uac_pending_requests',
    'Requests of our own (probes, proxy.sendRequest) without a result yet',
    (l) => l.ownRequestsPending,
  )
  gauge('siphon_script_timers', 'One-shot timers that the script has set', (l) => l.scriptTimers)
  reader.gaugeFrom(
    'siphon_gateway_up',
    '1 while the gateway may be chosen, otherwise 0',
    ['group', 'destination'],
    () => labelled(levels()?.gateways, ([group, destination, up]) => [{ group, destination }, Number(up)]),
  )
  reader.gaugeFrom('siphon_cache_entries', 'Keys held in a cache of scripts', ['cache'], () =>
    labelled(levels()?.cacheEntries, ([cache, entries]) => [{ cache }, entries]),
  )
  reader.counterFrom(
    'siphon_cache_evictions_total',
    'Keys that made room in a full cache before their time',
    ['cache'],
    () => labelled(levels()?.cacheEvictions, ([cache, evicted]) => [{ cache }, evicted]),
  )
  gauge('siphon_hep_queue_depth', 'HEP packets that wait for the collector', (l) => l.hepQueued)
  gauge('siphon_hep_connected', '1 while HEP packets can be sent, otherwise 0', (l) =>
    l.hepConnected === null ? null : Number(l.hepConnected),
  )
  gauge('siphon_rtpengine_instances', 'Instances of rtpengine configured', (l) => l.mediaInstances?.length)
  gauge(
    'siphon_rtpengine_instances_up',
    'Instances of rtpengine that answer',
    (l) => l.mediaInstances?.filter(([, up]) => up).length,
  )
  gauge('siphon_media_sessions_active', 'Calls with media at an rtpengine', (l) => l.mediaSessions)
  reader.gaugeFrom(
    'siphon_rtpengine_instance_up',
    '1 while the instance answers, otherwise 0',
    ['address'],
    () => labelled(levels()?.mediaInstances, ([address, up]) => [{ address }, Number(up)]),
  )
  reader.gaugeFrom(
    'siphon_transactions_active',
    'Transactions that have not terminated, by kind',
    ['kind'],
    () => {
      const counts = levels()?.transactions
      if (!counts) return null
      return [
        [{ kind: 'invite_client' }, counts.inviteClient],
        [{ kind: 'invite_server' }, counts.inviteServer],
        [{ kind: 'non_invite_client' }, counts.nonInviteClient],
        [{ kind: 'non_invite_server' }, counts.nonInviteServer],
      ]
    },
  )
  reader.gaugeFrom('siphon_connections_active', 'Open connections, by transport', ['transport'], () =>
    labelled(levels()?.connections, ([transport, open]) => [{ transport }, open]),
  )
  reader.gaugeFrom(
    'siphon_tls_certificate_expiry_seconds',
    'When the certificate for a server name ends, in seconds since 1970',
    ['server_name'],
    () => labelled(levels()?.certificates, ([server_name, notAfter]) => [{ server_name }, notAfter]),
  )
  reader.gaugeFrom('siphon_cdr_queue_depth', 'CDRs that wait for their sink', ['sink'], () =>
    labelled(levels()?.cdrQueues, ([sink, waiting]) => [{ sink }, waiting]),
  )
  reader.counterFrom('siphon_cdr_records_total', 'CDRs by what became of them', ['sink', 'outcome'], () =>
    labelled(levels()?.cdrRecords, ([sink, outcome, records]) => [{ sink, outcome }, records]),
  )
  reader.counterFrom('siphon_hep_packets_total', 'HEP packets by what became of them', ['outcome'], () =>
    labelled(levels()?.hepPackets, ([outcome, packets]) => [{ outcome }, packets]),
  )
}

type Sample = readonly [Readonly<Record<string, string>>, number]

function labelled<T>(
  rows: readonly T[] | null | undefined,
  sample: (row: T) => Sample,
): readonly Sample[] | null {
  return rows?.map(sample) ?? null
}
