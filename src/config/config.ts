import type { Address } from '../base/address.ts'
import type { UserSecret } from './blocks/auth.ts'

/**
 * What `siphon.yaml` says, complete: every default filled in, every path absolute, every variable expanded.
 * Keys are those of the file. Plain data: it can be sent to another thread.
 */
export interface Config {
  /** Absolute path of the file itself. */
  readonly file: string
  readonly listen: ListenConfig
  /** Null: TLS only as a client, towards servers with certificates of the public authorities. */
  readonly tls: TlsConfig | null
  /** Lower case. */
  readonly domain: { readonly local: readonly string[] }
  readonly script: ScriptConfig
  readonly registrar: RegistrarConfig
  readonly auth: AuthConfig
  readonly nat: NatConfig
  readonly transaction: {
    /** Timer C, seconds (RFC 3261 §16.6 step 11). */
    readonly timer_c_secs: number
  }
  readonly gateway: { readonly groups: readonly GatewayGroupConfig[] }
  readonly cache: readonly CacheConfig[]
  readonly security: SecurityConfig
  readonly dns: DnsConfig
  readonly metrics: {
    /** Null: no listener of its own. */
    readonly prometheus: { readonly listen: Address; readonly path: string } | null
    /** Label sets of one metric of a script; further ones go to the overflow series. */
    readonly max_series: number
  }
  /** Null: no admin API. */
  readonly admin: AdminConfig | null
  readonly cdr: CdrConfig
  readonly tracing: { readonly hep: HepConfig | null }
  /** Null: no media engine. */
  readonly media: MediaConfig | null
  readonly server: {
    readonly instance_id: string
    /** Longest drain, seconds; calls that live on then are cut off. */
    readonly drain_secs: number
    /** From SIGTERM until new dialogs are refused, seconds. */
    readonly lame_duck_secs: number
  }
  readonly log: { readonly level: LogLevel; readonly format: 'pretty' | 'json' }
}

export interface MediaConfig {
  /** At least one. */
  readonly instances: readonly {
    readonly address: Address
    readonly timeout_ms: number
    readonly weight: number
  }[]
  /** 0: no regular pings. */
  readonly health_check_interval_secs: number
  /** Session name of SDP that leaves; null: unchanged. */
  readonly sdp_name: string | null
  /** The operator's own, by name. */
  readonly profiles: Readonly<
    Record<string, { readonly offer: MediaSideConfig; readonly answer: MediaSideConfig }>
  >
}

/** What one side of a call must see. Null and empty lists say nothing. */
export interface MediaSideConfig {
  readonly transport_protocol: string | null
  readonly ice: string | null
  readonly dtls: string | null
  readonly sdes: readonly string[]
  readonly replace: readonly string[]
  readonly flags: readonly string[]
  readonly direction: readonly string[]
  readonly address_family: string | null
  readonly rtcp_mux: readonly string[]
  readonly record_call: boolean
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface ListenAddress extends Address {
  /** What peers are told instead (Via, Record-Route, HEP): a host name or IP, and a port when it differs. */
  readonly advertise: { readonly host: string; readonly port: number | null } | null
}

export interface StreamListenAddress extends ListenAddress {
  /** Each connection begins with a PROXY v2 header, and only those from `proxy_protocol_from` may. */
  readonly proxy_protocol: boolean
}

export interface ListenConfig {
  readonly udp: readonly ListenAddress[]
  readonly tcp: readonly StreamListenAddress[]
  readonly tls: readonly StreamListenAddress[]
  readonly ws: readonly StreamListenAddress[]
  readonly wss: readonly StreamListenAddress[]
  /** Path MTU, bytes: requests larger than this less 200 go by TCP (RFC 3261 §18.1.1). 0: none do. */
  readonly mtu: number
  /** Networks of the load balancers. */
  readonly proxy_protocol_from: readonly string[]
}

/** PEM files, absolute. */
export interface TlsConfig {
  readonly certificate: string | null
  readonly private_key: string | null
  readonly method: 'TLSv1_2' | 'TLSv1_3'
  readonly certificates: readonly {
    /** Lower case; `*.example.com` covers one label. */
    readonly server_name: readonly string[]
    readonly certificate: string
    readonly private_key: string
  }[]
  readonly verify_client: boolean
  readonly client_ca: string | null
  readonly client_certificate: string | null
  readonly client_private_key: string | null
  readonly ca: string | null
  readonly verify_server: boolean
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
  readonly backend: 'memory' | 'sqlite'
  readonly sqlite: { readonly path: string }
  /** Seconds, all three. min ≤ default ≤ max. */
  readonly default_expires: number
  readonly min_expires: number
  readonly max_expires: number
  readonly max_contacts: number
  /** 403 for a user who registers another's address-of-record. */
  readonly enforce_auth_aor_match: boolean
  readonly path: 'strict' | 'lenient'
  /** In angle brackets. */
  readonly service_route: readonly string[]
  /** Seconds; 0: not told. */
  readonly flow_timer_secs: number
  readonly max_subscriptions: number
  readonly secret: string | null
}

export interface NatConfig {
  readonly fix_contact: boolean
  readonly keepalive: {
    readonly enabled: boolean
    readonly method: 'crlf' | 'null' | 'options'
    /** Seconds. */
    readonly interval_secs: number
    readonly failure_threshold: number
  }
}

export interface AuthConfig {
  /** Null: nobody named one, and there is no domain. */
  readonly realm: string | null
  readonly backend: 'static' | 'http'
  readonly users: readonly (readonly [user: string, secret: UserSecret])[]
  readonly http: {
    readonly url: string
    readonly timeout_ms: number
    readonly connect_timeout_ms: number
    readonly ha1: boolean
    /** Seconds; 0: no cache. */
    readonly cache_ttl_secs: number
    readonly auth_header: string | null
  } | null
  /** At least one, most preferred first. */
  readonly algorithms: readonly DigestAlgorithmName[]
  readonly qop: readonly ('auth' | 'auth-int')[]
  readonly nonce_secret: string | null
  /** Seconds. */
  readonly nonce_ttl_secs: number
}

type HashName = 'MD5' | 'SHA-256' | 'SHA-512-256'
export type DigestAlgorithmName = HashName | `${HashName}-sess`

/** Durations in seconds. */
export interface SecurityConfig {
  readonly rate_limit: {
    readonly max_requests: number
    readonly window_secs: number
    readonly ban_duration_secs: number
  } | null
  /** Null pieces: the known scanners'. */
  readonly scanner_block: { readonly user_agents: readonly string[] | null } | null
  readonly failed_auth_ban: {
    readonly threshold: number
    readonly window_secs: number
    readonly ban_duration_secs: number
    readonly strong_signal_weight: number
  } | null
  /** Addresses and networks, as all lists here. */
  readonly trusted_cidrs: readonly string[]
  readonly acl: { readonly allow: readonly string[]; readonly deny: readonly string[] }
  readonly limits: {
    readonly max_message_bytes: number
    readonly max_header_bytes: number
    readonly max_headers: number
    readonly max_connections: number
    readonly max_connections_per_source: number
  }
}

/** All times in seconds. */
export interface DnsConfig {
  /** Empty: those of /etc/resolv.conf. */
  readonly servers: readonly Address[]
  /** For one server's answer. */
  readonly timeout_secs: number
  /** For one next hop, all questions together. */
  readonly deadline_secs: number
  /** How long a target may keep silent while there is another one; 0: as long as its transaction lives. */
  readonly attempt_secs: number
  /** How long a target that failed is tried last. */
  readonly avoid_secs: number
  readonly min_ttl_secs: number
  readonly max_ttl_secs: number
  readonly max_negative_ttl_secs: number
  /** How long an answer serves past its end while no server answers. */
  readonly max_stale_secs: number
  readonly cache_size: number
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
