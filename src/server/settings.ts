import type { Config, ListenAddress } from '../config/config.ts'
import type { MetricsShared } from '../metrics/shared.ts'
import type { ListenerOptions } from '../stack/transport-layer.ts'
import type { EngineStart } from './conversation.ts'
import { gatewaySettings } from './gateway-settings.ts'

/** What the engine thread needs of the configuration, and the memory it shares. */
export function engineStart(
  config: Config,
  version: string,
  shared: {
    readonly metrics: MetricsShared
    readonly trace: SharedArrayBuffer | null
    readonly heartbeat: SharedArrayBuffer
  },
): EngineStart {
  const { registrar, script, cdr } = config
  return {
    listeners: [...listeners('udp', config.listen.udp), ...listeners('tcp', config.listen.tcp)],
    domains: config.domain.local,
    registrar: {
      defaultExpires: registrar.default_expires,
      minExpires: registrar.min_expires,
      maxExpires: registrar.max_expires,
      maxContacts: registrar.max_contacts,
    },
    script: {
      poolSize: script.sync_pool_size,
      poolMax: script.sync_pool_max,
      queueCapacity: script.executor_queue_capacity,
      handlerTimeoutMs: script.handler_timeout_secs * 1000,
      handlersPerWorker: script.handlers_per_worker,
    },
    timerCMs: config.transaction.timer_c_secs * 1000,
    outgoing: {
      gateways: config.gateway.groups.map(gatewaySettings),
      caches: config.cache.map((c) => ({
        name: c.name,
        ttlMs: c.local_ttl_secs === null ? null : c.local_ttl_secs * 1000,
        maxEntries: c.local_max_entries,
      })),
    },
    userAgent: `SIPhon/${version}`,
    cdr: {
      enabled: cdr.enabled,
      autoEmit: cdr.auto_emit,
      includeRegister: cdr.include_register,
      includeChallenges: cdr.include_challenges,
    },
    ...shared,
  }
}

function listeners(protocol: 'udp' | 'tcp', addresses: readonly ListenAddress[]): ListenerOptions[] {
  return addresses.map(({ host, port, advertise }) => ({
    protocol,
    address: { host, port },
    advertise: advertise && { host: advertise.host, port: advertise.port ?? port },
  }))
}
