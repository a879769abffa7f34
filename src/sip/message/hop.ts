import { isSipUri, parseUri } from './uri.ts'

/**
 * A next hop: where `uri` leads, unless there is an address for it; over `transport` when that is given.
 * @param address `host:port`
 */
export function hopUri(uri: string, address: string | null, transport: string | null): string {
  const scheme = /^sips:/i.test(uri) ? 'sips' : 'sip'
  const named = /;transport=([a-z]+)/i.exec(uri)?.[1] ?? null
  if (address !== null) {
    const by = transport ?? named
    return `${scheme}:${address}${by === null ? '' : `;transport=${by}`}`
  }
  if (transport === null) return uri
  return named === null
    ? `${uri};transport=${transport}`
    : uri.replace(/;transport=[a-z]+/i, `;transport=${transport}`)
}

/** The host of a SIP URI; null when it is none. */
export function uriHost(uri: string): string | null {
  const parsed = parseUri(uri)
  return parsed.ok && isSipUri(parsed.value) ? parsed.value.host : null
}
