import type { Protocol } from '../base/address.ts'
import type { Config, ListenAddress, ListenConfig, StreamListenAddress } from '../config/config.ts'
import type { TlsMaterial } from '../net/tls.ts'
import type { MetricsShared } from '../metrics/shared.ts'
import type { ListenerOptions } from '../stack/transport-layer.ts'
import { securityRules, limits } from './security-settings.ts'
import type { EngineStart } from './conversation.ts'
import { mediaStart } from './media-settings.ts'

/** What the engine thread needs of the configuration, and the memory it shares. */
export function engineStart(
  config: Config,
  shared: {
    readonly metrics: MetricsShared
    readonly trace: SharedArrayBuffer | null
    readonly heartbeat: SharedArrayBuffer
    readonly tls: TlsMaterial | null
  },
): EngineStart {
  const { registrar, script, cdr } = config
  return {
    listeners: listeners(config.listen),
    udpLimit: config.listen.mtu === 0 ? null : Math.max(0, config.listen.mtu - MTU_MARGIN),
    domains: config.domain.local,
    registrar: {
      defaultExpires: registrar.default_expires,
      minExpires: registrar.min_expires,
      maxExpires: registrar.max_expires,
      maxContacts: registrar.max_contacts,
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
    timerCMs: config.transaction.timer_c_secs * 1000,
    cdr: {
      enabled: cdr.enabled,
      autoEmit: cdr.auto_emit,
      includeRegister: cdr.include_register,
      includeChallenges: cdr.include_challenges,
    },
    media: config.media && mediaStart(config.media),
    ...shared,
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
