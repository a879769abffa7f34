import type { HandlerInfo } from './conversation.ts'
import type { Run } from './run.ts'
import type { WorkerLink } from './worker-link.ts'

/** Who did it: what failures are called in log and metrics. */

/** The labels of `siphon_script_handler_seconds`. */
export const LABELS: Readonly<Record<Run['kind'], string>> = {
  request: 'onRequest',
  reply: 'onReply',
  failure: 'onFailure',
  cancel: 'onCancel',
  timer: 'timer',
  invite: 'b2bua.onInvite',
  early: 'b2bua.onEarlyMedia',
  answered: 'b2bua.onAnswer',
  refused: 'b2bua.onFailure',
  bye: 'b2bua.onBye',
  calledOff: 'b2bua.onCancel',
  refer: 'b2bua.onRefer',
}

/** The handler of a run whose worker has not told: the one that holds its thread, else the first that matches. */
export function handlerOf(link: WorkerLink, run: Run): HandlerInfo | null {
  const { handlers } = link.manifest
  if (run.timer >= 0) return handlers[run.timer] ?? null
  if (link.claims.running === run.id) return link.lastHandler
  const method = run.job?.request.method ?? ''
  return handlers.find((h) => h.kind === run.kind && (h.methods?.includes(method) ?? true)) ?? null
}

export function nameOf(handler: HandlerInfo | null): string {
  return handler === null ? 'a handler' : `${handler.name} ${handler.where}`
}

export function blame(handler: HandlerInfo | null, why: string): string {
  return handler === null || why.startsWith(handler.name) ? why : `${nameOf(handler)}: ${why}`
}
