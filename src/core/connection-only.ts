import type { Flow } from '../stack/transport.ts'

/**
 * Whether a URI can be reached only over a connection that its owner keeps open: a browser listens nowhere (RFC 7118
 * §5), and the names it makes up end in `.invalid` (RFC 6761 §6.4). Without that connection there is nothing to resolve
 * and nothing to dial. Looks at the text alone: this is asked for every request.
 */
export function needsItsConnection(uri: string): boolean {
  return NOWHERE.test(uri)
}

const NOWHERE = /\.invalid(?:[:;>?]|$)|;transport=wss?(?:[;>?]|$)/i

/** A contact as it was registered: phones that ask for outbound add `ob` in their dialogs (RFC 5626 §4.3). */
export function asRegistered(uri: string): string | null {
  return uri.endsWith(';ob') ? uri.slice(0, -3) : null
}

/** A sips URI is reached over TLS alone (RFC 3261 §26.2.2). */
export function fits(uri: string, { path }: Flow): boolean {
  return !uri.startsWith('sips:') || path.protocol === 'tls' || path.protocol === 'wss'
}
