/** Transport protocols as RFC 3261 §20.42 and RFC 7118 name them, in lower case. */
export type Protocol = 'udp' | 'tcp' | 'tls' | 'ws' | 'wss'

/** An IP address (IPv6 without brackets) and a port. Never a host name. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** Which way a message went: plain data, safe to keep and to send to another thread. */
export interface Path {
  readonly protocol: Protocol
  readonly local: Address
  readonly remote: Address
}

/** `host:port`, with brackets around an IPv6 address (RFC 3261 §25.1, hostport). */
export function formatAddress(a: Address): string {
  return a.host.includes(':') ? `[${a.host}]:${a.port}` : `${a.host}:${a.port}`
}
