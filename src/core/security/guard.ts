import type { Protocol } from '../../base/address.ts'
import type { Clock } from '../../base/clock.ts'
import { contains, type Network, parseGroups, parseNetwork, sourceOf } from '../../base/network.ts'
import type { DropReason } from '../../spine/facts.ts'
import type { Spine } from '../../spine/spine.ts'
import { BanList, type Ban } from './bans.ts'
import { BanLog } from './ban-log.ts'
import type { SecurityRules, Signal } from './rules.ts'
import { STRONG } from './rules.ts'
import { ScannerNames } from './scanners.ts'
import { SourceTable } from './source-table.ts'

/** Sources remembered in each of two generations: some 5 MiB when both are full. */
const MOST_SOURCES = 16_384

/** What is known of one source. */
interface Source {
  readonly source: string
  readonly trusted: boolean
  /** By `acl`. */
  readonly shutOut: boolean
  ban: Ban | null
  /** The window of the rate limit: when it began, and requests in it. */
  windowFrom: number
  requests: number
  /** The window of `failed_auth_ban`: when it began, and the sum of weights in it. */
  scoreFrom: number
  score: number
}

export interface GuardOptions {
  readonly clock: Clock
  readonly spine: Spine
  readonly rules: SecurityRules
  /** A source has been banned: its connections are to be cut. */
  readonly onBan: (isBanned: (remoteHost: string) => boolean) => void
  readonly mostSources?: number
  readonly mostBans?: number
}

/** What `ban` may be told. */
export interface BanRequest {
  readonly seconds: number
  readonly reason: string
}

/**
 * Who may send to us: access list, bans, rate limit, scanners. Asked for every datagram before it is parsed, for every
 * message of a stream, and for every connection. Whatever it refuses is counted by reason (`spine.dropped`).
 */
export class Guard {
  readonly #o: GuardOptions
  readonly #rules: SecurityRules
  readonly #trusted: readonly Network[]
  readonly #allow: readonly Network[]
  readonly #deny: readonly Network[]
  readonly #scanners: ScannerNames | null
  readonly #sources: SourceTable<Source>
  /** Sources of IPv6 addresses: to find one costs a microsecond. */
  readonly #networks = new SourceTable<string>(4_096, sourceOf)
  readonly #bans: BanList
  readonly #log: BanLog
  /** Nothing configured and nobody banned: every question is answered at once. */
  #armed: boolean
  readonly #configured: boolean

  constructor(options: GuardOptions) {
    const { clock, spine, rules, mostSources = MOST_SOURCES, mostBans } = options
    this.#o = options
    this.#rules = rules
    this.#trusted = networks(rules.trusted)
    this.#allow = networks(rules.acl.allow)
    this.#deny = networks(rules.acl.deny)
    this.#scanners = rules.scanners && new ScannerNames(rules.scanners)
    this.#sources = new SourceTable(mostSources, (source) => this.#unknown(source))
    this.#log = new BanLog(clock, (line) => spine.logged.publish(line))
    this.#bans = new BanList({
      clock,
      ...(mostBans === undefined ? {} : { most: mostBans }),
      onEnd: (ban, why) => {
        const source = this.#sources.peek(ban.source)
        if (source !== undefined) source.ban = null
        this.#log.ended(ban, why)
        this.#arm()
      },
    })
    this.#configured =
      rules.rateLimit !== null ||
      rules.scanners !== null ||
      rules.failedAuth !== null ||
      this.#allow.length + this.#deny.length > 0
    this.#armed = this.#configured
  }

  /** Whether a connection may be had by this peer. */
  admit(host: string, protocol: Protocol): boolean {
    if (!this.#armed) return true
    const source = this.#sourceAt(host)
    if (source.shutOut) return this.#drop('acl', protocol)
    if (source.trusted || this.#banOf(source) === null) return true
    return this.#dropBanned(source, protocol)
  }

  /** Whether these bytes, a datagram or one message of a stream, may be looked at any further. */
  screen(bytes: Buffer, host: string, protocol: Protocol): boolean {
    if (!this.#armed) return true
    const source = this.#sourceAt(host)
    if (source.shutOut) return this.#drop('acl', protocol)
    if (source.trusted) return true
    const isRequest = looksLikeRequest(bytes)
    const ban = this.#banOf(source)
    if (ban !== null) {
      if (protocol === 'udp' && ban.requestsOnly && !isRequest) return true
      return this.#dropBanned(source, protocol)
    }
    if (!isRequest) return true
    if (this.#scanners !== null && this.#scanners.in(bytes)) {
      this.#weigh(source, 'scanner', protocol)
      return this.#drop('scanner', protocol)
    }
    const { rateLimit } = this.#rules
    if (rateLimit === null) return true
    const now = this.#o.clock.now()
    if (now - source.windowFrom >= rateLimit.windowMs) {
      source.windowFrom = now
      source.requests = 0
    }
    if (++source.requests <= rateLimit.maxRequests) return true
    this.#ban(source, { ms: rateLimit.banMs, reason: 'rate_limit', requestsOnly: true, score: 0 })
    return this.#dropBanned(source, protocol)
  }

  /** The source did something that counts towards a ban. */
  signal(signal: Signal, host: string, protocol: Protocol): void {
    if (this.#rules.failedAuth !== null) this.#weigh(this.#sourceAt(host), signal, protocol)
  }

  /** The source showed who it is: what counted against it is forgotten. */
  cleared(host: string): void {
    if (this.#rules.failedAuth === null) return
    const source = this.#sources.peek(sourceOf(host))
    if (source !== undefined) source.score = 0
  }

  /** Bans by order of a script. */
  ban(host: string, { seconds, reason }: BanRequest): 'banned' | 'trusted' | 'no_address' {
    const name = sourceOf(host)
    if (parseGroups(name.replace(/\/64$/, '')) === null) return 'no_address'
    const source = this.#sources.get(name)
    if (source.trusted) return 'trusted'
    this.#ban(source, { ms: seconds * 1000, reason, requestsOnly: false, score: 0 })
    return 'banned'
  }

  /** False when there was no ban. What counted against the source is forgotten too. */
  unban(host: string): boolean {
    const name = sourceOf(host)
    if (this.#bans.lift(name) === undefined) return false
    const source = this.#sources.peek(name)
    if (source !== undefined) {
      source.score = 0
      source.requests = 0
    }
    return true
  }

  isBanned(host: string): boolean {
    return this.#bans.get(sourceOf(host)) !== undefined
  }

  /** Bans in force. */
  get banned(): number {
    return this.#bans.size
  }

  /** Sources that something is known of, at most. */
  get remembered(): number {
    return this.#sources.size
  }

  page(afterId: number, limit: number): readonly Ban[] {
    return this.#bans.page(afterId, limit)
  }

  close(): void {
    this.#bans.close()
    this.#log.close()
  }

  #sourceAt(host: string): Source {
    return this.#sources.get(host.includes(':') ? this.#networks.get(host) : host)
  }

  #weigh(source: Source, signal: Signal, protocol: Protocol): void {
    const { failedAuth } = this.#rules
    if (failedAuth === null || source.trusted || this.#banOf(source) !== null) return
    const now = this.#o.clock.now()
    if (source.score === 0 || now - source.scoreFrom >= failedAuth.windowMs) {
      source.scoreFrom = now
      source.score = 0
    }
    // Anybody can send a datagram in another's name.
    source.score += STRONG.has(signal) && protocol !== 'udp' ? failedAuth.strongWeight : 1
    if (source.score < failedAuth.threshold) return
    const { score } = source
    source.score = 0
    this.#ban(source, { ms: failedAuth.banMs, reason: 'failed_auth', requestsOnly: false, score })
  }

  #ban(source: Source, given: Parameters<BanList['add']>[1]): void {
    source.ban = this.#bans.add(source.source, given)
    this.#arm()
    const { reason } = given
    const kind = reason === 'rate_limit' || reason === 'failed_auth' ? reason : 'script'
    this.#o.spine.banned.publish({ kind })
    this.#log.began(source.ban, given.ms)
    this.#o.onBan((host) => sourceOf(host) === source.source)
  }

  #banOf(source: Source): Ban | null {
    if (source.ban !== null && source.ban.until <= this.#o.clock.now()) source.ban = null
    return source.ban
  }

  #dropBanned(source: Source, protocol: Protocol): false {
    if (source.ban !== null) source.ban.drops++
    return this.#drop(source.ban?.requestsOnly === true ? 'rate_limit' : 'banned', protocol)
  }

  #drop(reason: DropReason, protocol: Protocol): false {
    this.#o.spine.dropped.publish({ reason, protocol })
    return false
  }

  #arm(): void {
    this.#armed = this.#configured || this.#bans.size > 0
  }

  #unknown(source: string): Source {
    const address = parseGroups(source.replace(/\/64$/, ''))
    const among = (list: readonly Network[]): boolean =>
      address !== null && list.some((network) => contains(network, address))
    const shutOut = among(this.#deny) || (this.#allow.length > 0 && !among(this.#allow))
    const ban = this.#bans.get(source) ?? null
    const trusted = among(this.#trusted)
    return { source, trusted, shutOut, ban, windowFrom: 0, requests: 0, scoreFrom: 0, score: 0 }
  }
}

function networks(texts: readonly string[]): Network[] {
  return texts.map((text) => {
    const network = parseNetwork(text)
    // The configuration has checked it.
    if (network === null) throw new Error(`${text} is not a network`)
    return network
  })
}

/** A response begins with its version; whatever else comes in is taken for a request. */
function looksLikeRequest(bytes: Buffer): boolean {
  const isResponse =
    bytes[3] === 0x2f && (bytes[0] ?? 0) === 0x53 && (bytes[1] ?? 0) === 0x49 && (bytes[2] ?? 0) === 0x50
  return !isResponse
}
