import type { Protocol } from './address.ts'

/** What a URI, or a Via's sent-by, says of where it leads (RFC 3263 §4). */
export interface Hop {
  /** A name or an IP address, IPv6 without brackets: the TARGET of RFC 3263 §4. */
  readonly host: string
  /** Null when not written. */
  readonly port: number | null
  /** Null when not written: to be found out. */
  readonly protocol: Protocol | null
  /** A sips URI: TLS all the way. */
  readonly secure: boolean
}

/** A place to send to. */
export interface HopTarget {
  readonly protocol: Protocol
  /** An IP address, IPv6 without brackets. */
  readonly host: string
  readonly port: number
}

export type Found =
  /** At least one, the first to be tried first. */
  | { readonly ok: true; readonly targets: readonly HopTarget[] }
  /** `none`: the name has no address. `failed`: nobody could be asked in time. */
  | { readonly ok: false; readonly why: 'none' | 'failed' }

/** Finds where a hop leads. Calls back once: at once for an IP address and for what is remembered. */
export interface NextHops {
  find(hop: Hop, then: (found: Found) => void): void
}

/** 5061 over TLS, else 5060 (RFC 3261 §19.1.2). */
export function defaultPort(protocol: Protocol): number {
  return protocol === 'tls' || protocol === 'wss' ? 5061 : 5060
}
