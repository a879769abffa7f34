import type { Request } from '../message/message.ts'
import { parseNameAddr } from '../message/name-addr.ts'
import { formatUri, isSipUri, parseUri, type SipUri } from '../message/uri.ts'
import { leadsHere, type Own } from './own.ts'

export interface Preprocessed {
  /** A Route of ours was consumed: the request follows a route this element put there. */
  readonly consumed: boolean
  /** The user part of that Route; of a pair, of the one that leads on. A flow token, when we put it there (RFC 5626 §5.2). */
  readonly user: string | null
}

/**
 * Route information preprocessing, RFC 3261 §16.4, in place: undoes what a strict router did, strips our maddr,
 * and pops the Route values that name us.
 */
export function preprocess(request: Request, own: Own): Preprocessed {
  let consumed = false
  if (request.uri.includes('lr') && isOwnRouteUri(request.uri, own)) consumed = undoStrictRouting(request)
  if (request.uri.includes('maddr')) stripMaddr(request, own)
  const popped = popOwnRoutes(request, own)
  return popped === null ? { consumed, user: null } : { consumed: true, user: popped.user }
}

/** The URI of a Route value, or null when the value is malformed. */
export function routeUri(value: string): SipUri | null {
  const address = parseNameAddr(value)
  if (!address.ok) return null
  return sipUri(address.value.uri)
}

function sipUri(text: string): SipUri | null {
  const parsed = parseUri(text)
  return parsed.ok && isSipUri(parsed.value) ? parsed.value : null
}

/** What we put into Record-Route has no user and an lr. */
function isOwnRouteUri(text: string, own: Own): boolean {
  const uri = sipUri(text)
  return uri !== null && uri.user === null && uri.params.has('lr') && leadsHere(own, uri.host, uri.port)
}

/** The hop before took our Record-Route for the Request-URI: the true one is the last Route value. */
function undoStrictRouting(request: Request): boolean {
  const routes = request.headers.all('route')
  const last = routes.pop()
  if (last === undefined) return false
  const address = parseNameAddr(last)
  if (!address.ok) return false
  request.uri = address.value.uri
  request.headers.remove('route')
  for (const route of routes) request.headers.append('Route', route)
  return true
}

/** §16.4: a maddr that is ours has done its work, with the port and transport that belong to it. */
function stripMaddr(request: Request, own: Own): void {
  const uri = sipUri(request.uri)
  const maddr = uri?.params.get('maddr')
  if (uri === null || maddr === undefined || !own.isOurs(maddr.toLowerCase(), uri.port)) return
  const params = uri.params.clone()
  params.delete('maddr')
  params.delete('transport')
  request.uri = formatUri({ ...uri, port: null, params })
}

/** One of ours, or the pair that one pass through us with a change of transport put there (RFC 5658 §4). */
function popOwnRoutes(request: Request, own: Own): SipUri | null {
  const top = ownTopRoute(request, own)
  if (top === null) return null
  request.headers.removeFirst('route')
  const second = top.params.has('r2') ? ownTopRoute(request, own) : null
  if (second?.params.has('r2') !== true) return top
  request.headers.removeFirst('route')
  return second
}

function ownTopRoute(request: Request, own: Own): SipUri | null {
  const value = request.headers.first('route')
  if (value === undefined) return null
  const uri = routeUri(value)
  return uri !== null && leadsHere(own, uri.host, uri.port) ? uri : null
}
