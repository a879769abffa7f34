import { availableParallelism, hostname } from 'node:os'
import { dirname, resolve } from 'node:path'
import { STANDARD_MTU } from './blocks/listen.ts'
import type {
  CdrConfig,
  Config,
  GatewayGroupConfig,
  HepConfig,
  ListenAddress,
  ListenConfig,
  MediaConfig,
  ScriptConfig,
  TlsConfig,
} from './config.ts'
import type { Environment } from './expand.ts'
import type { Blocks } from './schema.ts'

/** Fills in what depends on the machine, on other keys and on where the file lies. `file` is absolute. */
export function settle(blocks: Blocks, file: string, env: Environment): Config {
  const folder = dirname(file)
  const absolute = (path: string): string => resolve(folder, path)
  const instance_id = blocks.server.instance_id ?? nodeName(env)
  const local = blocks.domain.local.map((name) => name.toLowerCase().replace(/^\[|\]$|\.$/g, ''))
  return {
    file,
    listen: listen(blocks),
    tls: blocks.tls && tls(blocks.tls, absolute),
    domain: { local },
    script: { ...blocks.script, path: absolute(blocks.script.path), ...pool(blocks.script) },
    auth: { ...blocks.auth, realm: blocks.auth.realm ?? local[0] ?? null },
    registrar: {
      ...blocks.registrar,
      sqlite: { path: absolute(blocks.registrar.sqlite.path) },
    },
    nat: blocks.nat,
    transaction: blocks.transaction,
    gateway: { groups: blocks.gateway.groups.map(gatewayGroup) },
    cache: blocks.cache,
    security: blocks.security,
    dns: blocks.dns,
    metrics: blocks.metrics,
    admin: blocks.admin,
    cdr: cdr(blocks.cdr, absolute),
    tracing: { hep: hep(blocks.tracing.hep, instance_id, absolute) },
    media: media(blocks.media),
    server: { ...blocks.server, instance_id },
    log: blocks.log,
  }
}

function listen({ listen: given, advertised_address }: Blocks): ListenConfig {
  const standard: ListenAddress = { host: '127.0.0.1', port: 5060, advertise: null }
  const { udp, tcp, tls, ws, wss, mtu, proxy_protocol_from } = given ?? {
    udp: [standard],
    tcp: [{ ...standard, proxy_protocol: false }],
    tls: [],
    ws: [],
    wss: [],
    mtu: STANDARD_MTU,
    proxy_protocol_from: [],
  }
  const told = <T extends ListenAddress>(addresses: readonly T[]): T[] =>
    addresses.map((a) => ({ ...a, advertise: a.advertise ?? advertised_address }))
  return {
    udp: told(udp),
    tcp: told(tcp),
    tls: told(tls),
    ws: told(ws),
    wss: told(wss),
    mtu,
    proxy_protocol_from,
  }
}

function tls(given: NonNullable<Blocks['tls']>, absolute: (path: string) => string): TlsConfig {
  const maybe = (path: string | null): string | null => (path === null ? null : absolute(path))
  return {
    ...given,
    certificate: maybe(given.certificate),
    private_key: maybe(given.private_key),
    certificates: given.certificates.map((c) => ({
      server_name: c.server_name.map((name) => name.toLowerCase()),
      certificate: absolute(c.certificate),
      private_key: absolute(c.private_key),
    })),
    client_ca: maybe(given.client_ca),
    client_certificate: maybe(given.client_certificate),
    client_private_key: maybe(given.client_private_key),
    ca: maybe(given.ca),
  }
}

function nodeName(env: Environment): string {
  const name = env['HOSTNAME'] ?? ''
  return /^[\x21-\x7e]+$/.test(name) ? name : hostname()
}

/** @see the reference page: one worker a CPU from 2 to 8, and four times as many at most, at least 8. */
function pool(script: Blocks['script']): Pick<ScriptConfig, 'sync_pool_size' | 'sync_pool_max'> {
  const cpus = Math.min(8, Math.max(2, availableParallelism()))
  const size = script.sync_pool_size ?? Math.min(cpus, script.sync_pool_max ?? cpus)
  return { sync_pool_size: size, sync_pool_max: script.sync_pool_max ?? Math.max(8, size * 4) }
}

/** A destination without a name is called after its group and its place in it. */
function gatewayGroup(group: Blocks['gateway']['groups'][number]): GatewayGroupConfig {
  const destinations = group.destinations.map((d, i) => ({ ...d, name: d.name ?? `${group.name}-${i + 1}` }))
  return { ...group, destinations }
}

function cdr(given: Blocks['cdr'], absolute: (path: string) => string): CdrConfig {
  const { backend, backends, ...rest } = given
  const maybe = (path: string | null): string | null => (path === null ? null : absolute(path))
  return {
    ...rest,
    backends: backends ?? [backend ?? 'file'],
    spool_path: absolute(rest.spool_path),
    file: { ...rest.file, path: absolute(rest.file.path) },
    http: rest.http && {
      ...rest.http,
      ca: maybe(rest.http.ca),
      dead_letter_path: absolute(rest.http.dead_letter_path),
    },
    syslog: rest.syslog && { ...rest.syslog, ca: maybe(rest.syslog.ca) },
  }
}

function hep(
  given: Blocks['tracing']['hep'],
  node: string,
  absolute: (path: string) => string,
): HepConfig | null {
  if (given === null) return null
  const agent_id = given.agent_id ?? node
  return {
    ...given,
    version: 3,
    agent_id,
    capture_id: given.capture_id ?? captureId(agent_id),
    ca_cert: given.ca_cert === null ? null : absolute(given.ca_cert),
  }
}

function media(given: Blocks['media']): MediaConfig | null {
  if (given === null) return null
  const { backend: _, rtpengine, ...rest } = given
  const { address, timeout_ms, weight, instances } = rtpengine
  return { ...rest, instances: instances ?? (address === null ? [] : [{ address, timeout_ms, weight }]) }
}

/** As the original: a decimal name is the number, any other its 32-bit FNV-1a hash. */
export function captureId(agentId: string): number {
  if (/^\d{1,10}$/.test(agentId) && Number(agentId) <= 0xffffffff) return Number(agentId)
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(agentId)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash
}
