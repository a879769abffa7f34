import { processTime } from '../base/clock.ts'
import { randomHex } from '../base/digest-hash.ts'
import type { AuthConfig, Config } from '../config/config.ts'
import { sourcesOf } from '../core/gateway/group.ts'
import type { AuthSettings } from '../script/auth/settings.ts'
import { gatewaySettings } from './gateway-settings.ts'
import { mediaProfiles } from './media-settings.ts'
import type { HandlerSettings } from '../script/conversation.ts'
import type { Secret } from '../sip/auth/digest.ts'

/** What the APIs of scripts know of the configuration without asking the engine. Made once: every worker must have the same. */
export function handlerSettings(config: Config): HandlerSettings {
  const { auth, domain, media } = config
  return {
    auth: authSettings(auth, domain.local),
    media: media && { profiles: Object.keys(mediaProfiles(media)), sdpName: media.sdp_name },
    gatewaySources: Object.fromEntries(
      config.gateway.groups.map((group) => [group.name, sourcesOf(gatewaySettings(group))]),
    ),
    caches: config.cache.map(({ name }) => name),
  }
}

function authSettings(auth: AuthConfig, domains: readonly string[]): AuthSettings {
  const { realm } = auth
  const http = auth.backend === 'http' ? auth.http : null
  return {
    realm: realm === null ? null : bytes(realm),
    domains,
    algorithms: auth.algorithms,
    qop: auth.qop,
    nonceTtlMs: auth.nonce_ttl_secs * 1000,
    nonceKey: auth.nonce_secret === null ? randomHex(64) : bytes(auth.nonce_secret),
    nonceEpochMs: Date.now() - processTime(),
    users: auth.users.map(([user, secret]) => [bytes(user), secretOf(secret)]),
    http: http && {
      url: http.url,
      timeoutMs: http.timeout_ms,
      connectTimeoutMs: http.connect_timeout_ms,
      ha1: http.ha1,
      cacheTtlMs: http.cache_ttl_secs * 1000,
      authHeader: http.auth_header,
    },
  }
}

function secretOf(secret: AuthConfig['users'][number][1]): Secret {
  return 'password' in secret ? { password: bytes(secret.password) } : secret
}

/** Digests are computed over bytes: binary text (decision 0002). */
function bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
