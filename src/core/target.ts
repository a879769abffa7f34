import { isIP } from 'node:net'
import type { Protocol } from '../base/address.ts'
import type { Hop, NextHops } from '../base/next-hop.ts'
import { isSipUri, parseUri, type SipUri } from '../sip/message/uri.ts'
import type { Target } from '../stack/transport.ts'

export type Resolver = NextHops

export type Located =
  /** At least one target, the first to be tried first; `target` is that one. */
  | { readonly ok: true; readonly target: Target; readonly targets: readonly Target[] }
  /** 416: a scheme we cannot reach. 400: no URI. 404: no address for the name. 503: nobody could be asked in time. */
  | { readonly ok: false; readonly status: 400 | 404 | 416 | 503; readonly what: string }

const PROTOCOLS: Readonly<Record<string, Protocol>> = {
  udp: 'udp',
  tcp: 'tcp',
  tls: 'tls',
  ws: 'ws',
  wss: 'wss',
}

/**
 * Where a URI leads (RFC 3263 §4). An IP literal is answered at once, a name when `resolver` is through. `text` is a
 * URI or, as scripts may say, `host:port`.
 */
export function locate(text: string, resolver: Resolver, then: (located: Located) => void): void {
  const uri = sipUriOf(text)
  if (uri === null) return then({ ok: false, status: schemeStatus(text), what: 'not a SIP URI' })
  const hop = hopOf(uri)
  if (hop === null) return then({ ok: false, status: 416, what: 'an unknown transport parameter' })
  return resolver.find(hop, (found) => {
    const targets = found.ok ? found.targets.map((target) => named(target, uri)) : []
    const [target] = targets
    if (target !== undefined) then({ ok: true, target, targets })
    else if (!found.ok && found.why === 'failed') {
      then({ ok: false, status: 503, what: `no name server could say where ${hop.host} is` })
    } else then({ ok: false, status: 404, what: `no address for ${hop.host}` })
  })
}

/** What a URI is reached over, as far as it says so itself (RFC 3263 §4.1); null: the DNS decides, or we do not speak it. */
export function protocolOf(text: string): Protocol | null {
  const uri = sipUriOf(text)
  const hop = uri === null ? null : hopOf(uri)
  if (hop === null || hop.protocol !== null) return hop?.protocol ?? null
  if (hop.secure) return 'tls'
  return hop.port !== null || isIP(hop.host) !== 0 ? 'udp' : null
}

/** RFC 5922 §4: the certificate must name the domain of the URI, whatever address stands for it. */
function named(target: Target, { host }: SipUri): Target {
  return target.protocol === 'tls' ? { ...target, name: host } : target
}

/** RFC 3263 §4: maddr is the target where there is one. Null: a transport we do not know. */
function hopOf(uri: SipUri): Hop | null {
  const secure = uri.scheme === 'sips'
  const maddr = uri.params.get('maddr')
  const host = maddr === undefined && !uri.host.endsWith('.') ? uri.host : plain(maddr ?? uri.host)
  const named = uri.params.get('transport')
  if (named === undefined) return { host, port: uri.port, protocol: null, secure }
  const protocol = PROTOCOLS[named.toLowerCase()]
  if (protocol === undefined) return null
  return { host, port: uri.port, protocol: secure ? secured(protocol) : protocol, secure }
}

/** A parsed host is in lower case and without brackets; a maddr is as somebody wrote it, and either may end in the root's dot. */
function plain(host: string): string {
  return host.toLowerCase().replace(/^\[|\]$|\.$/g, '')
}

/** RFC 3261 §26.2.2: a sips URI asks for TLS, whatever runs over it. */
function secured(protocol: Protocol): Protocol {
  return protocol === 'ws' || protocol === 'wss' ? 'wss' : 'tls'
}

function sipUriOf(text: string): SipUri | null {
  const parsed = parseUri(text)
  if (parsed.ok && isSipUri(parsed.value)) return parsed.value
  // `10.0.0.1:5060` and `gw.example.net:5060`, which has the form of an URI with a strange scheme.
  const bare = parseUri(`sip:${text}`)
  return bare.ok && isSipUri(bare.value) && bare.value.user === null ? bare.value : null
}

function schemeStatus(text: string): 400 | 416 {
  return /^[a-z][a-z0-9+.-]*:/i.test(text) && !/^sips?:/i.test(text) ? 416 : 400
}
