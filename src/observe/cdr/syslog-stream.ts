import type { Clock, Timer } from '../../base/clock.ts'
import { CollectorStream, type TlsOptions } from '../collector-stream.ts'
import type { RareLog } from '../../base/rare-log.ts'
import type { Entry, Outbox, Sink } from './outbox.ts'
import { syslogMessage, type SyslogOrigin } from './syslog-message.ts'

export interface SyslogStreamOptions {
  readonly host: string
  readonly port: number
  /** Null for plain TCP (RFC 6587), else TLS (RFC 5425). */
  readonly tls: TlsOptions | null
  readonly origin: SyslogOrigin
  readonly outbox: Outbox
  readonly clock: Clock
  readonly rare: RareLog
  readonly minBackoffMs?: number
  readonly maxBackoffMs?: number
  readonly stallMs?: number
}

const LINGER_MS = 20
const BLOCK_BYTES = 16 * 1024
const MAX_PENDING_BYTES = 128 * 1024

/**
 * Octet-counted syslog (RFC 6587 §3.4.1, RFC 5425 §4.3) over a connection kept up for ever.
 *
 * Delivered means: the kernel took the record's last byte on a connection that was up. Syslog has no acknowledgement: what lay
 * in the kernel when a connection broke is lost unseen (http does not have this gap). What the kernel had not taken is sent
 * again whole on the next connection, so the last few records may come twice, with the same `id`.
 */
export class SyslogStreamSink implements Sink {
  readonly outbox: Outbox
  readonly #o: SyslogStreamOptions
  readonly #stream: CollectorStream
  /** Written, oldest first, and not yet taken by the kernel. */
  #pending: Entry[] = []
  #timer: Timer | null = null
  #closed = false

  constructor(options: SyslogStreamOptions) {
    this.outbox = options.outbox
    this.#o = options
    const { host, port } = options
    this.#stream = new CollectorStream({
      host,
      port,
      tls: options.tls,
      clock: options.clock,
      maxPendingBytes: MAX_PENDING_BYTES,
      onWritten: (frames) => this.#written(frames),
      onRoom: () => this.#send(),
      onDown: (code, text) => {
        for (const entry of this.#pending) this.outbox.failed(entry)
        options.rare.say(
          `syslog ${code}`,
          'warn',
          `CDR syslog ${host}:${port}: ${text}; ${this.outbox.queued} records wait`,
        )
      },
      ...(options.minBackoffMs === undefined ? {} : { minBackoffMs: options.minBackoffMs }),
      ...(options.maxBackoffMs === undefined ? {} : { maxBackoffMs: options.maxBackoffMs }),
      ...(options.stallMs === undefined ? {} : { stallMs: options.stallMs }),
    })
  }

  start(): void {
    this.#stream.start()
  }

  wake(): void {
    if (this.#timer || this.#closed || !this.#stream.room) return
    this.#timer = this.#o.clock.startTimer(LINGER_MS, () => {
      this.#timer = null
      this.#send()
    })
  }

  hurry(): void {
    this.#stream.hurry()
    this.#send()
  }

  async close(): Promise<Entry[]> {
    this.#closed = true
    this.#timer?.cancel()
    this.#stream.close()
    return this.#pending
  }

  #send(): void {
    if (this.#closed) return
    while (this.#stream.room && this.outbox.waiting > 0) {
      const parts: Buffer[] = []
      let bytes = 0
      while (bytes < BLOCK_BYTES) {
        const entry = this.outbox.take()
        if (!entry) break
        const message = syslogMessage(entry, this.#o.origin)
        const count = Buffer.from(`${message.length} `)
        parts.push(count, message)
        bytes += count.length + message.length
        this.#pending.push(entry)
      }
      this.#stream.write(Buffer.concat(parts), parts.length / 2)
    }
  }

  #written(frames: number): void {
    const done = this.#pending.splice(0, frames)
    for (const entry of done) this.outbox.delivered(entry)
  }
}
