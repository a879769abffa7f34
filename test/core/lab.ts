import type { Path, Protocol } from '../../src/base/address.ts'
import type { Identifiers } from '../../src/base/identifiers.ts'
import { B2buaCore } from '../../src/core/b2bua/b2bua-core.ts'
import { CallTracker } from '../../src/core/calls.ts'
import { Dispatch } from '../../src/core/dispatch.ts'
import { ProxyCore } from '../../src/core/proxy-core.ts'
import { ProxyDialogs } from '../../src/core/proxy-dialogs.ts'
import { Gateways } from '../../src/core/gateway/gateways.ts'
import type { Decision, HandlerKind, Job, Outcome, Router, Verdict } from '../../src/core/verdict.ts'
import { buildResponse, type ResponseOptions } from '../../src/sip/message/build.ts'
import type { Message, Request, Response } from '../../src/sip/message/message.ts'
import { parseMessage } from '../../src/sip/message/parse.ts'
import { serialize } from '../../src/sip/message/serialize.ts'
import type { CallDecided, CallRecord, LogLine, ScriptJobShed } from '../../src/spine/facts.ts'
import { createSpine } from '../../src/spine/spine.ts'
import { TransactionLayer } from '../../src/stack/transaction-layer.ts'
import type { Flow, Target, TransportPort } from '../../src/stack/transport.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { tableOfHops } from '../support/next-hops.ts'

/** The text of a message with CRLFs, parsed. */
export function parsed(text: string): Message {
  const result = parseMessage(`${text.trim().split('\n').join('\r\n')}\r\n\r\n`)
  if (!result.ok) throw new Error(result.fault.what)
  return result.message
}

export interface RequestOptions {
  readonly uri?: string
  readonly callId?: string
  readonly branch?: string
  readonly cseq?: number
  readonly fromTag?: string
  readonly toTag?: string | null
  readonly headers?: readonly string[]
}

export function request(method: string, options: RequestOptions = {}): Request {
  const { uri = 'sip:bob@10.0.0.2', callId = 'call-1', branch = `z9hG4bK-${method}-1`, cseq = 1 } = options
  const toTag = options.toTag ?? null
  const message = parsed(
    [
      `${method} ${uri} SIP/2.0`,
      `Via: SIP/2.0/UDP 10.0.0.1:5060;branch=${branch}`,
      `From: <sip:alice@a.example>;tag=${options.fromTag ?? 'a'}`,
      `To: <sip:bob@b.example>${toTag === null ? '' : `;tag=${toTag}`}`,
      `Call-ID: ${callId}`,
      `CSeq: ${cseq} ${method}`,
      ...(options.headers ?? ['Max-Forwards: 70']),
    ].join('\n'),
  )
  if (message.kind !== 'request') throw new Error('not a request')
  return message
}

export const decision = (verdict: Verdict, more: Partial<Decision> = {}): Decision => ({
  verdict,
  edits: [],
  recordRoute: false,
  cdr: null,
  authUser: null,
  ...more,
})
export const relay = (target: string | null = null, more: Partial<Decision> = {}): Decision =>
  decision({ do: 'relay', target }, more)
export const fork = (
  targets: readonly string[],
  strategy: 'parallel' | 'sequential' = 'parallel',
  more: Partial<Decision> = {},
): Decision => decision({ do: 'fork', targets, strategy }, more)
export const reply = (code: number, headers: readonly (readonly [string, string])[] = []): Decision =>
  decision({ do: 'reply', code, reason: null, headers, body: null, contentType: null })

const US = { host: '192.0.2.1', port: 5060 }

class LabFlow implements Flow {
  static last = 0
  readonly id = ++LabFlow.last
  readonly path: Path
  readonly reliable: boolean
  closed = false
  readonly #sent: (message: Message, flow: Flow) => void

  constructor(protocol: Protocol, host: string, port: number, sent: (message: Message, flow: Flow) => void) {
    this.path = { protocol, local: US, remote: { host, port } }
    this.reliable = protocol !== 'udp'
    this.#sent = sent
  }

  send(message: Message): boolean {
    if (this.closed) return false
    this.#sent(message, this)
    return true
  }
}

/** A proxy between flows that only record, with a script that answers from a list. */
export function lab(options: { timerCMs?: number; maxAgeMs?: number } = {}) {
  const clock = new FakeClock()
  let count = 0
  const next = (prefix: string) => () => `${prefix}${++count}`
  const identifiers: Identifiers = {
    branch: next('z9hG4bKours'),
    tag: next('tag'),
    callId: next('cid'),
    recordId: next('rec'),
  }
  const faults: unknown[] = []
  const spine = createSpine((_channel, error) => faults.push(error))
  const records: CallRecord[] = []
  const decided: CallDecided[] = []
  const shed: ScriptJobShed[] = []
  const logs: LogLine[] = []
  spine.callEnded.subscribe((fact) => records.push(fact))
  spine.callDecided.subscribe((fact) => decided.push(fact))
  spine.scriptJobShed.subscribe((fact) => shed.push(fact))
  spine.logged.subscribe((fact) => logs.push(fact))

  const ladder: string[] = []
  const sent: { message: Message; to: string }[] = []
  const flows = new Map<string, LabFlow>()
  const unreachable = new Set<string>()
  const onSent = (message: Message, flow: Flow): void => {
    const { host } = flow.path.remote
    // As the wire would: what is sent is fixed from here on.
    const copy = parseMessage(serialize(message))
    if (!copy.ok) throw new Error(copy.fault.what)
    sent.push({ message: copy.message, to: host })
    ladder.push(`→ ${host} ${message.kind === 'request' ? message.method : message.status}`)
  }
  const flowOf = (host: string, protocol: Protocol = 'udp', port = 5060): LabFlow => {
    const key = `${protocol} ${host} ${port}`
    let flow = flows.get(key)
    if (flow === undefined) flows.set(key, (flow = new LabFlow(protocol, host, port, onSent)))
    return flow
  }
  const transport: TransportPort = {
    reach: (target: Target, then) =>
      then(
        unreachable.has(target.host)
          ? null
          : (target.flow ?? flowOf(target.host, target.protocol, target.port)),
      ),
    responseFlow: (_request, arrivedOn, then) => then(arrivedOn),
    sentBy: () => US,
  }

  /** What the script says next, by kind of handler; asked jobs wait for `run`. */
  const script: Record<HandlerKind, Decision[]> = {
    request: [],
    reply: [],
    failure: [],
    cancel: [],
    invite: [],
    early: [],
    answered: [],
    refused: [],
    bye: [],
    calledOff: [],
    refer: [],
  }
  const failing: Outcome[] = []
  const jobs: { job: Job; done: (outcome: Outcome) => void }[] = []
  const asked: Job[] = []
  const handled = new Set<HandlerKind>(['request'])
  const state = { full: false, auto: true, reserved: 0 }
  const router: Router = {
    handles: (kind) => handled.has(kind),
    reserve: () => {
      if (state.full) return null
      state.reserved++
      return {
        release: () => void state.reserved--,
        decide: (job, done) => {
          asked.push(job)
          jobs.push({ job, done })
        },
      }
    },
  }
  const own = {
    isOurs: (host: string, port: number | null) => host === US.host && (port ?? 5060) === US.port,
    isLocalDomain: (host: string) => host === 'b.example',
  }
  const registered = new Map<string, Flow>()
  const names = new Map<string, readonly string[]>()
  const resolving: (() => void)[] = []
  const calls = new CallTracker({ clock, identifiers, spine })
  const dialogs = new ProxyDialogs({
    clock,
    ...(options.maxAgeMs === undefined ? {} : { maxAgeMs: options.maxAgeMs }),
  })
  const gateways = new Gateways(clock, spine)
  const proxy: ProxyCore = new ProxyCore({
    clock,
    identifiers,
    transport,
    layer: () => layer,
    router,
    own,
    spine,
    resolver: tableOfHops(
      (name) => names.get(name) ?? [],
      (answer) => void resolving.push(answer),
    ),
    flowFor: (uri) => registered.get(uri),
    gateways,
    ...(options.timerCMs === undefined ? {} : { timerCMs: options.timerCMs }),
  })
  const b2bua = new B2buaCore({
    clock,
    identifiers,
    spine,
    transport,
    router,
    calls,
    layer: () => layer,
    own,
    resolver: tableOfHops(
      () => [],
      (answer) => answer(),
    ),
    flowFor: () => undefined,
    chance: () => 0.5,
  })
  const dispatch = new Dispatch({
    b2bua,
    clock,
    identifiers,
    spine,
    transport,
    router,
    own,
    proxy,
    registrar: {
      save: (register, _path, _flow, authUser) =>
        buildResponse(register, 200, { toTag: 'reg', headers: [['X-User', authUser ?? 'nobody']] }),
    },
    calls,
    dialogs,
  })
  const layer = new TransactionLayer({ clock, identifiers, spine, transport, user: dispatch })

  /** Lets waiting handlers come to their verdict. */
  const run = (): void => {
    for (let entry = jobs.shift(); entry !== undefined; entry = jobs.shift()) {
      const failed = /^(request|invite)$/.test(entry.job.kind) ? failing.shift() : undefined
      const fallback = decision(entry.job.kind === 'request' ? { do: 'relay', target: null } : { do: 'pass' })
      entry.done(failed ?? { ok: true, decision: script[entry.job.kind].shift() ?? fallback })
    }
  }
  const receive = (message: Message, host: string, protocol: Protocol = 'udp'): void => {
    ladder.push(`← ${host} ${message.kind === 'request' ? message.method : message.status}`)
    layer.onMessage(message, flowOf(host, protocol))
    if (state.auto) run()
  }
  /** The last request of this method that was sent to the host. */
  const lastTo = (host: string, method: string): Request => {
    const found = sent.findLast(
      ({ message, to }) => to === host && message.kind === 'request' && message.method === method,
    )
    if (found?.message.kind !== 'request') throw new Error(`no ${method} to ${host}`)
    return found.message
  }
  /** The host answers the last request of this method it got. */
  const answer = (host: string, method: string, status: number, more: ResponseOptions = {}): Response => {
    const response = buildResponse(lastTo(host, method), status, { toTag: `t-${host}`, ...more })
    receive(response, host)
    return response
  }
  const lastResponse = (host = '10.0.0.1'): Response => {
    const found = sent.findLast(({ message, to }) => to === host && message.kind === 'response')
    if (found?.message.kind !== 'response') throw new Error('no response')
    return found.message
  }
  /** Nothing lives any more: no transaction, exchange, call, dialog or timer. */
  const leftovers = (): string[] =>
    Object.entries({
      ...layer.counts,
      ...dispatch.levels,
      calls: calls.active,
      dialogs: dialogs.size,
      unfollowed: dialogs.unfollowed,
      timers: clock.pendingTimers,
      faults: faults.length + logs.filter(({ level }) => level === 'error').length,
    })
      .filter(([, n]) => n > 0)
      .map(([name, n]) => `${name}: ${n}`)
  return {
    clock,
    spine,
    ladder,
    sent,
    records,
    decided,
    shed,
    logs,
    script,
    failing,
    asked,
    handled,
    state,
    registered,
    names,
    resolving,
    unreachable,
    calls,
    dialogs,
    dispatch,
    layer,
    gateways,
    run,
    receive,
    answer,
    lastTo,
    lastResponse,
    leftovers,
    flowOf,
  }
}
