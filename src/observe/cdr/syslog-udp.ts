import type { Clock, Timer } from '../../base/clock.ts'
import type { RareLog } from '../../base/rare-log.ts'
import { UdpLink, type Lookup } from '../udp-link.ts'
import { Backoff } from '../../base/backoff.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { Entry, Outbox, Sink } from './outbox.ts'
import { syslogMessage, type SyslogOrigin } from './syslog-message.ts'

export interface SyslogUdpOptions {
  readonly host: string
  readonly port: number
  readonly origin: SyslogOrigin
  readonly outbox: Outbox
  readonly clock: Clock
  readonly rare: RareLog
  readonly dead: DeadLetters
  readonly lookup?: Lookup
  readonly minBackoffMs?: number
  readonly maxBackoffMs?: number
}

/** The largest UDP payload over IPv4. */
const MAX_DATAGRAM = 65_507
/** PRI, version, time, host name, procid and the rest. */
const MAX_HEADER = 512
const BURST = 64
/** A closed port answers within a round trip. */
const QUIET_MS = 10
const LINGER_MS = 5

/**
 * One record a datagram (RFC 5426). Delivered means: the kernel took it, and for 10 ms nobody said that the port is closed.
 * When someone does, the burst it concerns is sent again, with backoff. A longer way, a full receive buffer or a silent drop
 * lose records unseen: that is UDP; use tcp or tls where it matters. What does not fit a datagram is dead.
 */
export class SyslogUdpSink implements Sink {
  readonly outbox: Outbox
  readonly #o: SyslogUdpOptions
  readonly #link: UdpLink
  readonly #backoff: Backoff
  #burst: Entry[] = []
  #refused = false
  #probing = true
  #judging = false
  #burials: Promise<void> = Promise.resolve()
  #timer: Timer | null = null
  #closed = false

  constructor(options: SyslogUdpOptions) {
    this.outbox = options.outbox
    this.#o = options
    const backoff = {
      minBackoffMs: options.minBackoffMs ?? 1000,
      maxBackoffMs: options.maxBackoffMs ?? 30_000,
    }
    this.#backoff = new Backoff(backoff.minBackoffMs, backoff.maxBackoffMs)
    this.#link = new UdpLink({
      host: options.host,
      port: options.port,
      clock: options.clock,
      onSent: () => undefined,
      onLost: () => undefined,
      onReady: () => this.#retryNow(),
      onError: (code, text) => {
        this.#refused = true
        options.rare.say(
          `syslog ${code}`,
          'warn',
          `CDR syslog ${options.host}:${options.port}: ${text}; ${this.outbox.queued} records wait`,
        )
      },
      ...(options.lookup ? { lookup: options.lookup } : {}),
      ...backoff,
    })
  }

  start(): void {
    this.#link.start()
    this.wake()
  }

  wake(): void {
    if (this.#timer || this.#closed) return
    this.#timer = this.#o.clock.startTimer(LINGER_MS, () => this.#send())
  }

  hurry(): void {
    this.#link.hurry()
    this.#retryNow()
  }

  async close(): Promise<Entry[]> {
    this.#closed = true
    this.#timer?.cancel()
    this.#link.close()
    await this.#burials
    return this.#burst
  }

  #retryNow(): void {
    if (!this.#judging && !this.#closed) this.#send()
  }

  #later(ms: number, run: () => void): void {
    this.#timer?.cancel()
    this.#timer = this.#o.clock.startTimer(ms, run)
  }

  #send(): void {
    this.#timer?.cancel()
    this.#timer = null
    if (this.#closed) return
    if (this.#burst.length === 0) this.#fill()
    if (this.#burst.length === 0) return
    // Not ready: `onReady` comes. Packets still with the kernel: a look a little later.
    if (!this.#link.ready) return
    if (this.#link.pending > 0) return this.#later(QUIET_MS, () => this.#send())
    this.#refused = false
    // After an error one record tells whether the way is open again.
    const tried = this.#probing ? this.#burst.slice(0, 1) : this.#burst
    for (const entry of tried) {
      const bytes = syslogMessage(entry, this.#o.origin)
      this.#link.send(bytes, 0, bytes.length)
    }
    this.#judging = true
    this.#later(QUIET_MS, () => this.#judge(tried.length))
  }

  #judge(count: number): void {
    this.#timer = null
    this.#judging = false
    if (this.#closed) return
    const tried = this.#burst.slice(0, count)
    if (this.#refused) {
      for (const entry of tried) this.outbox.failed(entry)
      this.#probing = true
      return this.#later(this.#backoff.next(), () => this.#send())
    }
    this.#burst = this.#burst.slice(count)
    for (const entry of tried) this.outbox.delivered(entry)
    this.#probing = false
    this.#backoff.reset()
    if (this.#burst.length > 0 || this.outbox.waiting > 0) this.#send()
  }

  #fill(): void {
    while (this.#burst.length < BURST) {
      const entry = this.outbox.take()
      if (!entry) return
      if (this.#fits(entry)) this.#burst.push(entry)
      else this.#burials = this.#burials.then(() => this.#bury(entry))
    }
  }

  #fits(entry: Entry): boolean {
    // Three bytes a character at most: most records need not be encoded to know.
    if (entry.line.length * 3 + MAX_HEADER <= MAX_DATAGRAM) return true
    return syslogMessage(entry, this.#o.origin).length <= MAX_DATAGRAM
  }

  async #bury(entry: Entry): Promise<void> {
    const { rare, dead } = this.#o
    rare.say(
      'syslog oversize',
      'error',
      'CDR syslog: a record does not fit a datagram and was set aside as dead',
    )
    const safe = await dead.write(this.outbox.sink, 'longer than a datagram', entry)
    this.outbox.settle(entry, safe ? 'dead' : 'dropped')
  }
}
