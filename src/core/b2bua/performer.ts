import type { Clock, Timer } from '../../base/clock.ts'
import { NumberMap } from '../../base/number-map.ts'
import { TextMap } from '../../base/text-map.ts'
import type { Actor, Effect, TimerName } from '../../sip/b2bua/events.ts'
import { TARGET_REFRESH } from '../../sip/dialog/dialog.ts'
import { buildResponse } from '../../sip/message/build.ts'
import type { Request, Response } from '../../sip/message/message.ts'
import type { Spine } from '../../spine/spine.ts'
import type { ClientTransaction, ClientUser, ServerTransaction } from '../../stack/transaction-layer.ts'
import type { Flow, TransportPort } from '../../stack/transport.ts'
import { Failover } from '../failover.ts'
import type { Egress } from './egress.ts'

export interface PerformerOptions {
  readonly clock: Clock
  readonly spine: Spine
  readonly transport: TransportPort
  readonly egress: Egress
  /** 0 … 1. */
  readonly chance: () => number
}

interface Client {
  transaction: ClientTransaction | null
  cancelled: boolean
}

/**
 * Performs what the legs want done: transactions, ACKs, timers. Inputs run to completion: one that comes while effects are
 * performed waits for the last of them.
 */
export class Performer {
  readonly #o: PerformerOptions
  readonly #effects: Effect[] = []
  readonly #inputs: (() => void)[] = []
  readonly #timers = new TextMap<Timer>()
  readonly #clients = new TextMap<Client>()
  readonly #servers = new NumberMap<ServerTransaction>()
  /** Of each server transaction what was sent last: the same again is a repetition. */
  readonly #said = new NumberMap<Response>()
  #lastServer = 0
  #running = false
  #closed = false

  constructor(options: PerformerOptions) {
    this.#o = options
  }

  /** Timers that run and transactions that live on account of legs. */
  get held(): number {
    return this.#timers.size + this.#clients.size + this.#servers.size
  }

  readonly out = (effect: Effect): void => {
    this.#effects.push(effect)
  }

  /** A name for a server transaction, by which effects answer it. */
  name(transaction: ServerTransaction, onEnd: () => void = () => undefined): number {
    const id = ++this.#lastServer
    this.#servers.set(id, transaction)
    transaction.onEnd = () => {
      onEnd()
      this.#servers.delete(id)
      this.#said.delete(id)
    }
    return id
  }

  /** Answers a request that no session takes. */
  answer(name: number, request: Request, status: number): void {
    this.out({ do: 'respond', transaction: name, response: buildResponse(request, status) })
  }

  /** Gives the machines an input and performs what comes of it. */
  input(work: () => void): void {
    this.#inputs.push(work)
    if (this.#running) return
    this.#running = true
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        this.#guard(next)
        for (let effect = this.#effects.shift(); effect !== undefined; effect = this.#effects.shift()) {
          const one = effect
          if (!this.#closed) this.#guard(() => this.#perform(one))
        }
      }
    } finally {
      this.#running = false
    }
  }

  /** No timer is left, nothing more is sent. */
  close(): void {
    this.#closed = true
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
    for (const { transaction } of this.#clients.values()) {
      if (transaction instanceof Failover) transaction.drop()
    }
    this.#clients.clear()
    this.#servers.clear()
    this.#said.clear()
  }

  /** Where an INVITE of ours went; null while that is not known. */
  flowOf(by: Actor, ref: number): Flow | null {
    return this.#clients.get(`${by.id} ${ref}`)?.transaction?.flow ?? null
  }

  #perform(effect: Effect): void {
    switch (effect.do) {
      case 'request':
        return this.#request(effect)
      case 'cancel': {
        const client = this.#clients.get(`${effect.by.id} ${effect.ref}`)
        if (client === undefined) return
        client.cancelled = true
        return client.transaction?.cancel(effect.headers)
      }
      case 'ack':
        return this.#ack(effect.request, effect.nextHop)
      case 'respond':
        return this.#respond(effect.transaction, effect.response)
      case 'startTimer': {
        const { by, timer, ms, spreadMs } = effect
        return this.#startTimer(by, timer, ms + Math.floor(spreadMs * this.#o.chance()))
      }
      case 'stopTimer': {
        const key = `${effect.by.id} ${effect.timer}`
        this.#timers.get(key)?.cancel()
        this.#timers.delete(key)
      }
    }
  }

  #startTimer(by: Actor, timer: TimerName, ms: number): void {
    const key = `${by.id} ${timer}`
    this.#timers.get(key)?.cancel()
    const started = this.#o.clock.startTimer(ms, () => {
      this.#timers.delete(key)
      this.input(() => by.timerFired(timer))
    })
    this.#timers.set(key, started)
  }

  #request({ by, ref, request, nextHop }: Extract<Effect, { do: 'request' }>): void {
    const key = `${by.id} ${ref}`
    const client: Client = { transaction: null, cancelled: false }
    this.#clients.set(key, client)
    this.#o.egress.find(nextHop, request.callId, (targets) => {
      if (this.#closed) return
      if (client.cancelled || typeof targets === 'number') {
        this.#clients.delete(key)
        this.input(() => {
          if (client.cancelled) by.onTransactionOver(ref)
          else by.onFailed(ref, 'unroutable', typeof targets === 'number' ? targets : 404)
        })
        return
      }
      const user: ClientUser = {
        onResponse: (response) => this.input(() => by.onResponse(ref, response)),
        onEnd: (reason) =>
          this.input(() => {
            try {
              // Where it went can still be asked here.
              if (reason === 'normal') by.onTransactionOver(ref)
              else by.onFailed(ref, reason, 0)
            } finally {
              this.#clients.delete(key)
            }
          }),
      }
      client.transaction = this.#o.egress.send(request, targets, user, () => !client.cancelled)
    })
  }

  /** No transaction: straight to the transport (§13.2.2.4). */
  #ack(ack: Request, nextHop: string): void {
    const { egress, transport } = this.#o
    egress.find(nextHop, ack.callId, (targets) => {
      const [target] = typeof targets === 'number' ? [] : targets
      if (target === undefined || this.#closed) return
      if (!ack.headers.has('via')) egress.stamp(ack, target)
      transport.reach(target, (flow) => void flow?.send(ack))
    })
  }

  #respond(name: number, response: Response): void {
    const transaction = this.#servers.get(name)
    if (transaction === undefined) return
    const { method } = response.cseq
    const again = this.#said.get(name) === response
    const { retransmitted } = this.#o.spine
    if (again && retransmitted.active) retransmitted.publish({ method, direction: 'out' })
    if (method === 'INVITE') this.#said.set(name, response)
    const { status } = response
    if (status > 100 && status < 300 && TARGET_REFRESH.has(method) && !response.headers.has('contact')) {
      const { protocol, local, remote } = transaction.flow.path
      response.headers.append('Contact', this.#o.egress.contact(protocol, { host: remote.host, local }))
    }
    transaction.respond(response)
  }

  /** A fault of ours is told, and costs what was being done, not the calls beside it. */
  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#o.spine.logged.publish({
        level: 'error',
        module: 'b2bua',
        text: `fault in a call: ${error instanceof Error ? error.message : String(error)}`,
        fields: { stack: error instanceof Error ? (error.stack ?? null) : null },
        at: this.#o.clock.wallTime(),
      })
    }
  }
}
