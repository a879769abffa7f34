import type { Levels } from '../observe/metrics/builtin.ts'
import type { CdrPipeline } from '../observe/cdr/pipeline.ts'
import type { HepExporter, HepLevels } from '../observe/hep/exporter.ts'
import type { RegistrationStore } from '../store/registration-store.ts'
import type { EngineLevels } from './conversation.ts'

/** What a collector can make of a record; each is a value of the `outcome` label, there at 0 from the start. */
const CDR_OUTCOMES = ['delivered', 'retried', 'dropped', 'dead', 'spooled'] as const
const STREAMS = ['tcp', 'tls', 'ws', 'wss'] as const
const HEP_OUTCOMES = ['sent', 'dropped_ring_full', 'dropped_send_error', 'dropped_shutdown'] as const

/** Puts the engine's tables and the exporters' books side by side, as the metrics want them. */
export function levelsOf(
  engine: EngineLevels | null,
  cdr: CdrPipeline | null,
  hep: HepExporter | null,
  store: RegistrationStore | null,
  certificates: Levels['certificates'] = [],
): Levels {
  const sinks = cdr?.levels() ?? []
  // Once: the engine writes on, and what is sent, lost and waiting must add up.
  const trace = hep?.levels() ?? null
  return {
    pool: engine?.pool ?? null,
    scriptGeneration: engine?.pool.generation ?? null,
    dialogSessions: engine?.proxyDialogSessions ?? null,
    dialogs: engine === null ? null : engine.proxyDialogSessions + engine.b2bua.dialogs,
    b2buaCalls: engine?.b2bua.calls ?? null,
    b2buaLegs: engine?.b2bua.legs ?? null,
    registrations: engine?.registrations ?? null,
    contacts: engine?.contacts ?? null,
    subscriptions: engine?.subscriptions ?? null,
    natContacts: engine?.keptAlive ?? null,
    registrarStore: store?.levels() ?? null,
    cdrSessions: engine?.cdrSessions ?? null,
    calls: engine?.callsActive ?? null,
    bannedIps: engine?.banned ?? null,
    dnsCacheEntries: engine?.dnsCacheEntries ?? null,
    transactions: engine?.transactions ?? null,
    connections: engine ? STREAMS.map((p) => [p, engine.connections[p]] as const) : null,
    certificates,
    cdrRecords: sinks.flatMap((s) => CDR_OUTCOMES.map((outcome) => [s.sink, outcome, s[outcome]] as const)),
    cdrQueues: sinks.map((s) => [s.sink, s.queued] as const),
    ownRequestsPending: engine?.ownRequestsPending ?? null,
    scriptTimers: engine?.scriptTimers ?? null,
    cacheEntries: engine?.caches.map((c) => [c.name, c.entries] as const) ?? null,
    cacheEvictions: engine?.caches.map((c) => [c.name, c.evicted] as const) ?? null,
    gateways: engine?.gateways.map((g) => [g.group, g.destination, g.up] as const) ?? null,
    hepPackets: hepPackets(trace),
    hepQueued: trace?.queued ?? 0,
    hepConnected: trace?.connected ?? false,
    // Without a media engine there are none, and that is known; without the engine nothing is.
    mediaSessions: engine && (engine.media?.sessions ?? 0),
    mediaInstances: engine && (engine.media?.instances ?? []),
  }
}

function hepPackets(trace: HepLevels | null): (readonly [string, number])[] {
  if (!trace) return HEP_OUTCOMES.map((outcome) => [outcome, 0] as const)
  const { sent, dropped } = trace
  return [
    ['sent', sent],
    ['dropped_ring_full', dropped.ringFull],
    ['dropped_send_error', dropped.sendError],
    ['dropped_shutdown', dropped.shutdown],
  ]
}
