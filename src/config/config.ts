import type { Address } from '../base/address.ts'

/**
 * What `siphon.yaml` says, complete: every default filled in, every path absolute, every variable expanded.
 * Keys are those of the file. Plain data: it can be sent to another thread.
 */
export interface Config {
  /** Absolute path of the file itself. */
  readonly file: string
  readonly listen: { readonly udp: readonly ListenAddress[]; readonly tcp: readonly ListenAddress[] }
  /** Lower case. */
  readonly domain: { readonly local: readonly string[] }
  readonly script: ScriptConfig
  readonly registrar: RegistrarConfig
  readonly transaction: {
    /** Timer C, seconds (RFC 3261 §16.6 step 11). */
    readonly timer_c_secs: number
  }
  readonly gateway: { readonly groups: readonly GatewayGroupConfig[] }
  readonly cache: readonly CacheConfig[]
  readonly metrics: {
    /** Null: no listener of its own. */
    readonly prometheus: { readonly listen: Address; readonly path: string } | null
    /** Label sets of one metric; further ones go to the overflow series. */
    readonly max_series: number
  }
  /** Null: no admin API. */
  readonly admin: AdminConfig | null
  readonly cdr: CdrConfig
  readonly tracing: { readonly hep: HepConfig | null }
  readonly server: {
    readonly instance_id: string
    /** Longest drain, seconds; calls that live on then are cut off. */
    readonly drain_secs: number
    /** From SIGTERM until new dialogs are refused, seconds. */
    readonly lame_duck_secs: number
  }
  readonly log: { readonly level: LogLevel; readonly format: 'pretty' | 'json' }
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface ListenAddress extends Address {
  /** What peers are told instead (Via, Record-Route, HEP): a host name or IP, and a port when it differs. */
  readonly advertise: { readonly host: string; readonly port: number | null } | null
}

export interface ScriptConfig {
  readonly path: string
  /** `auto`: on save and on SIGHUP. */
  readonly reload: 'auto' | 'sighup'
  readonly sync_pool_size: number
  readonly sync_pool_max: number
  readonly executor_queue_capacity: number
  /** One handler run, seconds. */
  readonly handler_timeout_secs: number
  /** Handlers that one worker runs side by side while they wait for something. */
  readonly handlers_per_worker: number
  /** Heap of one worker, MiB. */
  readonly memory_limit_mb: number
}

export interface RegistrarConfig {
  readonly backend: 'memory'
  /** Seconds, all three. min ≤ default ≤ max. */
  readonly default_expires: number
  readonly min_expires: number
  readonly max_expires: number
  readonly max_contacts: number
}

export interface GatewayGroupConfig {
  readonly name: string
  readonly algorithm: 'weighted' | 'round_robin' | 'hash'
  readonly probe: {
    readonly enabled: boolean
    readonly interval_secs: number
    readonly timeout_secs: number
    readonly failure_threshold: number
    readonly success_threshold: number
    readonly from_user: string
  }
  readonly circuit: {
    /** Calls failed in a row; 0: never opens. */
    readonly failures: number
    readonly hold_secs: number
    readonly max_hold_secs: number
  }
  readonly destinations: readonly GatewayDestinationConfig[]
  readonly source_networks: readonly string[]
  readonly reroute_causes: readonly (number | 'transport')[]
}

export interface GatewayDestinationConfig {
  /** Unique in its group. */
  readonly name: string
  readonly uri: string
  readonly address: Address | null
  readonly transport: 'udp' | 'tcp' | 'tls' | 'ws' | 'wss' | null
  readonly weight: number
  readonly priority: number
  readonly attrs: Readonly<Record<string, string>>
}

export interface CacheConfig {
  readonly name: string
  /** Lifetime of what is stored without one, seconds; null: none. */
  readonly local_ttl_secs: number | null
  readonly local_max_entries: number
}

export interface AdminConfig {
  readonly listen: Address
  readonly auth: { readonly token: string | null; readonly protect_reads: boolean }
  readonly insecure: boolean
}

export type CdrBackend = 'file' | 'http' | 'syslog'

export interface CdrConfig {
  readonly enabled: boolean
  readonly auto_emit: boolean
  readonly include_register: boolean
  readonly include_challenges: boolean
  /** At least one, none twice. */
  readonly backends: readonly CdrBackend[]
  /** Records that wait for one backend in memory. */
  readonly channel_size: number
  /** Folder for records that a collector has not taken when the server ends. */
  readonly spool_path: string
  readonly file: {
    readonly path: string
    /** MiB; 0: never. */
    readonly rotate_size_mb: number
  }
  readonly http: {
    readonly url: string
    /** The whole value of the Authorization field. */
    readonly auth_header: string | null
    readonly timeout_secs: number
    /** PEM file of the authorities to trust; null: the public ones. */
    readonly ca: string | null
    /** File of records that the collector refused for good. */
    readonly dead_letter_path: string
  } | null
  readonly syslog: {
    readonly target: Address
    readonly transport: 'udp' | 'tcp' | 'tls'
    /** PEM file of the authorities to trust; null: the public ones. */
    readonly ca: string | null
  } | null
}

export interface HepConfig {
  /** The host may be a name. */
  readonly endpoint: Address
  readonly version: 3
  readonly transport: 'udp' | 'tcp' | 'tls'
  /** Node name, chunk 19. */
  readonly agent_id: string
  /** Chunk 12, u32. */
  readonly capture_id: number
  readonly auth_key: string | null
  readonly ca_cert: string | null
  readonly tls_server_name: string | null
}
