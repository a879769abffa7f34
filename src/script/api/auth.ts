import type { DigestAlgorithm } from '../../sip/auth/algorithm.ts'
import { namesUser } from '../../sip/auth/identity.ts'
import { type Kind, KINDS } from '../auth/authenticator.ts'
import { authState, question, type DigestOptions } from './auth-state.ts'
import { show } from './checks.ts'
import { ScriptCall } from './call.ts'
import { ScriptRequest } from './request.ts'
import { ScriptError } from './script-error.ts'
import { decodeText, encodeText } from './text.ts'
import { Verdict } from './verdict.ts'

export type { DigestAlgorithm, DigestOptions }

/** Who sent a request: the user has shown to know the password. */
export interface Authenticated {
  /** As it stands in the credentials: usually `alice`, with some phones `alice@example.com`. */
  readonly user: string
  readonly realm: string
}

export interface RequireOptions extends DigestOptions {
  /** 403 unless From names the user: `sip:alice@…` of a domain of ours for `alice`. Stops callers from borrowing identities. */
  readonly matchFrom?: boolean
  /** Leave the credentials on the request when it is forwarded. They are for us: unless told, they are taken off (§22.3). */
  readonly keepCredentials?: boolean
}

/** Whose sender is asked: a request of `proxy`, or the call of `b2bua.onInvite`. */
export type Asking = Pick<ScriptRequest, 'received' | 'proven' | 'spend' | 'demands' | 'fromUri' | 'authUser'>

/** What to do once the sender is known. */
export type Allowed = (who: Authenticated) => Verdict | Promise<Verdict>

export const auth = {
  /**
   * Goes on with `allowed` when the request proves who sent it, by digest (RFC 3261 §22.2, RFC 7616, RFC 8760); else asks for
   * credentials with 401. For what this server answers itself: REGISTER. Return what it gives:
   *
   *   return auth.requireDigest(request, (who) => registrar.save(request))
   *
   * There is no result that one could forget to look at. A handler that asks and ends with another verdict costs its request a
   * 500 and counts as `auth_ignored`.
   *
   * The answers are 401 (with `stale` for a nonce too old or used up), 400 (credentials that no password makes right), 403
   * (`matchFrom`), 503 (the users' backend cannot tell). On success `request.authUser` is set.
   * @throws ScriptError when no realm or no users are configured or given
   */
  requireDigest(request: Asking, allowed: Allowed, options: RequireOptions = {}): Promise<Verdict> {
    return require('user', request, allowed, options)
  },

  /** As `requireDigest`, with 407 and Proxy-Authorization (§22.3): for what is forwarded, calls above all. */
  requireProxyDigest(request: Asking, allowed: Allowed, options: RequireOptions = {}): Promise<Verdict> {
    return require('proxy', request, allowed, options)
  },

  /**
   * Who sent the request, when it says so with good credentials (Authorization, else Proxy-Authorization); undefined when it
   * does not, or when the users' backend cannot tell. Asks the sender nothing. On success `request.authUser` is set.
   */
  async verifyDigest(request: Asking, options: DigestOptions = {}): Promise<Authenticated | undefined> {
    checkRequest('verifyDigest', request)
    const { headers } = request.received
    const kind: Kind = headers.has('authorization') ? 'user' : 'proxy'
    if (!headers.has(KINDS[kind].answers.toLowerCase())) return undefined
    const made = await prove(request, kind, options)
    return made.ok ? made.who : undefined
  },
}

async function require(
  kind: Kind,
  request: Asking,
  allowed: Allowed,
  options: RequireOptions,
): Promise<Verdict> {
  const verb = kind === 'user' ? 'requireDigest' : 'requireProxyDigest'
  checkRequest(verb, request)
  if (typeof allowed !== 'function') {
    throw new ScriptError(`auth.${verb} needs a function that decides once the sender is known: (who) => …`)
  }
  // Before anything is awaited: who does not wait for it has been noted.
  const demand = request.demands.open()
  const made = await prove(request, kind, options)
  if (demand.over) return made.ok ? reply(500, []) : made.refusal
  const verdict = made.ok ? await admit(request, made.who, allowed, kind, options) : made.refusal
  if (Verdict.valueOf(verdict) === undefined) {
    throw new ScriptError(`the function given to auth.${verb} returned ${show(verdict)}, not a verdict`)
  }
  demand.verdict = verdict
  return verdict
}

function admit(
  request: Asking,
  who: Authenticated,
  allowed: Allowed,
  kind: Kind,
  options: RequireOptions,
): Verdict | Promise<Verdict> {
  if (options.matchFrom === true) {
    const { domains } = authState().settings
    const ours = (host: string): boolean => domains.includes(host) || host === who.realm.toLowerCase()
    if (!namesUser(encodeText(request.fromUri), encodeText(who.user), ours)) return reply(403, [])
  }
  if (options.keepCredentials !== true) request.spend(KINDS[kind].answers, encodeText(who.realm))
  return allowed(who)
}

type Made =
  | { readonly ok: true; readonly who: Authenticated }
  | { readonly ok: false; readonly refusal: Verdict }

async function prove(request: Asking, kind: Kind, options: DigestOptions): Promise<Made> {
  const { authenticator } = authState()
  const asked = question(options)
  const realm = decodeText(asked.realm)
  const key = `${kind} ${realm}`
  // Several handlers may ask: its nonce and count are good once.
  const known = request.proven.get(key)
  if (known !== undefined) return { ok: true, who: { user: known, realm } }
  const answer = await authenticator.answer(request.received, asked, kind)
  if (answer.ok) {
    const user = decodeText(answer.user)
    request.proven.set(key, user)
    request.authUser = user
    return { ok: true, who: { user, realm } }
  }
  if (answer.reason === 'unavailable') {
    return { ok: false, refusal: reply(503, [['Retry-After', '5']]) }
  }
  if (answer.reason === 'malformed') return { ok: false, refusal: reply(400, [], 'Bad Credentials') }
  const stale = answer.reason === 'stale' || answer.reason === 'replayed'
  return { ok: false, refusal: reply(KINDS[kind].status, authenticator.challenge(asked, kind, stale)) }
}

function reply(
  code: number,
  headers: readonly (readonly [string, string])[],
  reason: string | null = null,
): Verdict {
  return new Verdict({ do: 'reply', code, reason, headers, body: null, contentType: null })
}

function checkRequest(verb: string, request: unknown): void {
  if (!(request instanceof ScriptRequest) && !(request instanceof ScriptCall))
    throw new ScriptError(`auth.${verb} needs the request or the call of the handler`)
}
