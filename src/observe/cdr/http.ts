import { readFileSync } from 'node:fs'
import {
  Agent as HttpAgent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { Backoff } from '../../base/backoff.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import type { RareLog } from '../../base/rare-log.ts'
import type { DeadLetters } from './dead-letters.ts'
import { sharedLookup } from './lookup.ts'
import type { Entry, Outbox, Sink } from './outbox.ts'

export interface HttpSinkOptions {
  readonly url: string
  /** The value of the Authorization header, whole: `Bearer tok123`. */
  readonly authHeader: string | null
  /** File of PEM certificates to trust instead of Node's own list. */
  readonly caFile?: string
  readonly outbox: Outbox
  readonly clock: Clock
  readonly rare: RareLog
  readonly dead: DeadLetters
  /** Requests at the same time, each on its own kept connection. Default 8. */
  readonly concurrency?: number
  /** From the start of a request to the end of its answer. Default 10 s. */
  readonly timeoutMs?: number
  readonly minBackoffMs?: number
  readonly maxBackoffMs?: number
}

/** Everything that is wrong with the options, in words for the operator. Empty when nothing is. */
export function httpSinkFaults(options: { url: string; authHeader: string | null }): string[] {
  const faults: string[] = []
  const url = URL.parse(options.url)
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    faults.push('url: must be an http:// or https:// URL')
  else if (url.username !== '' || url.password !== '')
    faults.push('url: must not hold a password; use auth_header')
  if (options.authHeader !== null && !/^[\t\x20-\x7e\x80-\xff]*$/.test(options.authHeader)) {
    faults.push('auth_header: must be one line without control characters')
  }
  return faults
}

/** More than this of an answer is of no interest: the connection is closed instead. */
const MAX_ANSWER_BYTES = 64 * 1024
/** Failures in a row, of different kinds perhaps, before all sending pauses. */
const FAILURES_BEFORE_PAUSE = 3
/** A record that is answered 5xx or 403 so often, while others were taken between, is the fault and not the collector. */
const MAX_STRIKES = 10
/** 401 and 407 are about no record ever; by 403 a firewall of the collector's may mean what is in it. */
const STRIKES = /^status (?:5|403)/
const REFUSES_US: ReadonlySet<number> = new Set([401, 403, 407])
const MAX_RETRY_AFTER_MS = 300_000

interface Waiting {
  readonly entry: Entry
  readonly due: number
}

type Verdict =
  | { readonly what: 'delivered' }
  | { readonly what: 'dead'; readonly reason: string }
  /** `pauseMs`: for the whole sink, 0 when this record alone is concerned, null for the usual backoff. */
  | {
      readonly what: 'again'
      readonly reason: string
      readonly pauseMs: number | null
      /** It does not let us in: what the operator should look at. */
      readonly refusesUs?: boolean
    }

/**
 * POSTs one record a request, with `Idempotency-Key: <id>`, over kept connections.
 *
 * 2xx: delivered. Network errors, timeouts, 408, 425, 429 and 5xx: tried again, for ever, with backoff and Retry-After. So are 401,
 * 403 and 407: a token that was changed on one side only will be on the other, and the records are as good as before. Other 4xx and
 * redirects (never followed: they would carry the Authorization away): dead. While the collector fails or lets nobody in, one
 * request at a time probes it. A record waiting for its own next attempt holds up no other.
 */
export class HttpSink implements Sink {
  readonly outbox: Outbox
  readonly #o: HttpSinkOptions
  readonly #url: URL
  readonly #agent: HttpAgent | HttpsAgent
  readonly #lookup = sharedLookup()
  readonly #backoff: Backoff
  readonly #concurrency: number
  readonly #timeoutMs: number
  /** Taken and not settled, in the order they were taken. */
  readonly #held = new Set<Entry>()
  readonly #requests = new Set<ClientRequest>()
  readonly #strikes = new Map<Entry, { count: number; successes: number }>()
  #again: Waiting[] = []
  #trusted = false
  #freshFirst = false
  #failuresInRow = 0
  #successes = 0
  #pausedUntil = 0
  #timer: Timer | null = null
  #closed = false

  constructor(options: HttpSinkOptions) {
    const faults = httpSinkFaults(options)
    if (faults.length > 0) throw new TypeError(faults.join('; '))
    this.outbox = options.outbox
    this.#o = options
    this.#url = new URL(options.url)
    this.#concurrency = options.concurrency ?? 8
    this.#timeoutMs = options.timeoutMs ?? 10_000
    this.#backoff = new Backoff(options.minBackoffMs ?? 1000, options.maxBackoffMs ?? 30_000)
    const kept = { keepAlive: true, maxSockets: this.#concurrency, maxFreeSockets: this.#concurrency }
    const ca = options.caFile === undefined ? {} : { ca: readFileSync(options.caFile) }
    this.#agent = this.#url.protocol === 'https:' ? new HttpsAgent({ ...kept, ...ca }) : new HttpAgent(kept)
  }

  start(): void {
    this.#pump()
  }

  wake(): void {
    this.#pump()
  }

  hurry(): void {
    this.#pausedUntil = 0
    this.#again = this.#again.map(({ entry }) => ({ entry, due: 0 }))
    this.#pump()
  }

  async close(): Promise<Entry[]> {
    this.#closed = true
    this.#timer?.cancel()
    for (const request of this.#requests) request.destroy()
    this.#agent.destroy()
    return [...this.#held]
  }

  #pump(): void {
    if (this.#closed) return
    const now = this.#o.clock.now()
    const limit = this.#trusted ? this.#concurrency : 1
    while (this.#requests.size < limit && now >= this.#pausedUntil) {
      const entry = this.#next(now)
      if (!entry) break
      this.#post(entry)
    }
    this.#sleep(now)
  }

  /** While it is probed, every other probe is a record not tried before: those waiting to be tried again may all be the fault. */
  #next(now: number): Entry | undefined {
    this.#freshFirst = !this.#trusted && !this.#freshFirst
    if (this.#freshFirst) return this.outbox.take() ?? this.#nextDue(now)
    return this.#nextDue(now) ?? this.outbox.take()
  }

  #nextDue(now: number): Entry | undefined {
    const i = this.#again.findIndex((w) => w.due <= now)
    return i < 0 ? undefined : this.#again.splice(i, 1)[0]?.entry
  }

  /** Wakes up when the pause ends or a record falls due, whichever matters. */
  #sleep(now: number): void {
    this.#timer?.cancel()
    this.#timer = null
    if (this.#again.length === 0 && (this.outbox.waiting === 0 || now >= this.#pausedUntil)) return
    const due =
      this.outbox.waiting > 0
        ? 0
        : this.#again.reduce((min, w) => Math.min(min, w.due), Number.POSITIVE_INFINITY)
    const at = Math.max(due, this.#pausedUntil)
    // A free slot comes with its own pump.
    if (at <= now) return
    this.#timer = this.#o.clock.startTimer(Math.max(1, at - now), () => this.#pump())
  }

  #post(entry: Entry): void {
    this.#held.add(entry)
    const body = Buffer.from(entry.line)
    const { authHeader } = this.#o
    let decided = false
    const decide = (verdict: Verdict): void => {
      if (decided) return
      decided = true
      if (!this.#closed) void this.#settle(entry, verdict)
    }
    const send = this.#url.protocol === 'https:' ? httpsRequest : httpRequest
    const request = send(this.#url, {
      method: 'POST',
      agent: this.#agent,
      lookup: this.#lookup,
      headers: {
        'Content-Type': 'application/json',
        'Content-Length': body.length,
        'Idempotency-Key': entry.id,
        'User-Agent': 'siphon',
        ...(authHeader === null ? {} : { Authorization: authHeader }),
      },
    })
    this.#requests.add(request)
    const deadline = this.#o.clock.startTimer(this.#timeoutMs, () => {
      decide({ what: 'again', reason: 'timeout', pauseMs: null })
      request.destroy()
    })
    request.on('response', (response) => {
      decide(judge(response, this.#o.clock.wallTime()))
      readAway(response)
    })
    request.on('error', (error: NodeJS.ErrnoException) => {
      // A kept connection that the collector closed as we wrote: nobody's failure, once.
      const stale = request.reusedSocket && error.code === 'ECONNRESET' && entry.failures === 0
      decide({ what: 'again', reason: error.code ?? error.message, pauseMs: stale ? 0 : null })
    })
    request.on('close', () => {
      deadline.cancel()
      decide({ what: 'again', reason: 'closed before the answer', pauseMs: null })
      this.#requests.delete(request)
      this.#pump()
    })
    request.end(body)
  }

  async #settle(entry: Entry, verdict: Verdict): Promise<void> {
    switch (verdict.what) {
      case 'delivered':
        this.#successes++
        this.#failuresInRow = 0
        this.#trusted = true
        this.#backoff.reset()
        this.#forget(entry)
        this.outbox.delivered(entry)
        return
      case 'dead':
        await this.#bury(entry, verdict.reason)
        return
      case 'again':
        if (this.#strikeOut(entry, verdict.reason))
          await this.#bury(entry, `${verdict.reason}, ${MAX_STRIKES} times`)
        else this.#retry(entry, verdict.reason, verdict.pauseMs, verdict.refusesUs)
    }
  }

  async #bury(entry: Entry, reason: string): Promise<void> {
    // An answer all the same: the collector is there.
    this.#failuresInRow = 0
    this.#o.rare.say(
      `http dead ${reason}`,
      'error',
      `CDR http ${this.#url.host}: ${reason}: a record was set aside as dead`,
    )
    const safe = await this.#o.dead.write(this.outbox.sink, reason, entry)
    if (this.#closed) return
    if (!safe) return this.#retry(entry, 'the dead-letter file cannot be written', 0)
    this.#forget(entry)
    this.outbox.settle(entry, 'dead')
    this.#pump()
  }

  #retry(entry: Entry, reason: string, pauseMs: number | null, refusesUs = false): void {
    const { clock, rare } = this.#o
    const now = clock.now()
    this.outbox.failed(entry)
    this.#again.push({
      entry,
      due: pauseMs === 0 && entry.failures === 1 ? now : now + this.#backoff.after(entry.failures),
    })
    if (pauseMs !== 0) {
      this.#failuresInRow++
      const down =
        pauseMs !== null || !reason.startsWith('status') || this.#failuresInRow >= FAILURES_BEFORE_PAUSE
      // The failures of requests that were under way together are one failure.
      if (down && now >= this.#pausedUntil) {
        this.#trusted = false
        this.#pausedUntil = now + Math.max(this.#backoff.next(), pauseMs ?? 0)
      }
      const key = this.#o.authHeader === null ? 'no cdr.http.auth_header is set' : 'see cdr.http.auth_header'
      const why = refusesUs ? `${reason}: the collector does not let us in, ${key}` : reason
      rare.say(
        `http ${reason}`,
        refusesUs ? 'error' : 'warn',
        `CDR http ${this.#url.host}: ${why}; ${this.outbox.queued} records wait`,
      )
    }
    this.#pump()
  }

  #forget(entry: Entry): void {
    this.#strikes.delete(entry)
    this.#held.delete(entry)
  }

  #strikeOut(entry: Entry, reason: string): boolean {
    if (!STRIKES.test(reason)) return false
    const strike = this.#strikes.get(entry) ?? { count: 0, successes: this.#successes }
    if (this.#successes > strike.successes) strike.count++
    strike.successes = this.#successes
    this.#strikes.set(entry, strike)
    return strike.count >= MAX_STRIKES
  }
}

function judge(response: IncomingMessage, wallTime: number): Verdict {
  const status = response.statusCode ?? 0
  const reason = `status ${status}`
  if (status >= 200 && status < 300) return { what: 'delivered' }
  if (status === 429 || status === 503)
    return { what: 'again', reason, pauseMs: retryAfter(response, wallTime) ?? 1 }
  if (REFUSES_US.has(status)) return { what: 'again', reason, pauseMs: null, refusesUs: true }
  if (status >= 500 || status === 408 || status === 425) return { what: 'again', reason, pauseMs: null }
  return { what: 'dead', reason }
}

/** Milliseconds from a Retry-After of seconds or of a date (RFC 9110 §10.2.3); null when there is none. At most 5 minutes. */
function retryAfter(response: IncomingMessage, wallTime: number): number | null {
  const value = response.headers['retry-after']
  if (value === undefined) return null
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - wallTime
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, MAX_RETRY_AFTER_MS) : null
}

/** Reads the answer's body to nowhere, so that the connection can be kept; too long a body closes it. */
function readAway(response: IncomingMessage): void {
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) response.destroy()
  })
  response.on('error', () => undefined)
}
