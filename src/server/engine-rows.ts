import type { CallTracker, CallView } from '../core/calls.ts'
import type { Gateways } from '../core/gateway/gateways.ts'
import type { Guard } from '../core/security/guard.ts'
import type { BanRow, CallRow, Questions } from './conversation.ts'

/** What the engine's tables look like to the control thread: the lists of the admin API, page by page. */

interface Page<Row> {
  readonly rows: Row[]
  /** Cursor of the next page; null: there is none. */
  readonly next: string | null
}

/** @param now wall time, ms */
export function callPage(
  calls: CallTracker,
  cursor: string | null,
  limit: number,
  now: number,
): Page<CallRow> {
  const { views, next } = calls.page(cursor, limit)
  return { rows: views.map((view) => callRow(view, now)), next }
}

function callRow(view: CallView, now: number): CallRow {
  return {
    id: view.id,
    callId: view.callId,
    kind: view.kind,
    state: view.state,
    fromUri: view.fromUri,
    bParty: view.bParty,
    sinceSeconds: Math.max(0, (now - view.startedAt) / 1000),
  }
}

/** @param now monotonic ms */
export function banPage(guard: Guard, cursor: string | null, limit: number, now: number): Page<BanRow> {
  const bans = guard.page(Number(cursor ?? 0) || 0, limit)
  const rows = bans.map(({ source, reason, since, until, score, drops }) => ({
    source,
    reason,
    since,
    expiresRemaining: Math.max(0, Math.ceil((until - now) / 1000)),
    score,
    drops,
  }))
  const last = bans.at(-1)
  return { rows, next: last !== undefined && bans.length === limit ? String(last.id) : null }
}

/** Sets a destination up or down, by hand. */
export function markGateway(
  gateways: Gateways,
  group: string,
  destination: string,
  to: 'up' | 'down',
): Questions['markGateway']['answer'] {
  if (gateways.get(group) === undefined) return { unknown: 'group' }
  const name = gateways.mark(group, destination, to)
  return name === null ? { unknown: 'destination' } : { destination: name }
}
