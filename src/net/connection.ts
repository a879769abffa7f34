import type { Address } from '../base/address.ts'

/** Bytes that may wait for a peer that does not read; past it the connection is cut, and nobody else waits (RFC 3261 §18). */
export const SEND_LIMIT_BYTES = 1 << 20

/** How long a peer may take to let us connect, its handshakes included, ms. */
export const CONNECT_TIMEOUT_MS = 5_000

/** One open connection, whatever it is made of: TCP, TLS, or a WebSocket over either. */
export interface Connection {
  /** Our end and the peer's. Behind a load balancer that speaks PROXY the remote one is the client's. */
  readonly local: Address
  readonly remote: Address
  /** Nothing can be sent any more. */
  readonly closed: boolean
  /** Asks the peer for a sign of life, which `onAlive` hears; null where the transport has no such thing. */
  readonly ping: (() => void) | null
  /** False when the connection is gone, or is cut now because more than `SEND_LIMIT_BYTES` would wait. */
  send(bytes: Uint8Array): boolean
  /** The peer has shown a certificate, and it was verified. */
  readonly authenticated: boolean
  /** Sends what is queued, then closes. */
  end(): void
  destroy(why?: string | null): void
  /** Nothing more is read, and after a while the peer cannot send, until `resume`. Doing either twice does nothing. */
  pause(): void
  resume(): void
  /** Whether the peer's verified certificate is for this host name or address. False without TLS. */
  proves(name: string): boolean
}

export interface ConnectionListener {
  /** Of a stream any part; of a WebSocket one whole message. The bytes are valid during the call. */
  onBytes(connection: Connection, bytes: Buffer): void
  /** The peer of a stream sends no more. True: the connection is kept, because an answer is owed. */
  onPeerEnded(connection: Connection): boolean
  /** The peer has answered a ping. */
  onAlive(connection: Connection): void
  /** A message of a WebSocket is longer than any may be: it is not read, and the connection ends. */
  onTooLong(connection: Connection): void
  /** Once, with why: null for an orderly end. */
  onClosed(connection: Connection, error: string | null): void
}

/** The outcome of a connect or of a handshake. */
export type Opened = { readonly connection: Connection } | { readonly failed: string }
