/** Which names are this element's, as far as routing is concerned (RFC 3261 §16.4). */
export interface Own {
  /** Host (lower case, IPv6 without brackets) and port of a listening point, or what is advertised for one; null is the default port. */
  isOurs(host: string, port: number | null): boolean
  /** A domain this server is responsible for. */
  isLocalDomain(host: string): boolean
}

/** Whether a URI's host and port lead here: a listening point, or a local domain at the default port. */
export function leadsHere(own: Own, host: string, port: number | null): boolean {
  return own.isOurs(host, port) || ((port === null || port === 5060) && own.isLocalDomain(host))
}
