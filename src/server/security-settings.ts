import type { SecurityConfig } from '../config/config.ts'
import { KNOWN_SCANNERS, type SecurityRules } from '../core/security/rules.ts'
import { defaultLimits } from '../sip/message/limits.ts'
import type { TransportLimits } from '../stack/transport-layer.ts'

/** What the configuration asks of the guard. */
export function securityRules(config: SecurityConfig): SecurityRules {
  const { rate_limit: rate, failed_auth_ban: auth } = config
  return {
    rateLimit: rate && {
      maxRequests: rate.max_requests,
      windowMs: rate.window_secs * 1000,
      banMs: rate.ban_duration_secs * 1000,
    },
    scanners: config.scanner_block && (config.scanner_block.user_agents ?? KNOWN_SCANNERS),
    failedAuth: auth && {
      threshold: auth.threshold,
      windowMs: auth.window_secs * 1000,
      banMs: auth.ban_duration_secs * 1000,
      strongWeight: auth.strong_signal_weight,
    },
    trusted: config.trusted_cidrs,
    acl: config.acl,
  }
}

export function limits(config: SecurityConfig['limits']): TransportLimits {
  return {
    maxConnections: config.max_connections,
    maxConnectionsPerSource: config.max_connections_per_source,
    message: {
      maxMessageBytes: config.max_message_bytes,
      maxHeaderBytes: config.max_header_bytes,
      maxFieldBytes: Math.min(defaultLimits.maxFieldBytes, config.max_header_bytes),
      maxFields: config.max_headers,
    },
  }
}
