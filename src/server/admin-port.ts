import { processTime } from '../base/clock.ts'
import { protocolOf } from '../core/target.ts'
import type { AdminPort, LiveCall, RegisteredContact } from '../observe/admin/port.ts'
import { decode } from '../observe/cdr/record.ts'
import type { ContactRow } from './conversation.ts'
import type { EngineLink } from './engine-link.ts'
import type { ServerState } from './server.ts'

export interface AdminPortOptions {
  /** Null until the engine has been started. */
  readonly link: () => EngineLink | null
  readonly state: () => ServerState
  /** False while the script has no workers that live. */
  readonly scriptUp: () => boolean
  /** One Float64: `processTime()` of the engine's last tick, 0 before the first. */
  readonly heartbeat: SharedArrayBuffer
  readonly uptimeSeconds: () => number
}

/** What the admin API may ask of the server, carried to the engine as questions. */
export function adminPort(options: AdminPortOptions): AdminPort {
  const ticked = new Float64Array(options.heartbeat)
  const started = processTime()
  const link = (): EngineLink => {
    const now = options.link()
    if (!now) throw new Error('the engine has not started')
    return now
  }
  return {
    health: () => ({
      engineTickedMsAgo: processTime() - (ticked[0] || started),
      uptimeSeconds: options.uptimeSeconds(),
    }),
    ready: () => {
      const state = options.state()
      if (state === 'stopped') return 'draining'
      return state === 'ready' && !options.scriptUp() ? 'starting' : state
    },
    stats: async () => {
      const levels = await link().ask('levels', null)
      return {
        registrations_active: levels.registrations,
        calls_active: levels.callsActive,
        dialogs_active: levels.proxyDialogSessions + levels.b2bua.dialogs,
        transactions_active: Object.values(levels.transactions).reduce((sum, n) => sum + n, 0),
        handler_pool_size: levels.pool.size,
        handlers_inflight: levels.pool.inflight,
        script_generation: levels.pool.generation,
      }
    },
    registrations: async ({ cursor, limit }) => {
      const { rows, next } = await link().ask('registrations', { cursor, limit })
      return { items: rows.map(contact), next }
    },
    registration: async (aor) => {
      const found = await link().ask('registration', encode(aor))
      return found && { aor: decode(found.aor), contacts: found.contacts.map(contact) }
    },
    removeRegistration: async (aor) => {
      const removed = await link().ask('removeRegistration', encode(aor))
      return removed === null ? null : decode(removed)
    },
    calls: async ({ cursor, limit }) => {
      const { rows, next } = await link().ask('calls', { cursor, limit })
      return {
        items: rows.map((row): LiveCall => ({
          id: row.id,
          call_id: decode(row.callId),
          kind: row.kind,
          state: row.state,
          a_party: decode(row.fromUri),
          b_party: row.bParty === null ? null : decode(row.bParty),
          since_seconds: Math.floor(row.sinceSeconds),
        })),
        next,
      }
    },
    bans: async ({ cursor, limit }) => {
      const { rows, next } = await link().ask('bans', { cursor, limit })
      return {
        items: rows.map((row) => ({
          ip: row.source,
          reason: row.reason,
          since: new Date(row.since).toISOString(),
          expires_remaining: row.expiresRemaining,
          score: row.score,
          drops: row.drops,
        })),
        next,
      }
    },
    liftBan: (ip) => link().ask('liftBan', ip),
    gateways: async () =>
      (await link().ask('gateways', null)).map((group) => ({
        name: group.name,
        algorithm: group.algorithm,
        up: group.destinations.filter(({ state }) => state === 'up').length,
        total: group.destinations.length,
        failure_threshold: group.failureThreshold,
        destinations: group.destinations.map((d) => ({
          name: d.name,
          uri: decode(d.uri),
          address: d.address,
          transport: protocolOf(d.hop)?.toUpperCase() ?? null,
          healthy: d.state === 'up',
          state: d.state,
          checks_missed: d.checksMissed,
          consecutive_failures: d.checksMissed,
          calls_failed: d.callsFailed,
          weight: d.weight,
          priority: d.priority,
          attrs: Object.fromEntries(Object.entries(d.attrs).map(([k, v]) => [decode(k), decode(v)])),
        })),
      })),
    markGateway: (group, destination, to) =>
      link().ask('markGateway', { group, destination: encode(destination), to }),
    hangUp: async (id) => {
      const hungUp = await link().ask('hangUp', id)
      if (hungUp === null) return 'not_found'
      return hungUp ? 'hung_up' : 'proxied'
    },
  }
}

function contact(row: ContactRow): RegisteredContact {
  return {
    aor: decode(row.aor),
    uri: decode(row.uri),
    q: row.q,
    expires_remaining: row.expiresRemaining,
    received: row.received,
    user_agent: row.userAgent === null ? null : decode(row.userAgent),
    ...(row.instance === null ? {} : { instance: decode(row.instance) }),
    ...(row.regId === null ? {} : { reg_id: row.regId }),
    ...(row.path.length === 0 ? {} : { path: row.path.map(decode) }),
  }
}

/** What people write, as the engine keeps it: a character a byte. */
function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
