import type { Protocol } from '../base/address.ts'
import type { Config, ListenAddress, ListenConfig, StreamListenAddress } from '../config/config.ts'
import type { TlsMaterial } from '../net/tls.ts'
import type { MetricsShared } from '../metrics/shared.ts'
import type { ListenerOptions } from '../stack/transport-layer.ts'
import { securityRules, limits } from './security-settings.ts'
import { gatewaySettings } from './gateway-settings.ts'
import { mediaStart } from './media-settings.ts'
import { readSystemNames } from '../net/dns/system.ts'
import type { DnsStart, EngineStart } from './conversation.ts'

/** What the engine thread needs of the configuration, and the memory it shares. */
export function engineStart(
  config: Config,
  version: string,
  shared: {
    readonly metrics: MetricsShared
    readonly trace: SharedArrayBuffer | null
    readonly heartbeat: SharedArrayBuffer
    readonly secret: Uint8Array
    readonly tls: TlsMaterial | null
  },
): EngineStart {
  const { registrar, nat, script, cdr } = config
  const { metrics, trace, heartbeat, tls } = shared
  return {
    listeners: listeners(config.listen),
    udpLimit: config.listen.mtu === 0 ? null : Math.max(0, config.listen.mtu - MTU_MARGIN),
    domains: config.domain.local,
    registrar: {
      defaultExpires: registrar.default_expires,
      minExpires: registrar.min_expires,
      maxExpires: registrar.max_expires,
      maxContacts: registrar.max_contacts,
      lenientPath: registrar.path === 'lenient',
      serviceRoute: registrar.service_route,
      flowTimerSecs: registrar.flow_timer_secs,
      maxSubscriptions: registrar.max_subscriptions,
      fixNat: nat.fix_contact,
      secret: shared.secret,
      persistent: registrar.backend === 'sqlite',
      keepAlive: nat.keepalive.enabled
        ? {
            method: nat.keepalive.method,
            intervalMs: nat.keepalive.interval_secs * 1000,
            failureThreshold: nat.keepalive.failure_threshold,
          }
        : null,
    },
    enforceAuthAorMatch: registrar.enforce_auth_aor_match,
    script: {
      poolSize: script.sync_pool_size,
      poolMax: script.sync_pool_max,
      queueCapacity: script.executor_queue_capacity,
      handlerTimeoutMs: script.handler_timeout_secs * 1000,
      handlersPerWorker: script.handlers_per_worker,
    },
    security: securityRules(config.security),
    limits: limits(config.security.limits),
    dns: dns(config.dns),
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
    media: config.media && mediaStart(config.media),
    metrics,
    trace,
    heartbeat,
    tls,
  }
}

/** Reads /etc/resolv.conf and /etc/hosts: here, once, so that the engine thread never waits for a disk. */
function dns(config: Config['dns']): DnsStart {
  const system = readSystemNames()
  return {
    servers: config.servers.length > 0 ? config.servers : system.servers,
    names: { search: system.search, ndots: system.ndots, hosts: system.hosts },
    limits: {
      minTtlSecs: config.min_ttl_secs,
      maxTtlSecs: config.max_ttl_secs,
      maxNegativeTtlSecs: config.max_negative_ttl_secs,
      maxStaleSecs: config.max_stale_secs,
      size: config.cache_size,
    },
    timeoutMs: config.timeout_secs * 1000,
    deadlineMs: config.deadline_secs * 1000,
    failover: { attemptMs: config.attempt_secs * 1000, avoidMs: config.avoid_secs * 1000 },
  }
}

/** RFC 3261 §18.1.1: so much room for what is added on the way. Bytes. */
const MTU_MARGIN = 200

const PROTOCOLS: readonly Protocol[] = ['udp', 'tcp', 'tls', 'ws', 'wss']

function listeners(listen: ListenConfig): ListenerOptions[] {
  return PROTOCOLS.flatMap((protocol) =>
    listen[protocol].map((entry: ListenAddress & Partial<StreamListenAddress>) => {
      const { host, port, advertise, proxy_protocol } = entry
      return {
        protocol,
        address: { host, port },
        advertise: advertise && { host: advertise.host, port: advertise.port ?? port },
        balancers: proxy_protocol ? listen.proxy_protocol_from : null,
      }
    }),
  )
}
