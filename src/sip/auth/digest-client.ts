import type { Request, Response } from '../message/message.ts'
import { type DigestAlgorithm, ALGORITHMS, type Hash, hashOf, readAlgorithm } from './algorithm.ts'
import { digestResponse, hashA1, type Qop, type Secret } from './digest.ts'
import { type DigestFields, formatDigest, isDigestFor, parseDigestFields } from './fields.ts'

/** With what a client answers challenges. All binary text. */
export interface DigestAccount {
  readonly user: string
  readonly secret: Secret
  /** The only realm that gets an answer; null: whichever asks. */
  readonly realm: string | null
}

export interface DigestClientOptions {
  readonly account: DigestAccount
  readonly hash: Hash
  /** Sixteen or more hexadecimal digits that nobody can foretell. */
  readonly chance: () => string
  /** All that are known, unless told. */
  readonly algorithms?: readonly DigestAlgorithm[]
}

/** What a digest is computed over. */
export type Signed = Pick<Request, 'method' | 'uri' | 'body'>

type Kind = 'www' | 'proxy'

interface Session {
  readonly kind: Kind
  readonly realm: string
  readonly nonce: string
  readonly opaque: string | undefined
  /** As the peer wrote it; undefined when it wrote none. */
  readonly algorithmText: string | undefined
  readonly algorithm: DigestAlgorithm
  readonly qop: Qop | null
  /** Kept for `-sess`, whose secret is bound to the first one. */
  readonly cnonce: string
  count: number
}

/** A request is tried so often again: once for the challenge, once more for a nonce that grew old meanwhile. */
const MAX_RETRIES = 2
/** Realms of one peer: its own and those of proxies behind it. */
const MAX_SESSIONS = 16

/**
 * Digest as a client does it, towards one peer: answers its challenges and remembers its nonces, so that later requests
 * are not challenged again (RFC 3261 §22.3, RFC 7616 §3.6, RFC 8760 §2.4).
 *
 * One for each peer, and only its requests: what goes to others would carry the account's name and a proof to them.
 *
 *   const request = client.sign(register)        // credentials when a nonce is known
 *   …401 comes…
 *   const again = client.retry(response, request, tries)   // null: give up; else with CSeq and Via still to be made new
 */
export class DigestClient {
  readonly #o: DigestClientOptions
  readonly #sessions = new Map<string, Session>()

  constructor(options: DigestClientOptions) {
    this.#o = options
  }

  /** A copy with credentials for every realm of the peer that is known, in place of those it carried for them. */
  sign(request: Request): Request {
    const copy = request.clone()
    for (const kind of ['www', 'proxy'] as const) {
      const mine = [...this.#sessions.values()].filter((session) => session.kind === kind)
      if (mine.length === 0) continue
      const name = kind === 'www' ? 'Authorization' : 'Proxy-Authorization'
      const realms = new Set(mine.map(({ realm }) => realm))
      const kept = copy.headers.all(name.toLowerCase()).filter((text) => !isDigestFor(text, realms))
      copy.headers.remove(name.toLowerCase())
      for (const text of kept) copy.headers.append(name, text)
      for (const session of mine) copy.headers.append(name, this.#credentials(session, copy))
    }
    return copy
  }

  /**
   * The request once more, with credentials for what the 401 or 407 asks; null when there is no use in trying: no account
   * for the realm, no algorithm that both know, wrong password, or tried too often.
   * @param request as it was sent
   * @param tries how often this request has been repeated for a challenge already; 0 at first
   */
  retry(response: Response, request: Request, tries: number): Request | null {
    const kind = response.status === 401 ? 'www' : response.status === 407 ? 'proxy' : null
    if (kind === null || tries >= MAX_RETRIES) return null
    const asked = this.#asked(response, kind)
    let learned = false
    for (const [realm, offers] of asked) {
      const offer = offers.find(({ algorithm }) => this.#canUse(algorithm))
      const carried = nonceFor(request, kind, realm)
      if (offer === undefined || !this.#worthwhile(offer, carried, tries)) {
        this.#sessions.delete(keyOf(kind, realm))
        continue
      }
      this.#remember(kind, realm, offer)
      learned = true
    }
    // Those for the proxies that let it through this far are signed anew: each takes a count of its nonce but once.
    return learned ? this.sign(request) : null
  }

  /** What was refused with its nonce is refused again, unless that nonce had only grown old. */
  #worthwhile({ fields }: Offer, carried: string | null, tries: number): boolean {
    if (carried === null) return true
    if (fields.get('stale')?.toLowerCase() === 'true') return true
    // Signed with a nonce of an earlier request: not every peer says that it is stale.
    return tries === 0 && fields.get('nonce') !== carried
  }

  /** The challenges we may answer, by realm, in the peer's order: the topmost is the one it prefers (RFC 8760 §2.3). */
  #asked(response: Response, kind: Kind): Map<string, Offer[]> {
    const asked = new Map<string, Offer[]>()
    for (const text of response.headers.all(kind === 'www' ? 'www-authenticate' : 'proxy-authenticate')) {
      const parsed = parseDigestFields(text)
      if (!parsed.ok) continue
      for (const fields of parsed.value) {
        const offer = readOffer(fields)
        const { realm } = this.#o.account
        if (offer === null || (realm !== null && realm !== offer.realm)) continue
        asked.set(offer.realm, [...(asked.get(offer.realm) ?? []), offer])
      }
    }
    return asked
  }

  #canUse(algorithm: DigestAlgorithm): boolean {
    const { account, algorithms = ALGORITHMS } = this.#o
    if (!algorithms.includes(algorithm)) return false
    return 'password' in account.secret || account.secret.ha1[hashOf(algorithm)] !== undefined
  }

  #remember(kind: Kind, realm: string, { fields, algorithm, qop }: Offer): Session {
    const session: Session = {
      kind,
      realm,
      nonce: fields.get('nonce') ?? '',
      opaque: fields.get('opaque'),
      algorithmText: fields.get('algorithm'),
      algorithm,
      qop,
      cnonce: this.#o.chance(),
      count: 0,
    }
    const [oldest] = this.#sessions.keys()
    if (this.#sessions.size >= MAX_SESSIONS && oldest !== undefined) this.#sessions.delete(oldest)
    this.#sessions.set(keyOf(kind, realm), session)
    return session
  }

  #credentials(session: Session, { method, uri, body }: Signed): string {
    const { account, hash } = this.#o
    const { realm, nonce, opaque, algorithm, algorithmText, qop, cnonce } = session
    const nc = (++session.count).toString(16).padStart(8, '0')
    const { user, secret } = account
    const name = hashOf(algorithm)
    const ha1 = 'ha1' in secret ? (secret.ha1[name] ?? '') : hashA1(hash, name, user, realm, secret.password)
    const response = digestResponse(hash, { algorithm, ha1, nonce, qop, nc, cnonce, method, uri, body })
    const counted = qop !== null || algorithm !== name
    return formatDigest(
      {
        username: user,
        realm,
        nonce,
        uri,
        response,
        algorithm: algorithmText,
        cnonce: counted ? cnonce : undefined,
        opaque,
        qop: qop ?? undefined,
        nc: qop === null ? undefined : nc,
      },
      ['algorithm', 'qop', 'nc'],
    )
  }
}

interface Offer {
  readonly realm: string
  readonly fields: DigestFields
  readonly algorithm: DigestAlgorithm
  readonly qop: Qop | null
}

/** Null: not to be answered, because something we would need is missing or unknown. */
function readOffer(fields: DigestFields): Offer | null {
  const realm = fields.get('realm')
  const algorithm = readAlgorithm(fields.get('algorithm'))
  if (realm === undefined || fields.get('nonce') === undefined || algorithm === null) return null
  const offered = fields
    .get('qop')
    ?.toLowerCase()
    .split(',')
    .map((text) => text.trim())
  if (offered === undefined) return { realm, fields, algorithm, qop: null }
  // auth is preferred: on the way of auth-int no element may touch the body, and many do.
  const qop = offered.includes('auth') ? 'auth' : offered.includes('auth-int') ? 'auth-int' : null
  return qop === null ? null : { realm, fields, algorithm, qop }
}

function keyOf(kind: Kind, realm: string): string {
  return `${kind} ${realm}`
}

/** The nonce of the credentials that a request carries for a realm; null when it carries none. */
function nonceFor(request: Request, kind: Kind, realm: string): string | null {
  for (const text of request.headers.all(kind === 'www' ? 'authorization' : 'proxy-authorization')) {
    const parsed = parseDigestFields(text)
    const mine = parsed.ok ? parsed.value.find((fields) => fields.get('realm') === realm) : undefined
    if (mine !== undefined) return mine.get('nonce') ?? ''
  }
  return null
}
