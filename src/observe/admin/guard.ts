import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { Address } from '../../base/address.ts'
import { isLoopback } from '../../base/loopback.ts'

const MAX_PATH = 2048

/** Why a request is refused before it is looked at. */
export interface Refusal {
  readonly status: number
  readonly detail: string
  readonly headers: Readonly<Record<string, string>>
}

export interface GuardOptions {
  readonly listen: Address
  readonly token: string | null
  readonly protectReads: boolean
}

const OPEN = new Set(['/admin/health', '/admin/ready'])
/** Behind these a slash may be part of a name: of a user, of an IPv6 network. */
const WITH_PARAMETERS = /^\/admin\/(?:registrations|bans|gateways)\//
const READS = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Says what is wrong with a request's path, method, host or token; null when it may pass. */
export function createGuard(options: GuardOptions): (req: IncomingMessage) => Refusal | null {
  const expected = options.token === null ? null : digest(options.token)
  // A page in a browser on this machine can reach loopback under its own name (DNS rebinding), where no token stops it.
  const checkHost = expected === null && isLoopback(options.listen.host)
  return (req) => {
    const method = req.method ?? ''
    const path = pathOf(req.url ?? '')
    const wrong = pathFault(path)
    if (wrong !== null) return wrong
    if (method === 'TRACE' || method === 'CONNECT')
      return refusal(405, `${method} is not served.`, { allow: 'GET, HEAD, DELETE' })
    if (checkHost && !isLocalName(req.headers.host)) {
      return refusal(
        403,
        'Without a token this port answers to IP addresses and localhost only; check the Host field.',
      )
    }
    if (checkHost && !READS.has(method) && req.headers.origin !== undefined) {
      return refusal(403, 'Without a token this port takes no changes from web pages.')
    }
    if (expected === null) return null
    if (READS.has(method) && (!options.protectReads || method === 'OPTIONS' || OPEN.has(path))) return null
    if (matches(req.headers.authorization, expected)) return null
    return refusal(401, 'Send the token of admin.auth.token as Authorization: Bearer.', {
      'www-authenticate': 'Bearer',
    })
  }
}

export function pathOf(url: string): string {
  const end = url.indexOf('?')
  return end < 0 ? url : url.slice(0, end)
}

/** Paths are taken as they are, so everything that some other program might read differently is refused. */
function pathFault(path: string): Refusal | null {
  if (path.length > MAX_PATH) return refusal(414, `The path is longer than ${MAX_PATH} characters.`)
  if (!path.startsWith('/')) return refusal(400, 'The request target is not a path.')
  // Also as somebody reads it who decodes slashes first, no path may be another one than it is here.
  const decoded = WITH_PARAMETERS.test(path) ? path.replace(/%2f/gi, '/') : path
  if (decoded.includes('//') || decoded.includes('\\') || /%(?:2f|5c|00)/i.test(decoded)) {
    return refusal(400, 'The path has an empty segment, or an encoded slash, backslash or NUL.')
  }
  if (/\/(?:\.|%2e){1,2}(?:\/|$)/i.test(decoded)) return refusal(400, 'The path has a . or .. segment.')
  return null
}

function isLocalName(host: string | undefined): boolean {
  if (host === undefined) return true
  const name = host.replace(/:\d+$/, '')
  return name.toLowerCase() === 'localhost' || isIP(name.replace(/^\[|\]$/g, '')) !== 0
}

function matches(authorization: string | undefined, expected: Buffer): boolean {
  const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
  // Digests have one length, so that neither the time nor a thrown error tells how long the token is.
  return timingSafeEqual(digest(given ?? ''), expected) && given !== undefined
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'latin1').digest()
}

function refusal(status: number, detail: string, headers: Record<string, string> = {}): Refusal {
  return { status, detail, headers }
}
