/**
 * What the admin API asks of the server, and the only way it can. The composition root implements it over the engine.
 * Texts are what people read (decoded), names are those of the JSON bodies. A promise that takes longer than
 * five seconds is answered with 503: the API never waits for a stuck engine.
 */
export interface AdminPort {
  /** Must be answered without the engine: it is what tells that the engine is stuck. */
  health(): { readonly engineTickedMsAgo: number; readonly uptimeSeconds: number }
  /** `draining` from SIGTERM on. */
  ready(): 'starting' | 'ready' | 'draining'
  /** Levels and totals, `registrations_active` among them; `uptime_seconds` is added. */
  stats(): Promise<Stats>
  /** Contacts in an order that stays while pages are read; at most `limit`, from `cursor` (null: the first). */
  registrations(page: PageRequest): Promise<Page<RegisteredContact>>
  /** `aor` in any spelling: with or without scheme, host in any case. Null when it has no contact. */
  registration(
    aor: string,
  ): Promise<{ readonly aor: string; readonly contacts: readonly RegisteredContact[] } | null>
  /** The canonical address-of-record whose bindings were removed; null when there were none. */
  removeRegistration(aor: string): Promise<string | null>
  /** Live calls, as `registrations`. */
  calls(page: PageRequest): Promise<Page<LiveCall>>
  /** Bans in force, the oldest first; pages as `registrations`. */
  bans(page: PageRequest): Promise<Page<BannedSource>>
  /** `ip`: an address or a source as `bans` names it. The source that may send again; null when it was not banned. */
  liftBan(ip: string): Promise<string | null>
  /** Every group of gateways with its destinations. */
  gateways(): Promise<readonly GatewayGroup[]>
  /** By name or URI. A `down` holds until an `up`; `up` also forgets what probes and calls have said. */
  markGateway(
    group: string,
    destination: string,
    to: 'up' | 'down',
  ): Promise<{ readonly destination: string } | { readonly unknown: 'group' | 'destination' }>
  /** `proxied`: a proxy is no party of the call and cannot end it. */
  hangUp(id: string): Promise<'hung_up' | 'not_found' | 'proxied'>
}

export interface PageRequest {
  /** From 1. */
  readonly limit: number
  /** The `next` of the page before: a number, of registrations two with a dot between. Null: the first page. */
  readonly cursor: string | null
}

export interface Page<T> {
  readonly items: readonly T[]
  /** Null on the last page. */
  readonly next: string | null
}

export interface Stats {
  readonly registrations_active: number
  readonly [name: string]: number
}

export interface RegisteredContact {
  readonly aor: string
  readonly uri: string
  /** 0 … 1. */
  readonly q: number
  /** Whole seconds. */
  readonly expires_remaining: number
  /** `ip:port` the REGISTER came from. */
  readonly received: string | null
  readonly user_agent: string | null
  /** `urn:uuid:…` of the device, and the flow among those it has (RFC 5626). */
  readonly instance?: string
  readonly reg_id?: number
  /** Topmost first (RFC 3327). */
  readonly path?: readonly string[]
}

export interface BannedSource {
  /** An IPv4 address, or an IPv6 /64. */
  readonly ip: string
  /** `rate_limit`, `failed_auth`, or a script's own words. */
  readonly reason: string
  /** RFC 3339. */
  readonly since: string
  /** Whole seconds. */
  readonly expires_remaining: number
  /** The weights that led to the ban; 0 for other reasons. */
  readonly score: number
  /** Messages and connections refused since. */
  readonly drops: number
}

export interface GatewayGroup {
  readonly name: string
  readonly algorithm: string
  /** How many of `total` destinations may be chosen now. */
  readonly up: number
  readonly total: number
  readonly failure_threshold: number
  readonly destinations: readonly GatewayDestination[]
}

export interface GatewayDestination {
  readonly name: string
  readonly uri: string
  /** `host:port` it is reached at, where that was given besides the URI. */
  readonly address: string | null
  /** `UDP`, `TCP` …; null where DNS decides it. */
  readonly transport: string | null
  /** Whether it may be chosen now. */
  readonly healthy: boolean
  readonly state: 'up' | 'manual_down' | 'held' | 'probes_failed' | 'circuit_open'
  /** Probes missed in a row. */
  readonly checks_missed: number
  /** The same, under the name it had first. */
  readonly consecutive_failures: number
  /** Calls failed in a row. */
  readonly calls_failed: number
  readonly weight: number
  readonly priority: number
  readonly attrs: Readonly<Record<string, string>>
}

export interface LiveCall {
  readonly id: string
  readonly call_id: string
  readonly kind: 'proxy' | 'b2bua'
  readonly state: 'calling' | 'ringing' | 'answered'
  /** From URI. */
  readonly a_party: string
  /** Request-URI that it last went to, or that answered; null while it went nowhere. */
  readonly b_party: string | null
  readonly since_seconds: number
}
