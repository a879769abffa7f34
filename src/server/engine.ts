import type { Address } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'
import { errorText } from '../base/error-text.ts'
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
import type { HostControlPort, Service } from '../script/conversation.ts'
import { ScriptHost } from '../script/host.ts'
import type { DisconnectInitiator, LogLine } from '../spine/facts.ts'
import { createSpine } from '../spine/spine.ts'
import { SizedRequests } from '../stack/sized-requests.ts'
import { TransactionLayer } from '../stack/transaction-layer.ts'
import type { Flow } from '../stack/transport.ts'
import { TransportLayer } from '../stack/transport-layer.ts'
import { authServices } from './auth-services.ts'
import { banServices } from './ban-services.ts'
import type { EngineStart, Question, Questions } from './conversation.ts'
import { registrarServices } from './registrar-services.ts'
import { busy, engineLevels, type EngineTables, mayPause } from './engine-levels.ts'
import { attachTaps } from './engine-taps.ts'
import { banPage, callPage, markGateway } from './engine-rows.ts'
import { listenFault } from './listen-fault.ts'
import { openMediaSockets } from './media-sockets.ts'
import { mediaRelay, mediaServices } from './media-services.ts'
import { createNextHops } from './next-hops.ts'
import type { Outbox } from './outbox.ts'
import { Outgoing } from './outgoing.ts'
import { startTidying } from './tidy.ts'

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
  readonly #tables: EngineTables
  readonly #closers: (() => void)[] = []

  constructor(start: EngineStart, world: EngineWorld) {
    const { clock, identifiers, outbox } = world
    this.#start = start
    this.#clock = clock
    this.#outbox = outbox
    const spine = createSpine((channel, error) => {
      outbox.line(line(clock, 'error', `a listener of ${channel} failed: ${errorText(error)}`))
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
      onUnsent: (request) => this.#transactions.onUnsent(request),
      onFlowDeaf: (flow) => this.#transactions.onFlowClosed(flow),
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
      own,
      failover: start.dns.failover,
      ways: this.#registrar.location,
      flowTokens: this.#flowTokens,
      gateways: this.#outgoing.gateways,
      // Without a connection there is none to be found.
      flowFor: (uri: string, called?: string) =>
        this.#transport.connectionCount === 0 ? undefined : (this.#flowFor(uri, called) ?? undefined),
    }
    const proxy = new ProxyCore({
      ...shared,
      timerCMs: start.timerCMs,
    })
    this.#b2bua = new B2buaCore({
      ...shared,
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

    const media = this.#media
    const stopTaps = attachTaps({
      start,
      clock,
      identifiers,
      spine,
      outbox,
      onMetrics: world.onMetrics,
      advertised: (path) => this.#transport.advertised(path),
      correlation: (callId) => this.#b2bua.correlation(callId),
      complete: media === null ? null : (record, done) => media.complete(record, done),
    })
    this.#outgoing.addGroups(start.outgoing.gateways)
    this.#tables = {
      host: this.host,
      transport: this.#transport,
      transactions: this.#transactions,
      dialogs: this.#dialogs,
      b2bua: this.#b2bua,
      calls: this.#calls,
      guard: this.#guard,
      registrar: this.#registrar,
      subscriptions: this.#subscriptions,
      keepAlive: this.#keepAlive,
      outgoing: this.#outgoing,
      media,
      dnsEntries: hops.entries,
      cdr: start.cdr,
    }
    const tidying = startTidying(clock, () => mayPause(this.#tables))
    this.#closers.push(stopTaps, () => tidying.stop())
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
      levels: () => engineLevels(this.#tables),
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
      busy: () => busy(this.#tables),
      cutRecords: () => {
        this.#cutRecords('server')
        return null
      },
      stop: () => this.#stop(),
    }
    return answers[question](argument)
  }

  /** A fault of ours is about to end the thread: every open call gets its record, and what waits is told. */
  salvage(): void {
    this.#cutRecords('error')
  }

  #cutRecords(initiator: DisconnectInitiator): void {
    try {
      this.#calls.closeAll(initiator)
    } finally {
      this.#media?.releaseRecords()
      this.#outbox.flush()
    }
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
