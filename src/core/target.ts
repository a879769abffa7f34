import { isIP } from 'node:net'
import type { Protocol } from '../base/address.ts'
import { isSipUri, parseUri, type SipUri } from '../sip/message/uri.ts'
import type { Target } from '../stack/transport.ts'

/** Names to addresses; the addresses best first, none when there are none. May call back at once. */
export interface Resolver {
  resolve(host: string, then: (ips: readonly string[]) => void): void
}

export type Located =
  | { readonly ok: true; readonly target: Target }
  /** 416: a scheme we cannot reach. 400: no URI. 404: no address for the name. */
  | { readonly ok: false; readonly status: 400 | 404 | 416; readonly what: string }

const PROTOCOLS: Readonly<Record<string, Protocol>> = {
  udp: 'udp',
  tcp: 'tcp',
  tls: 'tls',
  ws: 'ws',
  wss: 'wss',
}

/**
 * Where a URI leads (RFC 3263 §4 without SRV and NAPTR). An IP literal is answered at once, a name when `resolver` is
 * through. `text` is a URI or, as scripts may say, `host:port`.
 */
export function locate(text: string, resolver: Resolver, then: (located: Located) => void): void {
  const uri = sipUriOf(text)
  if (uri === null) return then({ ok: false, status: schemeStatus(text), what: 'not a SIP URI' })
  const protocol = protocolOf(uri)
  if (protocol === null) return then({ ok: false, status: 416, what: 'an unknown transport parameter' })
  const port = uri.port ?? (protocol === 'tls' || protocol === 'wss' ? 5061 : 5060)
  const host = uri.params.get('maddr') ?? uri.host
  // RFC 5922 §4: the certificate must name the domain of the URI, whatever address stands for it.
  const name = protocol === 'tls' ? { name: uri.host } : {}
  if (isIP(host) !== 0) return then({ ok: true, target: { protocol, host, port, ...name } })
  return resolver.resolve(host, ([ip]) => {
    if (ip === undefined) then({ ok: false, status: 404, what: `no address for ${host}` })
    else then({ ok: true, target: { protocol, host: ip, port, ...name } })
  })
}

function sipUriOf(text: string): SipUri | null {
  const parsed = parseUri(text)
  if (parsed.ok && isSipUri(parsed.value)) return parsed.value
  // `10.0.0.1:5060` and `gw.example.net:5060`, which has the form of an URI with a strange scheme.
  const bare = parseUri(`sip:${text}`)
  return bare.ok && isSipUri(bare.value) && bare.value.user === null ? bare.value : null
}

function protocolOf(uri: SipUri): Protocol | null {
  const named = uri.params.get('transport')
  if (named === undefined) return uri.scheme === 'sips' ? 'tls' : 'udp'
  const protocol = PROTOCOLS[named.toLowerCase()] ?? null
  if (uri.scheme !== 'sips') return protocol
  return protocol === 'ws' || protocol === 'wss' ? 'wss' : 'tls'
}

function schemeStatus(text: string): 400 | 416 {
  return /^[a-z][a-z0-9+.-]*:/i.test(text) && !/^sips?:/i.test(text) ? 416 : 400
}
