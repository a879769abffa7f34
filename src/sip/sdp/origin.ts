/** The `o=` line (RFC 8866 §5.2). Numbers stay text: they have up to 64 bits. */
export interface Origin {
  readonly username: string
  readonly sessionId: string
  readonly version: string
  readonly netType: string
  readonly addressType: string
  readonly address: string
}

export function parseOrigin(text: string): Origin | undefined {
  const parts = text.split(' ')
  const [username, sessionId, version, netType, addressType, address] = parts
  if (address === undefined || parts.length !== 6) return undefined
  return {
    username: username ?? '',
    sessionId: sessionId ?? '',
    version: version ?? '',
    netType: netType ?? '',
    addressType: addressType ?? '',
    address,
  }
}

/** Of `IN IP4 192.0.2.1/127`, the address without its TTL; undefined when there is none. */
export function connectionAddress(text: string | undefined): string | undefined {
  return text === undefined ? undefined : /^\S+ \S+ ([^\s/]+)/.exec(text)?.[1]
}

/** The value of a `c=` line for this address. */
export function connectionOf(address: string): string {
  return `IN ${address.includes(':') ? 'IP6' : 'IP4'} ${address}`
}
