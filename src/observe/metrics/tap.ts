import type { Protocol } from '../../base/address.ts'
import type { CounterSeries } from '../../metrics/series.ts'
import type { Counter, MetricsWriter } from '../../metrics/writer.ts'
import type { CallResult, ScriptFailureReason } from '../../spine/facts.ts'
import { tapAuth } from './auth-tap.ts'
import { tapSecurity } from './security-tap.ts'
import type { Spine } from '../../spine/spine.ts'
import { tapGateways } from './gateway-tap.ts'

type Direction = 'in' | 'out'

const DIRECTIONS: readonly Direction[] = ['in', 'out']

/** RFC 3261 and its extensions; any other token is `OTHER`, or a peer could make series at will. */
export const METHODS: readonly string[] = [
  'INVITE',
  'ACK',
  'BYE',
  'CANCEL',
  'REGISTER',
  'OPTIONS',
  'PRACK',
  'SUBSCRIBE',
  'NOTIFY',
  'PUBLISH',
  'INFO',
  'REFER',
  'MESSAGE',
  'UPDATE',
]
const OTHER_METHOD = 'OTHER'

/** Response codes that are there at 0 from the start; the rest of 100 … 699 appear when first seen. */
export const COMMON_CODES: readonly number[] = [
  100, 180, 181, 183, 200, 202, 301, 302, 400, 401, 403, 404, 405, 407, 408, 410, 415, 416, 420, 423, 480,
  481, 482, 483, 484, 486, 487, 488, 491, 500, 501, 502, 503, 504, 505, 513, 600, 603, 604,
]

export const CALL_RESULTS: readonly CallResult[] = [
  'answered',
  'cancelled',
  'busy',
  'no_answer',
  'rejected',
  'unavailable',
  'timeout',
  'error',
  'challenged',
  'shed',
]

export const HANDLERS: readonly string[] = [
  'onRequest',
  'onReply',
  'onFailure',
  'onCancel',
  'timer',
  'b2bua.onInvite',
  'b2bua.onEarlyMedia',
  'b2bua.onAnswer',
  'b2bua.onFailure',
  'b2bua.onBye',
  'b2bua.onCancel',
  'b2bua.onRefer',
]

export const LEG_RESULTS = ['answered', 'refused', 'cancelled'] as const

export const FAILURE_REASONS: readonly ScriptFailureReason[] = [
  'exception',
  'timeout',
  'no_verdict',
  'no_handler',
  'worker_lost',
  'bad_verdict',
  'auth_ignored',
]

/** From a proxied call's few milliseconds to the ringing that timer C ends. Seconds. */
export const SETUP_BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 32, 60, 180,
]
export const DURATION_BUCKETS: readonly number[] = [1, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200]
/** A handler usually takes less than a millisecond. Seconds. */
export const HANDLER_BUCKETS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

/** Commands of every call; the rarer ones appear when first used. */
export const MEDIA_COMMANDS: readonly string[] = ['ping', 'offer', 'answer', 'query', 'delete']
export const MEDIA_OUTCOMES: readonly string[] = ['ok', 'error', 'timeout', 'malformed']
/** On one machine a command takes less than a millisecond. Seconds. */
export const MEDIA_BUCKETS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
]
/** From a name server next door to the deadline of a search. Seconds. */
export const DNS_BUCKETS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]
export const DNS_TYPES = ['A', 'AAAA', 'SRV', 'NAPTR'] as const
export const DNS_OUTCOMES = ['found', 'none', 'error', 'timeout'] as const
export const FAILOVER_REASONS = ['timeout', 'transport', '503'] as const

/** TLS as a client needs no listener. */
const HANDSHAKING: readonly Protocol[] = ['tls', 'ws', 'wss']

export interface TapOptions {
  /** Transports with a listener: their series are there at 0 from the start. udp and tcp unless told. */
  readonly transports?: readonly Protocol[]
}

/** Counts what the call path says has happened. Declares every pushed metric of the server; docs/metrics.md tells what each means. */
export function attachMetricsTap(spine: Spine, writer: MetricsWriter, options: TapOptions = {}): void {
  const transports = options.transports ?? ['udp', 'tcp']
  tapMessages(spine, writer, transports)
  tapCalls(spine, writer)
  tapLegs(spine, writer)
  tapScript(spine, writer)
  tapGateways(spine, writer)
  tapAuth(spine, writer)
  tapMedia(spine, writer)
  tapSecurity(spine, writer, transports)
  tapRegistrations(spine, writer)
  tapNextHops(spine, writer)
}

function tapMessages(spine: Spine, writer: MetricsWriter, transports: readonly Protocol[]): void {
  const requests = writer.counter('siphon_requests_total', 'SIP requests that crossed a socket', {
    labels: ['method', 'direction', 'transport'],
  })
  const responses = writer.counter('siphon_responses_total', 'SIP responses that crossed a socket', {
    labels: ['code', 'direction', 'transport'],
  })
  const malformed = writer.counter(
    'siphon_malformed_messages_total',
    'Messages received that are not SIP messages we can process',
    { labels: ['transport'] },
  )
  for (const direction of DIRECTIONS) {
    const channel = direction === 'in' ? spine.messageReceived : spine.messageSent
    const byTransport = perTransport(transports, (transport) => ({
      requests: perMethod((method) => requests.labels({ method, direction, transport })),
      responses: perCode((code) => responses.labels({ code, direction, transport })),
    }))
    channel.subscribe(({ path, message }) => {
      const series = byTransport(path.protocol)
      if (message.kind === 'request') series.requests(message.method).inc()
      else series.responses(message.status).inc()
    })
  }
  const malformedOn = perTransport(transports, (transport) => malformed.labels({ transport }))
  spine.messageFaulted.subscribe(({ path }) => malformedOn(path.protocol).inc())

  const handshakes = writer.counter(
    'siphon_handshake_failures_total',
    'TLS and WebSocket handshakes that came to nothing, in either direction',
    { labels: ['transport'] },
  )
  const failedOn = perTransport(HANDSHAKING, (transport) => handshakes.labels({ transport }))
  spine.handshakeFailed.subscribe(({ protocol }) => failedOn(protocol).inc())
  const repeats = writer.counter(
    'siphon_retransmissions_total',
    'Messages that were repetitions: absorbed when received, or sent again by a timer',
    { labels: ['method', 'direction'] },
  )
  const repeatsIn = perMethod((method) => repeats.labels({ method, direction: 'in' }))
  const repeatsOut = perMethod((method) => repeats.labels({ method, direction: 'out' }))
  spine.retransmitted.subscribe(({ method, direction }) => {
    if (direction === 'in') repeatsIn(method).inc()
    else repeatsOut(method).inc()
  })
}

function tapCalls(spine: Spine, writer: MetricsWriter): void {
  const attempts = writer.counter('siphon_call_attempts_total', 'Call attempts decided, by result', {
    labels: ['result'],
  })
  const setup = writer.histogram(
    'siphon_call_setup_seconds',
    'INVITE to final response of answered call attempts',
    {
      buckets: SETUP_BUCKETS,
    },
  )
  const duration = writer.histogram(
    'siphon_call_duration_seconds',
    'Answer to end of calls that were answered',
    {
      buckets: DURATION_BUCKETS,
    },
  )
  const byResult = perKnown(attempts, 'result', CALL_RESULTS)
  spine.callDecided.subscribe(({ result, setupMs }) => {
    byResult(result).inc()
    if (result === 'answered') setup.observe(setupMs / 1000)
  })
  spine.callEnded.subscribe((record) => {
    if (record.kind !== 'register' && record.answeredAt !== null) duration.observe(record.durationMs / 1000)
  })
}

function tapLegs(spine: Spine, writer: MetricsWriter): void {
  const legs = writer.counter(
    'siphon_b2bua_legs_total',
    'Legs that SIPhon made and that are over, by result',
    {
      labels: ['result'],
    },
  )
  const setup = writer.histogram(
    'siphon_b2bua_leg_setup_seconds',
    'INVITE to 2xx of the legs that SIPhon made and that were answered',
    { buckets: SETUP_BUCKETS },
  )
  const byResult = perKnown(legs, 'result', LEG_RESULTS)
  spine.legEnded.subscribe(({ result, setupMs }) => {
    byResult(result).inc()
    if (setupMs !== null) setup.observe(setupMs / 1000)
  })
}

function tapScript(spine: Spine, writer: MetricsWriter): void {
  const seconds = writer.histogram(
    'siphon_script_handler_seconds',
    'What a job took from its start in a worker to its verdict, by handler',
    {
      labels: ['handler'],
      buckets: HANDLER_BUCKETS,
    },
  )
  const errors = writer.counter(
    'siphon_script_errors_total',
    'Script handlers that failed, by handler and reason',
    {
      labels: ['handler', 'reason'],
    },
  )
  const completed = writer.counter(
    'siphon_pyexec_jobs_completed_total',
    'Script jobs that have ended, failed ones included',
  )
  const shed = writer.counter(
    'siphon_pyexec_jobs_shed_total',
    'Script jobs refused because the queue was full or no worker lived',
  )
  const took = new Map(HANDLERS.map((handler) => [handler, seconds.labels({ handler })]))
  for (const handler of HANDLERS) for (const reason of FAILURE_REASONS) errors.labels({ handler, reason })
  spine.scriptJobDone.subscribe(({ handler, runMs }) => {
    completed.inc()
    const series = took.get(handler) ?? seconds.labels({ handler })
    series.observe(runMs / 1000)
  })
  spine.scriptJobShed.subscribe(() => shed.inc())
  spine.scriptFailed.subscribe(({ handler, reason }) => errors.labels({ handler, reason }).inc())
}

function tapMedia(spine: Spine, writer: MetricsWriter): void {
  const requests = writer.counter(
    'siphon_rtpengine_requests_total',
    'Commands to rtpengine that have ended',
    {
      labels: ['command', 'outcome'],
    },
  )
  const seconds = writer.histogram(
    'siphon_rtpengine_request_seconds',
    'First sending of a command to its answer; commands without one are not in it',
    { buckets: MEDIA_BUCKETS },
  )
  for (const command of MEDIA_COMMANDS) {
    for (const outcome of MEDIA_OUTCOMES) requests.labels({ command, outcome })
  }
  spine.mediaCommandDone.subscribe(({ command, outcome, ms }) => {
    requests.labels({ command: command.replaceAll(' ', '_').toLowerCase(), outcome }).inc()
    if (outcome !== 'timeout') seconds.observe(ms / 1000)
  })
}

const REGISTRATION_EVENTS = ['registered', 'refreshed', 'deregistered', 'expired'] as const
export const REGISTRATION_ENDS = [
  'request',
  'expired',
  'operator',
  'script',
  'flow_closed',
  'no_answer',
] as const
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

function tapRegistrations(spine: Spine, writer: MetricsWriter): void {
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

function tapNextHops(spine: Spine, writer: MetricsWriter): void {
  const queries = writer.counter(
    'siphon_dns_queries_total',
    'Questions to name servers, by type of record and what became of them',
    { labels: ['type', 'outcome'] },
  )
  const seconds = writer.histogram('siphon_dns_query_seconds', 'Question to answer, or to giving up', {
    buckets: DNS_BUCKETS,
  })
  const byType = new Map(
    DNS_TYPES.map((type) => [
      type,
      new Map(
        DNS_OUTCOMES.map((outcome) => [outcome, queries.labels({ type: type.toLowerCase(), outcome })]),
      ),
    ]),
  )
  spine.dnsAsked.subscribe(({ type, outcome, ms }) => {
    byType.get(type)?.get(outcome)?.inc()
    seconds.observe(ms / 1000)
  })
  const failovers = writer.counter(
    'siphon_next_hop_failovers_total',
    'Requests that went to the next target of their hop, by why',
    { labels: ['reason'] },
  )
  const byReason = perKnown(failovers, 'reason', FAILOVER_REASONS)
  spine.hopFailedOver.subscribe(({ reason }) => byReason(reason).inc())
}

/** A series for each known method, and one for all others. */
function perMethod(series: (method: string) => CounterSeries): (method: string) => CounterSeries {
  const known = new Map(METHODS.map((method) => [method, series(method)]))
  const other = series(OTHER_METHOD)
  return (method) => known.get(method) ?? other
}

function perCode(series: (code: number) => CounterSeries): (code: number) => CounterSeries {
  const known: (CounterSeries | undefined)[] = Array.from({ length: 700 }, () => undefined)
  for (const code of COMMON_CODES) known[code] = series(code)
  return (code) => {
    const found = known[code]
    if (found !== undefined) return found
    // The parser lets 100 … 699 through (§7.2): at most 600 of these, and the limit of series above that.
    return (known[code] = series(code))
  }
}

function perTransport<T>(
  transports: readonly Protocol[],
  make: (transport: Protocol) => T,
): (of: Protocol) => T {
  const known = new Map(transports.map((transport) => [transport, make(transport)]))
  return (transport) => {
    let found = known.get(transport)
    if (found === undefined) known.set(transport, (found = make(transport)))
    return found
  }
}

function perKnown<L extends string>(
  counter: Counter<L>,
  label: L,
  values: readonly string[],
  others: Partial<Record<L, string>> = {},
): (value: string) => CounterSeries {
  const of = (value: string): CounterSeries =>
    counter.labels({ ...others, [label]: value } as Record<L, string>)
  const known = new Map(values.map((value) => [value, of(value)]))
  return (value) => known.get(value) ?? of(value)
}
