import type { Address } from '../../base/address.ts'
import type { Clock } from '../../base/clock.ts'
import type { Exchange } from './exchange.ts'
import { decodeReply, encodeQuery, FORMERR, NOERROR, NXDOMAIN, type Reply } from './message.ts'
import type { DnsRecord, Question, RecordType } from './records.ts'

export interface DnsClientOptions {
  readonly clock: Clock
  /** Recursive resolvers, in the order of preference. */
  readonly servers: readonly Address[]
  /** How long one server has for its answer. */
  readonly timeoutMs: number
  /** How long all of them together have. */
  readonly deadlineMs: number
  readonly udp: Exchange
  readonly tcp: Exchange
  /** A query id: 0 … 65535, not to be guessed (RFC 5452 §9.2). */
  readonly queryId: () => number
  /** A question has been answered or given up. */
  readonly onAsked?: (asked: Asked) => void
}

export interface Asked {
  readonly type: RecordType
  readonly outcome: 'found' | 'none' | 'error' | 'timeout'
  readonly ms: number
}

/** What the servers said, by the first of them that knew. */
export interface Told {
  /** `none`: no such record or name. `failed`: no server knew, or none answered. */
  readonly outcome: 'found' | 'none' | 'failed'
  readonly records: readonly DnsRecord[]
  /** Seconds; null when nobody said. */
  readonly ttl: number | null
}

/** Every server is asked that often before a question is given up. */
const ROUNDS = 2
/** Less time than this is none: timers may fire a millisecond early. */
const LEAST_MS = 5
const NOBODY: Told = { outcome: 'failed', records: [], ttl: null }

/** A stub resolver: asks one server after the other, over TCP what does not fit into a datagram. Remembers no answer. */
export class DnsClient {
  readonly #o: DnsClientOptions
  /** Whom to ask first: a server that does not answer is not the first again until another one fails. */
  #first = 0

  constructor(options: DnsClientOptions) {
    this.#o = options
  }

  /** Calls back once, within the deadline, and never at once. */
  ask(question: Question, then: (told: Told) => void): void {
    new Asking(this.#o, question, this.#first, (told, by) => {
      if (by !== null) this.#first = by
      then(told)
    }).start()
  }
}

/** One question on its way from server to server. */
class Asking {
  readonly #o: DnsClientOptions
  readonly #question: Question
  readonly #first: number
  readonly #done: (told: Told, by: number | null) => void
  readonly #since: number
  #attempt = 0
  /** A server spoke, but did not know. */
  #heard = false

  constructor(
    options: DnsClientOptions,
    question: Question,
    first: number,
    done: (told: Told, by: number | null) => void,
  ) {
    this.#o = options
    this.#question = question
    this.#first = first
    this.#done = done
    this.#since = options.clock.now()
  }

  start(): void {
    // A name that cannot be asked for does not exist.
    if (encodeQuery(0, this.#question, true) === null) {
      this.#o.clock.startTimer(0, () => this.#done({ outcome: 'none', records: [], ttl: null }, null))
    } else this.#next()
  }

  #next(): void {
    const { servers } = this.#o
    const index = (this.#first + this.#attempt) % Math.max(1, servers.length)
    const server = servers[index]
    const left = this.#left()
    if (server === undefined || this.#attempt >= ROUNDS * servers.length || left < LEAST_MS) {
      this.#end(NOBODY, null)
      return
    }
    this.#attempt++
    this.#send(index, server, { tcp: false, edns: true })
  }

  #left(): number {
    return this.#o.deadlineMs - (this.#o.clock.now() - this.#since)
  }

  #send(index: number, server: Address, how: { readonly tcp: boolean; readonly edns: boolean }): void {
    const { queryId, timeoutMs, udp, tcp } = this.#o
    const id = queryId()
    const query = encodeQuery(id, this.#question, how.edns)
    if (query === null) return
    const exchange = how.tcp ? tcp : udp
    exchange(
      server,
      query,
      Math.min(timeoutMs, Math.max(LEAST_MS, this.#left())),
      (bytes) => decodeReply(bytes, id, this.#question),
      (reply) => this.#replied(index, server, how, reply),
    )
  }

  #replied(index: number, server: Address, how: { tcp: boolean; edns: boolean }, reply: Reply | null): void {
    if (reply === null) {
      this.#next()
      return
    }
    this.#heard = true
    if (reply.truncated && !how.tcp) this.#send(index, server, { ...how, tcp: true })
    // A server from before RFC 6891 stumbles over the OPT record.
    else if (reply.rcode === FORMERR && how.edns) this.#send(index, server, { ...how, edns: false })
    else if (reply.rcode === NXDOMAIN) this.#end({ outcome: 'none', records: [], ttl: reply.ttl }, index)
    else if (reply.rcode !== NOERROR || reply.truncated) this.#next()
    else if (reply.records.length > 0) {
      this.#end({ outcome: 'found', records: reply.records, ttl: reply.ttl }, index)
    } else if (reply.competent) this.#end({ outcome: 'none', records: [], ttl: reply.ttl }, index)
    else this.#next()
  }

  #end(told: Told, by: number | null): void {
    const outcome = told.outcome === 'failed' ? (this.#heard ? 'error' : 'timeout') : told.outcome
    this.#o.onAsked?.({ type: this.#question.type, outcome, ms: this.#o.clock.now() - this.#since })
    this.#done(told, by)
  }
}
