import { strict as assert } from 'node:assert'
import type { Clock } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import { TextMap } from '../base/text-map.ts'
import { buildCancel } from '../sip/message/build.ts'
import type { Message, Request, Response } from '../sip/message/message.ts'
import { inviteServerKey, nonInviteServerKey, topBranch } from '../sip/transaction/key.ts'
import { type TimerBase, type Timers, createTimers } from '../sip/transaction/timers.ts'
import type { Spine } from '../spine/spine.ts'
import { LingerQueue } from './linger.ts'
import { LiveClient } from './live-client.ts'
import { LiveServer } from './live-server.ts'
import type { LiveTransaction, Stage } from './live-transaction.ts'
import type { ClientTransaction, ClientUser, ServerTransaction, TransactionUser } from './transaction-user.ts'
import type { Flow, Target, TransportPort } from './transport.ts'

export type { ClientTransaction, ClientUser, ServerTransaction, TransactionUser } from './transaction-user.ts'

export interface TransactionLayerOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly transport: TransportPort
  readonly user: TransactionUser
  /** T1, T2, T4 where they are not 500, 4,000 and 5,000 ms. */
  readonly timers?: Partial<TimerBase>
}

/** How many transactions live, by kind. */
export interface TransactionCounts {
  readonly inviteClient: number
  readonly inviteServer: number
  readonly nonInviteClient: number
  readonly nonInviteServer: number
}

interface Work {
  /** Who pays when it throws. */
  readonly transaction: LiveTransaction<unknown> | null
  readonly work: () => void
}

/**
 * The transaction layer, RFC 3261 §17: finds the transaction of each message, runs its machine, its timers and its
 * sends, and hands the rest to the transaction user.
 *
 * Run to completion: machines are stepped as inputs come, but effects are performed, and users called, strictly one
 * after the other. What is asked for meanwhile waits.
 */
export class TransactionLayer {
  readonly #stage: Stage
  readonly #user: TransactionUser
  readonly #spine: Spine
  readonly #clock: Clock
  /** By branch (§17.1.3). A CANCEL has the branch of its INVITE, hence two tables. */
  readonly #inviteClients = new TextMap<LiveClient>()
  readonly #nonInviteClients = new TextMap<LiveClient>()
  /** By `inviteServerKey` and `nonInviteServerKey` (§17.2.3). */
  readonly #inviteServers = new TextMap<LiveServer>()
  readonly #nonInviteServers = new TextMap<LiveServer>()
  /** Client transactions on connections, by flow: a connection that closes ends them. */
  readonly #byFlow = new Map<number, Set<LiveClient>>()
  /** By milliseconds. */
  readonly #lingering = new Map<number, LingerQueue<LiveTransaction<unknown>>>()
  #waiting: Work[] = []
  #busy = false
  #closed = false

  constructor({ clock, identifiers, spine, transport, user, timers }: TransactionLayerOptions) {
    this.#clock = clock
    this.#spine = spine
    this.#user = user
    this.#stage = this.#createStage(identifiers, transport, createTimers(timers))
  }

  get counts(): TransactionCounts {
    return {
      inviteClient: this.#inviteClients.size,
      inviteServer: this.#inviteServers.size,
      nonInviteClient: this.#nonInviteClients.size,
      nonInviteServer: this.#nonInviteServers.size,
    }
  }

  /**
   * Of these, how many still await something: a final response, or the ACK of one. The others only absorb repetitions
   * (timers D, I, J, K, L and M). Looks at every transaction: for a drain, not for each message.
   */
  get pending(): number {
    let pending = 0
    for (const table of this.#tables) for (const { pending: awaits } of table.values()) if (awaits) pending++
    return pending
  }

  /** No transaction lives. */
  get idle(): boolean {
    return this.#tables.every((table) => table.size === 0)
  }

  /** A message the parser has passed, from the flow it came in on. */
  onMessage(message: Message, flow: Flow): void {
    if (this.#closed) return
    if (this.#busy) this.#run(null, () => this.#route(message, flow))
    else this.#route(message, flow)
  }

  /**
   * Starts a client transaction. The request has its top Via already, with a branch of its own.
   * Not for ACK: one for a 2xx is no transaction and goes straight to the transport layer (§13.2.2.4).
   */
  request(request: Request, target: Target, user: ClientUser): ClientTransaction {
    const branch = topBranch(request)
    assert(branch !== undefined && branch !== '', 'a request without a branch of its own')
    assert(request.method !== 'ACK', 'an ACK is no transaction')
    const table = this.#clientsOf(request.method)
    assert(!table.has(branch), 'a branch that another request has')
    const client = new LiveClient(this.#stage, request, branch, target, user)
    if (this.#closed) {
      client.drop()
      return client
    }
    table.set(branch, client)
    client.start()
    return client
  }

  /** A connection is gone, or nothing is read from it any more: responses that were to come on it will not (§17.1.4). */
  onFlowClosed(flow: Flow, _error?: string | null): void {
    const clients = this.#byFlow.get(flow.id)
    if (clients === undefined) return
    this.#byFlow.delete(flow.id)
    for (const client of clients) client.transportFailed()
  }

  /** A datagram of ours that cannot be sent: no answer to its request will come (§17.1.4). */
  onUnsent(request: Request): void {
    const branch = topBranch(request)
    // An ACK finds none: it goes again with each repetition of what it acknowledges.
    if (branch !== undefined) this.#clientsOf(request.method).get(branch)?.unsent()
  }

  /** Forgets everything at once. Sends nothing, tells nobody, leaves no timer. */
  close(): void {
    this.#closed = true
    for (const table of [this.#inviteClients, this.#nonInviteClients]) {
      for (const client of table.values()) client.drop()
      table.clear()
    }
    for (const table of [this.#inviteServers, this.#nonInviteServers]) {
      for (const server of table.values()) server.discard()
      table.clear()
    }
    this.#byFlow.clear()
    for (const queue of this.#lingering.values()) queue.clear()
    this.#waiting = []
  }

  #route(message: Message, flow: Flow): void {
    if (this.#closed) return
    if (message.kind === 'response') this.#routeResponse(message, flow)
    else if (message.method === 'INVITE') this.#routeInvite(message, flow)
    else if (message.method === 'ACK') this.#routeAck(message, flow)
    else this.#routeOther(message, flow)
  }

  #routeResponse(response: Response, flow: Flow): void {
    const branch = topBranch(response)
    const { method } = response.cseq
    const client = branch === undefined ? undefined : this.#clientsOf(method).get(branch)
    if (client !== undefined && client.request.method === method) client.receive(response)
    else this.#run(null, () => this.#user.onStrayResponse(response, flow))
  }

  #routeInvite(invite: Request, flow: Flow): void {
    const key = inviteServerKey(invite)
    const server = this.#inviteServers.get(key)
    if (server !== undefined) server.receive(invite)
    else this.#offer(invite, flow, key, (accept) => this.#user.onRequest(invite, flow, accept))
  }

  #routeAck(ack: Request, flow: Flow): void {
    const server = this.#inviteServers.get(inviteServerKey(ack))
    if (server !== undefined) server.receive(ack)
    else this.#run(null, () => this.#user.onAck(ack, flow))
  }

  #routeOther(request: Request, flow: Flow): void {
    const key = nonInviteServerKey(request)
    const server = this.#nonInviteServers.get(key)
    if (server !== undefined) server.receive(request)
    else if (request.method === 'CANCEL') {
      const invite = this.#inviteServers.get(inviteServerKey(request)) ?? null
      this.#offer(request, flow, key, (accept) => this.#user.onCancel(request, flow, invite, accept))
    } else this.#offer(request, flow, key, (accept) => this.#user.onRequest(request, flow, accept))
  }

  /** Shows the user a new request. A fault while it looks ends the transaction, if it has accepted one. */
  #offer(request: Request, flow: Flow, key: string, show: (accept: () => ServerTransaction) => void): void {
    let accepted: LiveServer | null = null
    const accept = (): ServerTransaction => (accepted ??= this.#accept(request, flow, key))
    this.#run(null, () => {
      try {
        show(accept)
      } catch (error) {
        this.#fault(accepted, error)
      }
    })
  }

  #accept(request: Request, flow: Flow, key: string): LiveServer {
    const table = request.method === 'INVITE' ? this.#inviteServers : this.#nonInviteServers
    // Accepted late, after a repetition of the same request was: one transaction serves both.
    const present = table.get(key)
    if (present !== undefined) return present
    const server = new LiveServer(this.#stage, request, flow, key)
    if (this.#closed) server.discard()
    else {
      table.set(key, server)
      server.start()
    }
    return server
  }

  get #tables(): readonly TextMap<LiveClient | LiveServer>[] {
    return [this.#inviteClients, this.#nonInviteClients, this.#inviteServers, this.#nonInviteServers]
  }

  #clientsOf(method: string): TextMap<LiveClient> {
    return method === 'INVITE' ? this.#inviteClients : this.#nonInviteClients
  }

  #createStage(identifiers: Identifiers, transport: TransportPort, timers: Timers): Stage {
    return {
      clock: this.#clock,
      identifiers,
      spine: this.#spine,
      transport,
      timers,
      user: this.#user,
      step: (transaction, input) => this.#step(transaction, input),
      run: (transaction, work) => this.#run(transaction, work),
      linger: (transaction, ms) => this.#lingerFor(ms).add(transaction),
      lingersNoMore: (ms) => this.#lingerFor(ms).forgetOne(),
      startCancel: (invite, target, user, headers) => {
        const cancel = buildCancel(invite.request)
        for (const [name, value] of headers) cancel.headers.append(name, value)
        this.request(cancel, target, user)
      },
      boundTo: (client, flow) => {
        if (!flow.reliable) return
        const clients = this.#byFlow.get(flow.id)
        if (clients === undefined) this.#byFlow.set(flow.id, new Set([client]))
        else clients.add(client)
      },
      forgetClient: (client) => this.#forgetClient(client),
      forgetServer: (server) => {
        const table = server.request.method === 'INVITE' ? this.#inviteServers : this.#nonInviteServers
        table.delete(server.id)
      },
    }
  }

  #lingerFor(ms: number): LingerQueue<LiveTransaction<unknown>> {
    let queue = this.#lingering.get(ms)
    if (queue === undefined) {
      queue = new LingerQueue(this.#clock, ms, (transaction) => {
        if (transaction.ended) return false
        transaction.lingered()
        return true
      })
      this.#lingering.set(ms, queue)
    }
    return queue
  }

  #forgetClient(client: LiveClient): void {
    this.#clientsOf(client.request.method).delete(client.branch)
    const { flow } = client
    const clients = flow?.reliable ? this.#byFlow.get(flow.id) : undefined
    if (flow === null || clients === undefined) return
    clients.delete(client)
    if (clients.size === 0) this.#byFlow.delete(flow.id)
  }

  #step<E>(transaction: LiveTransaction<E>, input: () => readonly E[]): void {
    if (transaction.ended) return
    let effects: readonly E[]
    try {
      effects = input()
    } catch (error) {
      this.#run(null, () => this.#fault(transaction, error))
      return
    }
    if (effects.length > 0) this.#run(transaction, () => transaction.perform(effects))
  }

  /** Does the work now, or after what is being done. */
  #run(transaction: LiveTransaction<unknown> | null, work: () => void): void {
    if (this.#busy) {
      this.#waiting.push({ transaction, work })
      return
    }
    this.#busy = true
    this.#guard(transaction, work)
    // The list may grow while it is worked through, and `close` may put an empty one in its place.
    for (let i = 0; i < this.#waiting.length; i++) {
      const next = this.#waiting[i]
      if (next !== undefined) this.#guard(next.transaction, next.work)
    }
    if (this.#waiting.length > 0) this.#waiting = []
    this.#busy = false
  }

  /** The one place that catches faults of ours: the transaction ends, the server lives. */
  #guard(transaction: LiveTransaction<unknown> | null, work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#fault(transaction, error)
    }
  }

  #fault(transaction: LiveTransaction<unknown> | null, error: unknown): void {
    this.#report(transaction, error)
    try {
      transaction?.abandon()
    } catch (again) {
      this.#report(transaction, again)
    }
  }

  #report(transaction: LiveTransaction<unknown> | null, error: unknown): void {
    this.#spine.logged.publish({
      level: 'error',
      module: 'transaction',
      text: `fault in the transaction layer or its user: ${error instanceof Error ? error.message : String(error)}`,
      fields: { ...transaction?.label, stack: error instanceof Error ? (error.stack ?? null) : null },
      at: this.#clock.wallTime(),
    })
  }
}
