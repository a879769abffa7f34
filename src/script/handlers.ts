import type { Decision, Edit } from '../core/verdict.ts'
import type { ScriptFailureReason } from '../spine/facts.ts'
import { ScriptCall } from './api/call.ts'
import { registry } from './api/registry.ts'
import { Reply } from './api/reply.ts'
import { ScriptRequest } from './api/request.ts'
import { Verdict } from './api/verdict.ts'
import { OF_CALLS, type RunKind } from './conversation.ts'
import * as codec from './message-codec.ts'
import type { Offer } from './offer.ts'

/** Why a run has no decision, though nothing was thrown. */
export interface Refusal {
  readonly refused: ScriptFailureReason
  readonly what: string
}

export const NOTHING_DECIDED: Decision = {
  verdict: { do: 'pass' },
  edits: [],
  recordRoute: false,
  cdr: null,
  authUser: null,
}

type Kind = Exclude<RunKind, 'timer'>
type What = Decision['verdict']['do']

/** Which verdicts a kind of handler may end with. */
const FITTING: Readonly<Record<Kind, readonly What[]>> = {
  request: ['relay', 'fork', 'reply', 'save', 'subscribe'],
  reply: ['pass', 'reject', 'drop'],
  failure: ['pass', 'relay', 'fork', 'reply'],
  cancel: [],
  invite: ['dial', 'answer', 'reply', 'takeover', 'proxy'],
  early: ['pass', 'drop', 'reject', 'reply', 'hangup'],
  answered: ['pass', 'reject', 'reply', 'hangup'],
  refused: ['pass', 'dial', 'reply', 'reject'],
  bye: [],
  calledOff: [],
  refer: ['transfer', 'reply'],
}

/** They are told, and decide nothing. */
const TOLD: ReadonlySet<Kind> = new Set(['cancel', 'bye', 'calledOff'])
/** The request has gone its way before these run. */
const FORWARDED: ReadonlySet<Kind> = new Set(['reply', 'cancel'])
const IGNORED =
  'asked for credentials and returned something else than what came of it: return auth.requireDigest(…)'
const GONE = 'the request has been forwarded already: change the reply'
const READ_ONLY = 'the reply has been received: change the request, or reply() with what you want'

/** Runs the handlers that match, in order of declaration, until one decides. What is wrong with the offer itself is thrown at once. */
export function runHandlers(
  offer: Offer,
  received: codec.RawRequest,
  enter: (handler: number) => void,
): Promise<Decision | Refusal> {
  const kind = offer.kind as Kind
  const raw = codec.buildRequest(received)
  const edits: Edit[] = []
  const editable = kind === 'reply' || kind === 'early' || kind === 'answered'
  const reply =
    offer.response &&
    new Reply(codec.buildResponse(offer.response), editable ? edits : READ_ONLY, offer.elapsedMs)
  const { path, routeConsumed, call } = offer
  if (!OF_CALLS.has(kind)) {
    const request = new ScriptRequest(raw, path, routeConsumed, FORWARDED.has(kind) ? GONE : undefined)
    return decide(kind, request, reply, raw.method, enter, (v) =>
      request.decide(v, kind === 'reply' ? edits : undefined),
    )
  }
  if (call === null) throw new Error('a call without what is known of it')
  const view = new ScriptCall(raw, path, call, kind)
  return decide(kind, view, reply, raw.method, enter, (v) =>
    view.decide(v, editable ? edits : undefined),
  ).then((decided) => {
    if ('refused' in decided || decided.verdict.do !== 'proxy') return decided
    // `call.proxy()`: the same INVITE, as changed, for the proxy's handlers.
    const request = new ScriptRequest(raw, path, routeConsumed)
    request.inherit(view, decided)
    return decide('request', request, null, raw.method, enter, (v) => request.decide(v))
  })
}

async function decide(
  kind: Kind,
  subject: ScriptRequest | ScriptCall,
  reply: Reply | null,
  method: string,
  enter: (handler: number) => void,
  made: (verdict: Decision['verdict']) => Decision,
): Promise<Decision | Refusal> {
  const args = reply === null ? [subject] : [subject, reply]
  let matched = false
  for (let at = 0; at < registry.handlers.length; at++) {
    const info = registry.handlers[at]?.info
    if (info?.kind !== kind || (info.methods !== null && !info.methods.includes(method))) continue
    matched = true
    enter(at)
    let returned: unknown
    try {
      returned = await callHandler(at, args)
    } catch (error) {
      // It waits for nobody's credentials any more.
      subject.demands.close(undefined)
      throw error
    }
    if (TOLD.has(kind)) continue
    if (!subject.demands.close(returned)) return refusal('auth_ignored', `${info.name} ${IGNORED}`)
    const verdict = Verdict.valueOf(returned)
    if (verdict === null) continue
    if (verdict === undefined)
      return refusal('no_verdict', `${info.name} returned ${kindOf(returned)}, not a verdict`)
    if (!FITTING[kind].includes(verdict.do)) {
      return refusal('bad_verdict', `${info.name} cannot end with '${verdict.do}'`)
    }
    return made(verdict)
  }
  if (TOLD.has(kind)) return made({ do: 'pass' })
  if (matched) return refusal('no_verdict', 'every matching handler passed on with next()')
  return refusal('no_handler', `the script has no handler for this ${kind}`)
}

/** Runs one declared handler. */
export function callHandler(handler: number, args: readonly unknown[]): unknown {
  const run = registry.handlers[handler]?.run as ((...given: readonly unknown[]) => unknown) | undefined
  return run?.(...args)
}

function refusal(refused: ScriptFailureReason, what: string): Refusal {
  return { refused, what }
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return String(value)
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
