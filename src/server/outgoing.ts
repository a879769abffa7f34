import type { Clock } from '../base/clock.ts'
import { Gateways } from '../core/gateway/gateways.ts'
import { Prober, type ProbePort } from '../core/gateway/prober.ts'
import type { GroupSettings } from '../core/gateway/settings.ts'
import { KeyedTimers } from '../core/keyed-timers.ts'
import { OwnRequests, type OwnRequestsOptions } from '../core/own-requests.ts'
import { RateWindow } from '../core/rate-window.ts'
import { ScriptCache, type CacheSettings } from '../core/script-cache.ts'
import type { Services } from '../script/conversation.ts'
import { cacheServices } from './services/cache.ts'
import { gatewayServices } from './services/gateway.ts'
import { ownRequestServices } from './services/own-requests.ts'
import { rateServices } from './services/rate.ts'
import { timerServices } from './services/timers.ts'

export interface OutgoingStart {
  readonly gateways: readonly GroupSettings[]
  readonly caches: readonly CacheSettings[]
}

/**
 * What the engine keeps for scripts beside calls: gateways and their probes, requests of our own, caches, one-shot timers,
 * rates. All of it outlives a reload of the script but the timers.
 */
export class Outgoing {
  readonly gateways: Gateways
  readonly requests: OwnRequests
  readonly timers: KeyedTimers
  readonly caches: ReadonlyMap<string, ScriptCache>
  /** What scripts may ask for, by name. */
  readonly services: Services
  readonly #rates: RateWindow
  readonly #prober: Prober

  /** @param generation of the serving script */
  constructor(start: OutgoingStart, options: OwnRequestsOptions, generation: () => number) {
    const { clock, spine } = options
    this.gateways = new Gateways(clock, spine)
    this.requests = new OwnRequests(options)
    this.timers = new KeyedTimers(clock)
    this.#rates = new RateWindow(clock)
    this.caches = new Map(start.caches.map((settings) => [settings.name, new ScriptCache(clock, settings)]))
    this.#prober = proberOf(clock, this.gateways, this.requests)
    this.services = new Map([
      ...gatewayServices(this.gateways),
      ...ownRequestServices(this.requests),
      ...cacheServices(this.caches),
      ...timerServices(this.timers, generation),
      ...rateServices(this.#rates),
    ])
  }

  /** The groups of siphon.yaml, once those who count are listening. */
  addGroups(groups: readonly GroupSettings[]): void {
    for (const group of groups) this.gateways.add(group, true)
  }

  /** Probes begin; to be called when there are sockets to send from. */
  startProbes(): void {
    this.gateways.watch(this.#prober)
  }

  close(): void {
    this.#prober.stop()
    this.timers.clear()
  }
}

/** Probes are OPTIONS, without state of their own beyond their transaction. */
function proberOf(clock: Clock, gateways: Gateways, requests: OwnRequests): Prober {
  const port: ProbePort = {
    probe: ({ uri, hop, fromUser, timeoutMs }, then) =>
      requests.send(
        {
          purpose: 'probe',
          method: 'OPTIONS',
          uri,
          nextHop: hop,
          fromUser,
          headers: [['Accept', 'application/sdp']],
          body: '',
          contentType: null,
          timeoutMs,
        },
        (result) => {
          if (!result.ok) return then({ status: null, failure: result.failure })
          const after = /^\s*(\d+)/.exec(result.response.headers.first('retry-after') ?? '')?.[1]
          return then({
            status: result.response.status,
            retryAfterSecs: after === undefined ? null : Number(after),
          })
        },
      ),
  }
  return new Prober(clock, gateways, port, Math.random)
}
