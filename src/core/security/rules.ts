/** What `security` in siphon.yaml asks for. Plain data. Durations are milliseconds. */
export interface SecurityRules {
  /** Null: no limit. */
  readonly rateLimit: {
    /** Requests of one source in one window; the next one is one too many. */
    readonly maxRequests: number
    readonly windowMs: number
    readonly banMs: number
  } | null
  /** Pieces of a User-Agent, in any case. Null: none is looked at. */
  readonly scanners: readonly string[] | null
  readonly failedAuth: {
    /** Sum of weights in one window that bans. */
    readonly threshold: number
    readonly windowMs: number
    readonly banMs: number
    readonly strongWeight: number
  } | null
  /** CIDRs. Exempt from everything but `acl`. */
  readonly trusted: readonly string[]
  /** CIDRs. `deny` goes before `allow`; an `allow` with entries shuts everybody else out. */
  readonly acl: { readonly allow: readonly string[]; readonly deny: readonly string[] }
}

/** What a source did that a phone in good order does not. */
export type Signal =
  /** It was asked for credentials. A phone answers; the success takes the weight back. */
  | 'challenged'
  /** It sent credentials that are wrong, or a nonce that is forged or was used. */
  | 'bad_credentials'
  /** It never acknowledged the refusal of its INVITE (RFC 3261 §17.2.1, timer H). */
  | 'not_acknowledged'
  /** A TLS or WebSocket handshake that came to nothing. */
  | 'handshake'
  /** Bytes on a stream that no SIP message starts with. */
  | 'not_sip'
  /** A User-Agent of `scanner_block`. */
  | 'scanner'

/** Those that a phone never does by accident. Over UDP they weigh 1: anybody can send them in another's name. */
export const STRONG: ReadonlySet<Signal> = new Set(['bad_credentials', 'not_sip', 'scanner'])

/** Scanners that give their names away. Each is a piece of the User-Agent, in lower case. */
export const KNOWN_SCANNERS: readonly string[] = [
  'friendly-scanner',
  'friendly-request',
  'sipvicious',
  'sipcli',
  'sip-scan',
  'sipscan',
  'sipsak-scan',
  'sundayddr',
  'iwar',
  'sivus',
  'gulp',
  'smap',
  'vaxsipuseragent',
  'vaxipuseragent',
  'siparmyknife',
  'sipbomber',
  'nmap nse',
  'pplsip',
  'mr.sip',
  'metasploit',
]
