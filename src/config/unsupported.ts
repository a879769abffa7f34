import type { KeyPath } from './fault.ts'

/** Blocks and keys of the original's siphon.yaml that SIPhon does not act on yet. `*` is any position of a list. */
const BLOCKS: readonly string[] = [
  'session_timer',
  'dialog',
  'b2bua',
  'memory',
  'registrant',
  'control',
  'numbering',
  'number_policies',
  'lcr',
  'srs',
  'subscribe_state',
  'isc',
  'ipsec',
  'stir',
  'sbi',
  'diameter',
  'rf',
  'ro',
  'lawful_intercept',
  'extensions',
]
const KEYS: readonly string[] = [
  'listen.sctp',
  'listen.dscp',
  'listen.udp.*.dscp',
  'listen.tcp.*.dscp',
  'listen.tls.*.dscp',
  'listen.ws.*.dscp',
  'listen.wss.*.dscp',
  'script.include_paths',
  'script.async_pool_size',
  'script.handler_stall_abort_secs',
  'security.apiban',
  'security.firewall',
  'registrar.redis',
  'registrar.postgres',
  'registrar.python',
  'registrar.liveness',
  'nat.crlf_keepalive',
  'metrics.prometheus.cors',
  'admin.cors',
  'admin.ui',
  'media.siphon_rtp',
  'media.rtpproxy',
  'media.events',
  'tracing.hep.error_log_interval',
  'server.server_header',
  'server.user_agent_header',
  'cache.*.url',
  'log.file',
  'transaction.timeout_secs',
  'transaction.invite_timeout_secs',
  'transaction.auto_emit_100_trying',
  'transaction.auto_emit_100_trying_delay_ms',
]

/** For the JSON Schema: an editor should know the keys, and say that they do nothing. */
export const unsupportedKeys: readonly string[] = [...BLOCKS, ...KEYS].filter((key) => !key.includes('*'))

const all = new Set([...BLOCKS, ...KEYS])
const REGISTRAR_BACKENDS = new Set(['redis', 'postgres', 'python'])

export interface Unsupported {
  readonly path: KeyPath
  readonly what: string
  readonly instead: string
}

/**
 * Takes what is not supported yet out of the parsed file, and says what it was. An empty list or block asked for
 * nothing and is taken out in silence.
 */
export function takeUnsupported(root: Record<string, unknown>): Unsupported[] {
  const found: Unsupported[] = []
  const walk = (value: unknown, path: KeyPath, pattern: string): void => {
    if (Array.isArray(value)) {
      value.forEach((item, i) => walk(item, [...path, i], `${pattern}.*`))
      return
    }
    if (!isMap(value)) return
    for (const [key, child] of Object.entries(value)) {
      const childPattern = pattern === '' ? key : `${pattern}.${key}`
      if (all.has(childPattern)) {
        if (!isEmpty(child)) {
          found.push({
            path: [...path, key],
            what: 'is not supported yet and does nothing',
            instead: 'take it out, or leave it for later',
          })
        }
        delete value[key]
      } else if (
        childPattern === 'registrar.backend' &&
        typeof child === 'string' &&
        REGISTRAR_BACKENDS.has(child)
      ) {
        found.push({
          path: [...path, key],
          what: 'is not supported yet',
          instead: 'write sqlite, to keep registrations over a restart, or memory',
        })
        delete value[key]
      } else walk(child, [...path, key], childPattern)
    }
  }
  walk(root, [], '')
  return found
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined) return true
  if (Array.isArray(value)) return value.length === 0
  return isMap(value) && Object.keys(value).length === 0
}
