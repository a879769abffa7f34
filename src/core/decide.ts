import { buildResponse, type ResponseOptions } from '../sip/message/build.ts'
import { supports } from '../sip/registrar/outbound.ts'
import type { B2buaCore } from './b2bua/b2bua-core.ts'
import type { Exchange } from './exchange.ts'
import type { ProxyCore } from './proxy-core.ts'
import type { Registrar, Subscriptions } from './registrar.ts'
import type { Decision, Outcome, Verdict } from './verdict.ts'

const FAILURE_REASONS: Readonly<Partial<Record<string, string>>> = {
  timeout: 'Script Timeout',
  no_handler: 'No Script Handler',
}

/** Who carries a verdict out. */
export interface Cores {
  readonly proxy: ProxyCore
  readonly registrar: Registrar
  readonly b2bua: B2buaCore
  readonly subscriptions?: Subscriptions
}

/** Carries out what the script has decided about a new request. Its mistakes cost the request a 500, and nobody else. */
export function decide(exchange: Exchange, outcome: Outcome, cores: Cores): void {
  // §16.10: it was cancelled while the script was thinking; nothing has been forwarded.
  if (exchange.cancelled) {
    if (outcome.ok) exchange.call?.note(outcome.decision.cdr, outcome.decision.authUser)
    exchange.reply(487, 'caller')
    return
  }
  if (exchange.final) return
  if (!outcome.ok) {
    exchange.reply(500, 'server', { reason: FAILURE_REASONS[outcome.reason] ?? 'Script Error' })
    return
  }
  const { decision } = outcome
  exchange.call?.note(decision.cdr, decision.authUser)
  try {
    carryOut(exchange, decision, cores)
  } catch (error) {
    // Header text that would break the message is refused where messages are built.
    if (!(error instanceof TypeError) || exchange.final) throw error
    exchange.reply(500, 'server', { reason: 'Script Error' })
  }
}

function carryOut(
  exchange: Exchange,
  decision: Decision,
  { proxy, registrar, b2bua, subscriptions }: Cores,
): void {
  const { verdict } = decision
  switch (verdict.do) {
    case 'relay':
    case 'fork':
      exchange.recordRoute = decision.recordRoute
      if (decision.addPath) {
        const { request } = exchange
        if (request.method !== 'REGISTER') return badVerdict(exchange)
        // RFC 3327 §5.2: a phone that does not know Path could not tell that somebody stands in its way.
        if (decision.addPath !== 'force' && !supports(request, 'path')) {
          return exchange.reply(421, 'server', { headers: [['Require', 'path']] })
        }
        exchange.addPath = true
      }
      // §17.2.1: the callee may need longer than 200 ms, and every repetition costs more than this 100. An answer of our own
      // goes without it, so that a forged INVITE gets one datagram for one (the transaction says 100 when a script is slow).
      if (exchange.request.method === 'INVITE')
        exchange.respond(buildResponse(exchange.request, 100), 'server')
      proxy.proxy(exchange, decision, verdict)
      break
    case 'reply':
      if (verdict.code < 200 || verdict.code > 699) badVerdict(exchange)
      else exchange.reply(verdict.code, 'server', replyOptions(verdict))
      break
    case 'save':
      if (exchange.request.method !== 'REGISTER') badVerdict(exchange)
      else {
        const { request, flow } = exchange
        exchange.respond(registrar.save(request, flow.path, flow, decision.authUser, verdict), 'server')
      }
      break
    case 'subscribe':
      if (exchange.request.method !== 'SUBSCRIBE' || subscriptions === undefined) badVerdict(exchange)
      else subscribe(exchange, subscriptions)
      break
    case 'dial':
    case 'takeover':
      // As for what is relayed.
      exchange.respond(buildResponse(exchange.request, 100), 'server')
      b2bua.take(exchange, decision)
      break
    case 'answer':
      b2bua.take(exchange, decision)
      break
    case 'hangup':
      exchange.reply(603, 'server')
      break
    case 'pass':
    case 'reject':
    case 'drop':
    case 'transfer':
    case 'proxy':
      badVerdict(exchange)
      break
  }
}

/** The NOTIFY follows the answer (RFC 6665 §4.2.1.4). */
export function subscribe(exchange: Exchange, subscriptions: Subscriptions): void {
  const { response, after } = subscriptions.subscribe(exchange.request, exchange.flow)
  exchange.respond(response, 'server')
  after()
}

/** What `reply` says, for the response builder. */
export function replyOptions({
  reason,
  headers,
  body,
  contentType,
}: Extract<Verdict, { do: 'reply' }>): ResponseOptions {
  return {
    headers,
    ...(reason === null ? {} : { reason }),
    ...(body === null ? {} : { body }),
    ...(contentType === null ? {} : { contentType }),
  }
}

function badVerdict(exchange: Exchange): void {
  exchange.reply(500, 'server', { reason: 'Script Error' })
}
