import { formatAddress, type Address } from '../base/address.ts'

const WORDS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is taken by another program: end that, or choose another port',
  EADDRNOTAVAIL: 'is not an address of this machine',
  EACCES: 'may not be used without privileges: choose a port above 1023, or give CAP_NET_BIND_SERVICE',
}

/** One line for the operator about a listener that cannot be had. @param key of the configuration: `listen.udp` */
export function listenFault(key: string, address: Address, error: unknown): string {
  const code = (error as { readonly code?: unknown } | null)?.code
  const known = typeof code === 'string' ? WORDS[code] : undefined
  const why = error instanceof Error ? error.message : String(error)
  return `${key}: ${formatAddress(address)} ${known ?? `cannot be had: ${why}`}`
}
