import type { Request } from '../message/message.ts'
import { parseNameAddr } from '../message/name-addr.ts'
import { formatUri, isSipUri, parseUri } from '../message/uri.ts'
import { routeUri } from './preprocess.ts'
import { hopsLeft } from './validate.ts'

/** A copy that is ready but for its Via and Record-Route, which depend on where it leaves. */
export interface Forwarding {
  readonly request: Request
  /** The URI to locate (§16.6 step 7). */
  readonly nextHop: string
}

/**
 * RFC 3261 §16.6 steps 1 to 3 and 6, on a copy.
 * @param target the new Request-URI; null leaves it
 * @param nextHop where to send it whatever the Route set says; null follows the Route set, then the Request-URI
 * @param routes to go through before the Route set: the Path of a registered contact (RFC 3327 §5.5)
 */
export function forward(
  original: Request,
  target: string | null,
  nextHop: string | null,
  routes: readonly string[] = [],
): Forwarding {
  const request = original.clone()
  if (target !== null) request.uri = requestUri(target)
  for (const route of routes.toReversed()) request.headers.prepend('Route', route)
  return { request, nextHop: advance(request, nextHop) }
}

/** As `forward` on the request itself: for an ACK, which nobody needs again. Gives the next hop. */
export function advance(request: Request, nextHop: string | null = null): string {
  request.headers.replaceFirst('max-forwards', String(hopsLeft(request) - 1))
  if (nextHop !== null) return nextHop
  const route = request.headers.first('route')
  if (route === undefined) return request.uri
  const uri = routeUri(route)
  if (uri === null || uri.params.has('lr')) return uri === null ? route : formatUri(uri)
  // §16.6 step 6: the next hop is a strict router. It wants its own URI there, and ours to come last.
  request.headers.append('Route', `<${request.uri}>`)
  request.headers.removeFirst('route')
  request.uri = formatUri(uri)
  return request.uri
}

/** §16.6 steps 4 and 8: the last things before it leaves. */
export function stamp(request: Request, via: string, recordRoutes: readonly string[]): void {
  for (const value of recordRoutes) request.headers.prepend('Record-Route', value)
  request.headers.prepend('Via', via)
}

/** What may stand in a Request-URI (§19.1.1 table 1): a contact's header fields and method may not. */
function requestUri(target: string): string {
  const address = target.includes('<') ? parseNameAddr(target) : null
  const text = address?.ok ? address.value.uri : target
  if (!text.includes('?') && !text.includes(';method=')) return text
  const parsed = parseUri(text)
  if (!parsed.ok || !isSipUri(parsed.value)) return text
  const params = parsed.value.params.clone()
  params.delete('method')
  return formatUri({ ...parsed.value, params, headers: null })
}
