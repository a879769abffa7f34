import type { Address, Path } from '../base/address.ts'
import { ByteRingWriter } from '../base/byte-ring.ts'
import type { Clock } from '../base/clock.ts'
import { Looks } from '../base/looks.ts'
import { sourceOf } from '../base/network.ts'
import type { Identifiers } from '../base/identifiers.ts'
import { MediaEngine } from '../media/media-engine.ts'
import { asRegistered } from '../core/connection-only.ts'
import { B2buaCore } from '../core/b2bua/b2bua-core.ts'
import { b2buaServices } from '../core/b2bua/services.ts'
import { CallTracker } from '../core/calls.ts'
import { rowOf } from '../core/binding-rows.ts'
import { Dispatch } from '../core/dispatch.ts'
import { FlowTokens } from '../core/flow-tokens.ts'
import { NatKeepAlive } from '../core/nat-keepalive.ts'
import { ProxyCore } from '../core/proxy-core.ts'
import { ProxyDialogs } from '../core/proxy-dialogs.ts'
import { RegSubscriptions } from '../core/reg-events/reg-subscriptions.ts'
import { RegistrarCore } from '../core/registrar-core.ts'
import { Guard } from '../core/security/guard.ts'
import { watchForSignals } from '../core/security/watch.ts'
import type { MetricsMessage } from '../metrics/messages.ts'
import { MetricsWriter } from '../metrics/writer.ts'
import { CdrTap } from '../observe/cdr/tap.ts'
import { HepTap } from '../observe/hep/tap.ts'
import { attachLogTap } from '../observe/log/tap.ts'
import { attachMetricsTap } from '../observe/metrics/tap.ts'
import { startThreadProbe } from '../observe/metrics/probe.ts'
import type { HostControlPort, Service } from '../script/conversation.ts'
import { ScriptHost } from '../script/host.ts'
import type { CallRecord, LogLine } from '../spine/facts.ts'
import type { Message } from '../sip/message/message.ts'
import { createSpine } from '../spine/spine.ts'
import { SizedRequests } from '../stack/sized-requests.ts'
import { TransactionLayer } from '../stack/transaction-layer.ts'
import type { Flow } from '../stack/transport.ts'
import { TransportLayer } from '../stack/transport-layer.ts'
import { authServices } from './auth-services.ts'
import { banServices } from './ban-services.ts'
import type { EngineLevels, EngineStart, Question, Questions } from './conversation.ts'
import { registrarServices } from './registrar-services.ts'
import { banPage, callPage, markGateway } from './engine-rows.ts'
import { listenFault } from './listen-fault.ts'
import { openMediaSockets } from './media-sockets.ts'
import { mediaRelay, mediaServices } from './media-services.ts'
import { createNextHops } from './next-hops.ts'
import type { Outbox } from './outbox.ts'
import { Outgoing } from './outgoing.ts'
import { startTidying } from './tidy.ts'

/** Bindings and transactions, those that only linger included, with which a collection takes no longer than a retransmission is late. */
const MOST_KEPT = 20_000

export interface EngineWorld {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly outbox: Outbox
  readonly pool: HostControlPort
  readonly onMetrics: (message: MetricsMessage) => void
}

/** What the engine thread is made of, and how it answers the control thread. Knows no thread itself. */
export class Engine {
  readonly host: ScriptHost
  readonly #start: EngineStart
  readonly #clock: Clock
  readonly #outbox: Outbox
  readonly #transport: TransportLayer
  readonly #transactions: TransactionLayer
  readonly #requests: SizedRequests
  readonly #registrar: RegistrarCore
  readonly #flowTokens: FlowTokens
  readonly #subscriptions: RegSubscriptions
  readonly #keepAlive: NatKeepAlive | null
  readonly #dispatch: Dispatch
  readonly #dialogs: ProxyDialogs
  readonly #b2bua: B2buaCore
  #draining = false
  readonly #looks = new Looks()
  readonly #calls: CallTracker
  readonly #outgoing: Outgoing
  readonly #media: MediaEngine | null
  readonly #guard: Guard
  readonly #dnsEntries: () => number
  readonly #closers: (() => void)[] = []

  constructor(start: EngineStart, world: EngineWorld) {
    const { clock, identifiers, outbox } = world
    this.#start = start
    this.#clock = clock
    this.#outbox = outbox
    const spine = createSpine((channel, error) => {
      const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
      outbox.line(line(clock, 'error', `a listener of ${channel} failed: ${what}`))
    })
    this.#guard = new Guard({
      clock,
      spine,
      rules: start.security,
      onBan: (isBanned) => this.#transport.cutFrom(isBanned),
    })
    watchForSignals(spine, this.#guard)
    const hops = createNextHops(start.dns, start.listeners, clock, (asked) => {
      if (spine.dnsAsked.active) spine.dnsAsked.publish(asked)
    })
    this.#dnsEntries = hops.entries
    this.#transport = new TransportLayer({
      clock,
      nextHops: hops.nextHops,
      identifiers,
      spine,
      limits: start.limits,
      gate: this.#guard,
      tls: start.tls,
      looks: this.#looks,
      onMessage: (message, flow) => this.#transactions.onMessage(message, flow),
      onBatch: () => this.host.postWaiting(),
      onFlowClosed: (flow, error) => {
        this.#transactions.onFlowClosed(flow, error)
        this.#flowTokens.forget(flow)
        this.#registrar.onFlowClosed(flow)
      },
    })
    const domains = new Set(start.domains)
    const own = {
      isOurs: (host: string, port: number | null) => this.#transport.isOurs(host, port),
      isLocalDomain: (host: string) => domains.has(host),
    }
    this.#registrar = new RegistrarCore({
      clock,
      identifiers,
      spine,
      rules: start.registrar,
      isLocal: (host) => domains.has(host),
      enforceAuthAorMatch: start.enforceAuthAorMatch,
      key: start.registrar.secret,
      serviceRoute: start.registrar.serviceRoute,
      flowTimerSecs: start.registrar.flowTimerSecs,
      lenientPath: start.registrar.lenientPath,
      fixNat: start.registrar.fixNat,
    })
    // Before the records are taken: it adds to them.
    this.#media = start.media && new MediaEngine({ clock, identifiers, spine, ...start.media })
    this.#flowTokens = new FlowTokens(start.registrar.secret, identifiers.tag())
    const layer = (): TransactionLayer => this.#transactions
    const transport = this.#transport
    const common = { clock, identifiers, spine, transport, layer, registrar: this.#registrar }
    this.#outgoing = new Outgoing(
      start.outgoing,
      {
        clock,
        identifiers,
        spine,
        transport,
        layer: () => this.#requests,
        resolver: hops.nextHops,
        userAgent: start.userAgent,
      },
      () => this.host.generation,
    )
    this.#subscriptions = new RegSubscriptions({
      ...common,
      resolver: hops.nextHops,
      maxSubscriptions: start.registrar.maxSubscriptions,
    })
    const { keepAlive } = start.registrar
    this.#keepAlive = keepAlive && new NatKeepAlive({ ...common, ...keepAlive })
    const services = new Map<string, Service>([
      ...authServices(spine, clock.wallTime()),
      ...(this.#media === null ? [] : mediaServices(this.#media)),
      ...banServices(this.#guard),
      ...registrarServices(this.#registrar),
      ...this.#outgoing.services,
    ])
    this.host = new ScriptHost({
      clock,
      spine,
      location: this.#registrar.location,
      services,
      limits: start.script,
      control: world.pool,
      batchMs: 1,
    })
    this.#looks.accompany({
      begin: () => this.host.comes(true),
      fetch: () => this.host.fetch(),
      end: () => this.host.comes(false),
    })
    this.#calls = new CallTracker({ clock, identifiers, spine })
    this.#dialogs = new ProxyDialogs({ clock })
    const shared = {
      clock,
      identifiers,
      spine,
      transport: this.#transport,
      layer: () => this.#requests,
      router: this.host,
      resolver: hops.nextHops,
      // Without a connection there is none to be found.
      flowFor: (uri: string, called?: string) =>
        this.#transport.connectionCount === 0 ? undefined : (this.#flowFor(uri, called) ?? undefined),
    }
    const proxy = new ProxyCore({
      ...shared,
      own,
      failover: start.dns.failover,
      ways: this.#registrar.location,
      flowTokens: this.#flowTokens,
      timerCMs: start.timerCMs,
      gateways: this.#outgoing.gateways,
    })
    this.#b2bua = new B2buaCore({
      ...shared,
      own,
      failover: start.dns.failover,
      ways: this.#registrar.location,
      flowTokens: this.#flowTokens,
      gateways: this.#outgoing.gateways,
      calls: this.#calls,
      chance: Math.random,
      ...(this.#media === null ? {} : { media: mediaRelay(this.#media) }),
    })
    for (const [name, service] of b2buaServices(this.#b2bua, () => this.#draining))
      services.set(name, service)
    this.#dispatch = new Dispatch({
      clock,
      identifiers,
      spine,
      transport: this.#transport,
      router: this.host,
      own,
      proxy,
      registrar: this.#registrar,
      subscriptions: this.#subscriptions,
      flowTokens: this.#flowTokens,
      b2bua: this.#b2bua,
      calls: this.#calls,
      dialogs: this.#dialogs,
    })
    this.#transactions = new TransactionLayer({
      clock,
      identifiers,
      spine,
      transport: this.#transport,
      user: this.#dispatch,
    })

    this.#requests = new SizedRequests({
      clock,
      layer: this.#transactions,
      transport: this.#transport,
      limit: start.udpLimit,
      mayUseTcp: start.listeners.some((l) => l.protocol === 'tcp'),
    })

    const writer = new MetricsWriter({
      thread: 'engine',
      shared: start.metrics,
      post: world.onMetrics,
      origin: 'builtin',
    })
    attachMetricsTap(spine, writer, { transports: [...new Set(start.listeners.map((l) => l.protocol))] })
    const probe = startThreadProbe(writer, clock)
    this.#outgoing.addGroups(start.outgoing.gateways)
    attachLogTap(spine, clock, (l) => outbox.line(l))
    if (start.trace) {
      const ownAddress = (path: Path): Address => this.#transport.advertised(path)
      const correlationOf = ({ callId }: Message): string => this.#b2bua.correlation(callId)
      new HepTap({ spine, ring: new ByteRingWriter(start.trace), ownAddress, correlationOf })
    }
    if (start.cdr.enabled) {
      const out = (record: CallRecord): void => outbox.record(record)
      const push = (record: CallRecord): void =>
        this.#media === null ? out(record) : this.#media.complete(record, out)
      new CdrTap({ spine, identifiers, policy: start.cdr, push })
    }
    const tidying = startTidying(clock, () => this.#mayPause)
    this.#closers.push(
      () => probe.stop(),
      () => tidying.stop(),
    )
  }

  #flowFor(uri: string, called: string | undefined): Flow | null {
    const flow = this.#registrar.location.flowFor(uri, called)
    if (flow !== null) return flow
    const registered = asRegistered(uri)
    return registered === null ? null : this.#registrar.location.flowFor(registered, called)
  }

  async #listen(): Promise<readonly { protocol: string; address: Address }[]> {
    // What was restored is in the file already.
    this.#persist()
    const addresses: { protocol: string; address: Address }[] = []
    for (const options of this.#start.listeners) {
      const { protocol, address } = options
      try {
        addresses.push({ protocol, address: await this.#transport.listen(options) })
      } catch (error) {
        throw new Error(listenFault(`listen.${protocol}`, address, error), { cause: error })
      }
    }
    this.#outgoing.startProbes()
    if (this.#media !== null) await openMediaSockets(this.#media, this.#looks)
    return addresses
  }

  #persist(): void {
    if (!this.#start.registrar.persistent) return
    const clock = this.#clock
    this.#registrar.watch(({ event, binding }) => {
      const living = event === 'registered' || event === 'refreshed'
      this.#outbox.binding(
        living
          ? { what: 'put', row: rowOf(binding, clock.wallTime() - clock.now()) }
          : { what: 'gone', id: binding.id },
      )
    })
  }

  /** Answers a question of the control thread. */
  async answer<Q extends Question>(
    question: Q,
    argument: Questions[Q]['ask'],
  ): Promise<Questions[Q]['answer']> {
    const answers: { [K in Question]: (argument: Questions[K]['ask']) => Answer<K> } = {
      listen: () => this.#listen(),
      restore: (rows) => this.#registrar.restore(rows),
      levels: () => this.#levels(),
      registrations: ({ cursor, limit }) => this.#registrar.listing.page(cursor, limit),
      registration: (aor) => this.#registrar.listing.contactsOf(aor),
      removeRegistration: (aor) => this.#registrar.remove(aor),
      calls: ({ cursor, limit }) => callPage(this.#calls, cursor, limit, this.#clock.wallTime()),
      gateways: () => this.#outgoing.gateways.rows(),
      markGateway: ({ group, destination, to }) =>
        markGateway(this.#outgoing.gateways, group, destination, to),
      bans: ({ cursor, limit }) => banPage(this.#guard, cursor, limit, this.#clock.now()),
      liftBan: (ip) => (this.#guard.unban(ip) ? sourceOf(ip) : null),
      hangUp: (id) => (this.#calls.find(id) === undefined ? null : this.#b2bua.terminate(id)),
      endCalls: () => this.#b2bua.terminateAll(),
      refuseCalls: ({ retryAfterSecs }) => {
        this.#draining = true
        this.#dispatch.drain(retryAfterSecs)
        this.#subscriptions.deactivate()
        return null
      },
      useTls: (material) => {
        this.#transport.useTls(material)
        return null
      },
      busy: () => this.#transactions.pending + this.#dialogs.size + this.#b2bua.busy,
      stop: () => this.#stop(),
    }
    return answers[question](argument)
  }

  /** A fault of ours is about to end the thread: every open call gets its record, and what waits is told. */
  salvage(): void {
    try {
      this.#calls.closeAll('server')
    } finally {
      this.#media?.releaseRecords()
      this.#outbox.flush()
    }
  }

  #levels(): EngineLevels {
    const { host } = this
    const { gateways, requests, timers, caches } = this.#outgoing
    timers.enter(host.generation)
    return {
      transactions: this.#transactions.counts,
      connections: this.#transport.connections,
      proxyDialogSessions: this.#dialogs.size,
      b2bua: { calls: this.#b2bua.busy, legs: this.#b2bua.legs, dialogs: this.#b2bua.dialogs },
      callsActive: this.#calls.active,
      banned: this.#guard.banned,
      dnsCacheEntries: this.#dnsEntries(),
      cdrSessions: this.#cdrSessions,
      registrations: this.#registrar.registrations,
      ownRequestsPending: requests.pending,
      scriptTimers: timers.size,
      caches: [...caches.values()].map(({ name, size, evicted }) => ({ name, entries: size, evicted })),
      gateways: gateways
        .rows()
        .flatMap(({ name, destinations }) =>
          destinations.map((d) => ({ group: name, destination: d.name, up: d.state === 'up' })),
        ),
      media: this.#media && {
        sessions: this.#media.sessions,
        instances: this.#media.instances.map(({ name, state }) => [name, state === 'up']),
      },
      contacts: this.#registrar.contacts,
      subscriptions: this.#subscriptions.size,
      keptAlive: this.#keepAlive?.size ?? 0,
      pool: {
        size: host.size,
        max: host.max,
        inflight: host.inflight,
        queued: host.queued,
        generation: host.generation,
      },
    }
  }

  get #cdrSessions(): number {
    const { enabled, autoEmit } = this.#start.cdr
    if (!enabled) return 0
    return autoEmit ? this.#calls.records : this.#calls.requestedRecords
  }

  /** Nobody would notice if the thread stood still for a moment: no call is up, no handler runs, and not much is to be gone through. */
  get #mayPause(): boolean {
    const { host } = this
    const calls = this.#calls.active + this.#dialogs.size + this.#b2bua.busy
    if (calls + host.inflight + host.queued > 0) return false
    const counts: readonly number[] = Object.values(this.#transactions.counts)
    return counts.reduce((sum, count) => sum + count, this.#registrar.contacts) <= MOST_KEPT
  }

  async #stop(): Promise<null> {
    this.#dispatch.close()
    this.#outgoing.close()
    this.#transactions.close()
    this.host.close()
    this.#subscriptions.close()
    this.#keepAlive?.close()
    this.#registrar.close()
    await this.#media?.close()
    this.#guard.close()
    await this.#transport.close()
    for (const close of this.#closers) close()
    this.#outbox.flush()
    return null
  }
}

type Answer<Q extends Question> = Questions[Q]['answer'] | Promise<Questions[Q]['answer']>

function line(clock: Clock, level: LogLine['level'], text: string): LogLine {
  return { level, module: 'engine', text, fields: null, at: clock.wallTime() }
}
