import type { Address } from '../base/address.ts'
import type { GatewayGroupRow } from '../core/gateway/gateways.ts'
import type { SecurityRules } from '../core/security/rules.ts'
import type { FailoverTimes } from '../core/next-targets.ts'
import type { ContactRow } from '../core/contact-listing.ts'
import type { MetricsMessage } from '../metrics/messages.ts'
import type { MetricsShared } from '../metrics/shared.ts'
import type { CacheLimits } from '../net/dns/cache.ts'
import type { SystemNames } from '../net/dns/system.ts'
import type { ControlMessage, HostMessage } from '../script/conversation.ts'
import type { ListenerOptions, TransportLimits } from '../stack/transport-layer.ts'
import type { MediaStart } from './media-settings.ts'
import type { BindingRow } from '../spine/bindings.ts'
import type { StreamProtocol } from '../net/accept.ts'
import type { TlsMaterial } from '../net/tls.ts'
import type { Batch } from './outbox.ts'
import type { OutgoingStart } from './outgoing.ts'

/** What the control thread and the engine thread say to each other. */

/** With what the engine is started: plain data, copied at the start of its thread. */
export interface EngineStart {
  readonly listeners: readonly ListenerOptions[]
  readonly domains: readonly string[]
  readonly registrar: {
    readonly defaultExpires: number
    readonly minExpires: number
    readonly maxExpires: number
    readonly maxContacts: number
    readonly lenientPath: boolean
    readonly serviceRoute: readonly string[]
    readonly flowTimerSecs: number
    readonly maxSubscriptions: number
    readonly fixNat: boolean
    /** Signs flow tokens and temporary GRUUs. */
    readonly secret: Uint8Array
    /** Changes of bindings are handed to the control thread, which keeps them. */
    readonly persistent: boolean
    /** Null: no pings. */
    readonly keepAlive: {
      readonly method: 'crlf' | 'null' | 'options'
      readonly intervalMs: number
      readonly failureThreshold: number
    } | null
  }
  readonly enforceAuthAorMatch: boolean
  readonly script: {
    readonly poolSize: number
    readonly poolMax: number
    readonly queueCapacity: number
    readonly handlerTimeoutMs: number
    readonly handlersPerWorker: number
  }
  readonly timerCMs: number
  readonly outgoing: OutgoingStart
  /** The value of User-Agent in requests of our own. */
  readonly userAgent: string
  readonly security: SecurityRules
  readonly limits: TransportLimits
  readonly dns: DnsStart
  /** Longest request sent by UDP, bytes; null: whatever fits into a datagram. */
  readonly udpLimit: number | null
  /** Null without certificates: TLS only as a client. */
  readonly tls: TlsMaterial | null
  readonly cdr: {
    readonly enabled: boolean
    readonly autoEmit: boolean
    readonly includeRegister: boolean
    readonly includeChallenges: boolean
  }
  /** Null: no media engine. */
  readonly media: MediaStart | null
  readonly metrics: MetricsShared
  /** The ring of the HEP tap; null when nothing is traced. */
  readonly trace: SharedArrayBuffer | null
  /** One Float64: `processTime()` of the engine's last tick, 0 before the first. */
  readonly heartbeat: SharedArrayBuffer
}

/** How names become addresses, and what the machine says about them. Times in milliseconds unless named otherwise. */
export interface DnsStart {
  readonly servers: readonly Address[]
  readonly names: Pick<SystemNames, 'search' | 'ndots' | 'hosts'>
  readonly limits: CacheLimits
  readonly timeoutMs: number
  readonly deadlineMs: number
  readonly failover: FailoverTimes
}

/** Levels read from the tables when somebody asks. */
export interface EngineLevels {
  readonly transactions: {
    readonly inviteClient: number
    readonly inviteServer: number
    readonly nonInviteClient: number
    readonly nonInviteServer: number
  }
  readonly connections: Readonly<Record<StreamProtocol, number>>
  readonly proxyDialogSessions: number
  /** Legs of the back-to-back user agent of which something is left, and their dialogs that live. */
  readonly b2bua: { readonly calls: number; readonly legs: number; readonly dialogs: number }
  readonly callsActive: number
  /** Sources banned now. */
  readonly banned: number
  /** Answers of name servers remembered. */
  readonly dnsCacheEntries: number
  readonly cdrSessions: number
  readonly registrations: number
  /** Requests of our own that have no result yet. */
  readonly ownRequestsPending: number
  /** One-shot timers of the script. */
  readonly scriptTimers: number
  readonly caches: readonly { readonly name: string; readonly entries: number; readonly evicted: number }[]
  readonly gateways: readonly { readonly group: string; readonly destination: string; readonly up: boolean }[]
  /** Null: no media engine. */
  readonly media: {
    readonly sessions: number
    readonly instances: readonly (readonly [address: string, up: boolean])[]
  } | null
  readonly contacts: number
  readonly subscriptions: number
  readonly keptAlive: number
  readonly pool: {
    readonly size: number
    readonly max: number
    readonly inflight: number
    readonly queued: number
    readonly generation: number
  }
}

export interface BanRow {
  readonly source: string
  readonly reason: string
  /** Unix ms. */
  readonly since: number
  readonly expiresRemaining: number
  readonly score: number
  readonly drops: number
}

export interface CallRow {
  readonly id: string
  readonly callId: string
  readonly kind: 'proxy' | 'b2bua'
  readonly state: 'calling' | 'ringing' | 'answered'
  readonly fromUri: string
  readonly bParty: string | null
  readonly sinceSeconds: number
}

export type { ContactRow }

interface PageRequest {
  readonly cursor: string | null
  readonly limit: number
}

interface Rows<T> {
  readonly rows: readonly T[]
  /** The next page's cursor; null on the last. */
  readonly next: string | null
}

/** Questions and commands of the control thread, each answered once. */
export interface Questions {
  /** Opens every listener; refused with a text for the operator when one cannot be had. */
  listen: { ask: null; answer: readonly { readonly protocol: string; readonly address: Address }[] }
  /** Bindings of an earlier run, before `listen`; the answer is how many were put back. */
  restore: { ask: readonly BindingRow[]; answer: number }
  levels: { ask: null; answer: EngineLevels }
  registrations: {
    ask: PageRequest
    answer: Rows<ContactRow>
  }
  registration: {
    ask: string
    answer: { readonly aor: string; readonly contacts: readonly ContactRow[] } | null
  }
  removeRegistration: { ask: string; answer: string | null }
  calls: { ask: PageRequest; answer: Rows<CallRow> }
  gateways: { ask: null; answer: readonly GatewayGroupRow[] }
  /** Answers with the destination's name, or which of the two is not there. */
  markGateway: {
    ask: { readonly group: string; readonly destination: string; readonly to: 'up' | 'down' }
    answer: { readonly destination: string } | { readonly unknown: 'group' | 'destination' }
  }
  bans: { ask: PageRequest; answer: Rows<BanRow> }
  /** An address or a source as `bans` shows it. The source whose ban was lifted; null when there was none. */
  liftBan: { ask: string; answer: string | null }
  /** From now on new calls are refused. */
  refuseCalls: { ask: { readonly retryAfterSecs: number }; answer: null }
  /** New certificates; refused with why when they do not fit together, and the old ones serve on. */
  useTls: { ask: TlsMaterial; answer: null }
  /** Hangs up the call with this id; false: a proxied one. Null: there is none. */
  hangUp: { ask: string; answer: boolean | null }
  /** Hangs up every call of the back-to-back user agent; how many there were. */
  endCalls: { ask: null; answer: number }
  /** Calls, followed dialogs, and transactions that still await a final response or an ACK. */
  busy: { ask: null; answer: number }
  /** Cuts every open call's record and hands records over at once: the process is about to end. Nothing else is ended. */
  cutRecords: { ask: null; answer: null }
  /** Ends every call's record, stops listening, sends what is left to tell. */
  stop: { ask: null; answer: null }
}

export type Question = keyof Questions

export type ToEngine =
  | { readonly what: 'ask'; readonly id: number; readonly question: Question; readonly argument: unknown }
  | { readonly what: 'script'; readonly message: HostMessage }

export type FromEngine =
  | { readonly what: 'up' }
  | { readonly what: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly what: 'refused'; readonly id: number; readonly why: string }
  | { readonly what: 'facts'; readonly batch: Batch }
  | { readonly what: 'metrics'; readonly message: MetricsMessage }
  | { readonly what: 'pool'; readonly message: ControlMessage }
