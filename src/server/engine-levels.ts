import type { B2buaCore } from '../core/b2bua/b2bua-core.ts'
import type { CallTracker } from '../core/calls.ts'
import type { NatKeepAlive } from '../core/nat-keepalive.ts'
import type { ProxyDialogs } from '../core/proxy-dialogs.ts'
import type { RegSubscriptions } from '../core/reg-events/reg-subscriptions.ts'
import type { RegistrarCore } from '../core/registrar-core.ts'
import type { Guard } from '../core/security/guard.ts'
import type { MediaEngine } from '../media/media-engine.ts'
import type { ScriptHost } from '../script/host.ts'
import type { TransactionLayer } from '../stack/transaction-layer.ts'
import type { TransportLayer } from '../stack/transport-layer.ts'
import type { EngineLevels, EngineStart } from './conversation.ts'
import type { Outgoing } from './outgoing.ts'

/** With so many a collection takes no longer than a retransmission is late. */
const MOST_CONTACTS = 20_000
/**
 * Those that only linger included. With so few next to nobody has called for half a minute, and the next burst is not about to come:
 * the collection takes away what a burst needs: a grown nursery, compiled code.
 */
const MOST_TRANSACTIONS = 1_000

/** The parts of an engine that hold something. */
export interface EngineTables {
  readonly host: ScriptHost
  readonly transport: TransportLayer
  readonly transactions: TransactionLayer
  readonly dialogs: ProxyDialogs
  readonly b2bua: B2buaCore
  readonly calls: CallTracker
  readonly guard: Guard
  readonly registrar: RegistrarCore
  readonly subscriptions: RegSubscriptions
  readonly keepAlive: NatKeepAlive | null
  readonly outgoing: Outgoing
  readonly media: MediaEngine | null
  readonly dnsEntries: () => number
  readonly cdr: EngineStart['cdr']
}

/** How much each table holds now. */
export function engineLevels(tables: EngineTables): EngineLevels {
  const { host, b2bua, guard, registrar, media } = tables
  const { gateways, requests, timers, caches } = tables.outgoing
  timers.enter(host.generation)
  return {
    transactions: tables.transactions.counts,
    connections: tables.transport.connections,
    proxyDialogSessions: tables.dialogs.size,
    b2bua: { calls: b2bua.busy, legs: b2bua.legs, dialogs: b2bua.dialogs },
    callsActive: tables.calls.active,
    banned: guard.banned,
    dnsCacheEntries: tables.dnsEntries(),
    cdrSessions: cdrSessions(tables),
    registrations: registrar.registrations,
    ownRequestsPending: requests.pending,
    scriptTimers: timers.size,
    caches: [...caches.values()].map(({ name, size, evicted }) => ({ name, entries: size, evicted })),
    gateways: gateways
      .rows()
      .flatMap(({ name, destinations }) =>
        destinations.map((d) => ({ group: name, destination: d.name, up: d.state === 'up' })),
      ),
    media: media && {
      sessions: media.sessions,
      instances: media.instances.map(({ name, state }) => [name, state === 'up']),
    },
    contacts: registrar.contacts,
    subscriptions: tables.subscriptions.size,
    keptAlive: tables.keepAlive?.size ?? 0,
    pool: {
      size: host.size,
      max: host.max,
      inflight: host.inflight,
      queued: host.queued,
      generation: host.generation,
    },
  }
}

/** Transactions and dialogs that have not ended: a drain waits for them. */
export function busy({ transactions, dialogs, b2bua }: EngineTables): number {
  return transactions.pending + dialogs.size + b2bua.busy
}

/** Nobody would notice if the thread stood still for a moment: no call is up, no handler runs, not much is to be gone through. */
export function mayPause({ host, calls, dialogs, b2bua, transactions, registrar }: EngineTables): boolean {
  if (calls.active + dialogs.size + b2bua.busy + host.inflight + host.queued > 0) return false
  const counts: readonly number[] = Object.values(transactions.counts)
  const lingering = counts.reduce((sum, count) => sum + count, 0)
  return lingering <= MOST_TRANSACTIONS && registrar.contacts <= MOST_CONTACTS
}

function cdrSessions({ cdr, calls }: EngineTables): number {
  if (!cdr.enabled) return 0
  return cdr.autoEmit ? calls.records : calls.requestedRecords
}
