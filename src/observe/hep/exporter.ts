import type { ByteRingReader } from '../../base/byte-ring.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import { nativeUdp, type NativeBatch } from '../../base/native-udp.ts'
import { CollectorStream, type TlsOptions } from '../collector-stream.ts'
import { RareLog, type Log } from '../../base/rare-log.ts'
import { HepEncoder, MAX_PACKET, type HepFields, type HepIdentity } from './encode.ts'
import { RECORD_HEADER } from './tap.ts'
import { UdpLink, type Lookup } from '../udp-link.ts'

export interface HepExporterOptions {
  /** One ring for each engine. */
  readonly rings: readonly ByteRingReader[]
  readonly clock: Clock
  readonly log: Log
  readonly identity: HepIdentity
  /** A name or an address, IPv6 without brackets. */
  readonly host: string
  readonly port: number
  readonly transport: 'udp' | 'tcp' | 'tls'
  readonly tls?: TlsOptions
  readonly minBackoffMs?: number
  readonly maxBackoffMs?: number
  readonly lookup?: Lookup
}

/** produced = sent + dropped.ringFull + dropped.sendError + dropped.shutdown + queued, always. */
export interface HepLevels {
  /** Messages that the taps saw. */
  readonly produced: number
  /** Packets handed to the kernel. */
  readonly sent: number
  readonly dropped: {
    /** The ring had no room: the collector is slower than the traffic, or away. */
    readonly ringFull: number
    /** The kernel refused the datagram. */
    readonly sendError: number
    /** Not sent when the time for it had passed at the end. */
    readonly shutdown: number
  }
  /** In the rings, and in this thread on their way out. */
  readonly queued: number
  /** Of those sent: packets whose payload was cut. */
  readonly cut: number
  /** Failures of the collector, whether a packet was lost by them or not. */
  readonly errors: number
  readonly connected: boolean
}

/** A burst must fit the receive buffer of a collector (212,992 bytes by default in Linux, ~2.3 kB a packet). */
const BURST = 80
/** With the ring more than half full, catching up matters more. */
const BURST_BEHIND = 512
const SLAB_BYTES = 256 * 1024
const BLOCK_BYTES = 64 * 1024
const AGAIN_MS = 1
/** Nobody waits for a trace, and the times in it are those of the messages: to be woken more often only costs. */
const BUSY_MS = 10
const IDLE_MS = 100
const FREE_BLOCKS = 8

/** The control thread's side of tracing: drains the rings, encodes, and sends. */
export class HepExporter {
  readonly #o: HepExporterOptions
  readonly #rare: RareLog
  readonly #encoder: HepEncoder
  readonly #udp: UdpLink | null
  readonly #stream: CollectorStream | null
  readonly #slab: Buffer
  /** The packets of one burst, for the kernel to take at once; null where it cannot. */
  readonly #batch: NativeBatch | null
  /** Where each packet of the burst begins, and where the last one ends. */
  readonly #bounds: number[] = []
  readonly #free: Buffer[] = []
  readonly #fields: HepFields
  #timer: Timer | null = null
  #waitMs = BUSY_MS
  #sent = 0
  #sendErrors = 0
  #atShutdown = 0
  #cut = 0
  #errors = 0
  #ringFullSaid = 0
  #closed = false

  constructor(options: HepExporterOptions) {
    this.#o = options
    this.#rare = new RareLog(options.clock, options.log)
    this.#encoder = new HepEncoder(options.identity)
    const memory = nativeUdp?.memory(SLAB_BYTES) ?? null
    this.#slab = memory?.bytes ?? Buffer.allocUnsafeSlow(SLAB_BYTES)
    this.#batch = memory === null ? null : (nativeUdp?.batch(memory, BURST_BEHIND) ?? null)
    this.#fields = {
      from: this.#slab,
      seconds: 0,
      microseconds: 0,
      addressStart: 0,
      correlationStart: 0,
      payloadStart: 0,
      payloadEnd: 0,
      originalLength: 0,
    }
    const { host, port, clock } = options
    const backoff = {
      ...(options.minBackoffMs === undefined ? {} : { minBackoffMs: options.minBackoffMs }),
      ...(options.maxBackoffMs === undefined ? {} : { maxBackoffMs: options.maxBackoffMs }),
    }
    const onError = (code: string, text: string): void => this.#failed(code, text)
    this.#udp =
      options.transport === 'udp'
        ? new UdpLink({
            host,
            port,
            clock,
            onSent: () => void this.#sent++,
            onLost: () => void this.#sendErrors++,
            onError,
            ...(options.lookup ? { lookup: options.lookup } : {}),
            ...backoff,
          })
        : null
    this.#stream =
      options.transport === 'udp'
        ? null
        : new CollectorStream({
            host,
            port,
            tls: options.transport === 'tls' ? (options.tls ?? {}) : null,
            clock,
            onWritten: (frames, block) => {
              this.#sent += frames
              // The block is a part of its memory; all of it is free again.
              if (this.#free.length < FREE_BLOCKS) this.#free.push(Buffer.from(block.buffer))
            },
            onRoom: () => this.wake(),
            onDown: onError,
            ...backoff,
          })
  }

  start(): void {
    this.#udp?.start()
    this.#stream?.start()
    this.#schedule(BUSY_MS)
  }

  /** Says that there is something in a ring. Never needed: without it an idle exporter looks every 100 ms. */
  wake(): void {
    if (this.#closed || this.#waitMs <= BUSY_MS) return
    this.#schedule(AGAIN_MS)
  }

  levels(): HepLevels {
    let taken = 0
    let ringFull = 0
    let inRings = 0
    for (const ring of this.#o.rings) {
      taken += ring.taken
      ringFull += ring.refused
      inRings += ring.queued
    }
    const queued = inRings + (taken - this.#sent - this.#sendErrors - this.#atShutdown)
    return {
      produced: taken + inRings + ringFull,
      sent: this.#sent,
      dropped: { ringFull, sendError: this.#sendErrors, shutdown: this.#atShutdown },
      queued,
      cut: this.#cut,
      errors: this.#errors,
      connected: this.#udp?.connected ?? this.#stream?.connected ?? false,
    }
  }

  /** Sends what the rings hold, for at most `deadlineMs`. True when all of it was sent. */
  async flush(deadlineMs: number): Promise<boolean> {
    const end = this.#o.clock.now() + deadlineMs
    this.#udp?.hurry()
    this.#stream?.hurry()
    for (;;) {
      this.poll()
      if (this.levels().queued === 0) return true
      if (this.#o.clock.now() >= end) return false
      await new Promise<void>((resolve) => void this.#o.clock.startTimer(AGAIN_MS, resolve))
    }
  }

  /** Stops. What was not sent is counted as dropped at shutdown. Call after the engines have stopped, and after `flush`. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#timer?.cancel()
    for (const ring of this.#o.rings) ring.drain(Number.POSITIVE_INFINITY, () => true)
    this.#atShutdown += this.levels().queued
    this.#udp?.close()
    this.#stream?.close()
  }

  /** Sends one burst. True when there is more to send at once. */
  poll(): boolean {
    if (this.#closed) return false
    let more = false
    for (const ring of this.#o.rings) {
      const burst = ring.usedBytes * 2 > ring.capacity ? BURST_BEHIND : BURST
      const count = this.#udp ? this.#pollUdp(this.#udp, ring, burst) : this.#pollStream(ring, burst)
      if (count > 0) this.#waitMs = BUSY_MS
      // A few that are left over can wait for the next look: to be woken for them costs more than they do.
      if (count >= burst && ring.queued > BURST / 2) more = true
    }
    this.#sayRingFull()
    return more
  }

  #schedule(ms: number): void {
    this.#timer?.cancel()
    this.#waitMs = ms
    this.#timer = this.#o.clock.startTimer(ms, () => {
      const before = this.#waitMs
      this.#waitMs = IDLE_MS + 1
      const more = this.poll()
      // poll() sets the wait back when it found something.
      const idle = this.#waitMs > IDLE_MS
      if (!this.#closed) this.#schedule(more ? AGAIN_MS : idle ? Math.min(IDLE_MS, before * 2) : BUSY_MS)
    })
  }

  #pollUdp(link: UdpLink, ring: ByteRingReader, burst: number): number {
    // While the kernel still reads the last burst, the slab is not ours and the way is congested.
    if (!link.ready || link.pending > 0) return 0
    const batch = link.takesBatches ? this.#batch : null
    const bounds = this.#bounds
    bounds.length = 0
    let at = 0
    const count = ring.drain(burst, (start, end) => {
      const fields = this.#read(ring, start, end)
      if (at + this.#encoder.maxLength(fields) + 64 > SLAB_BYTES) return false
      const after = this.#encoder.encode(this.#slab, at, fields)
      batch?.add(at, after - at)
      bounds.push(at)
      at = after
      return true
    })
    bounds.push(at)
    const taken = batch === null ? 0 : link.sendBatch(batch)
    this.#sent += taken
    // The rest one by one: node waits for room in the kernel, and tells what is wrong.
    for (let i = taken; i < count; i++) {
      const offset = bounds[i] ?? 0
      link.send(this.#slab, offset, (bounds[i + 1] ?? offset) - offset)
    }
    return count
  }

  #pollStream(ring: ByteRingReader, burst: number): number {
    const stream = this.#stream
    let total = 0
    while (total < burst * 8) {
      if (!stream?.room) break
      const block = this.#free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES + MAX_PACKET)
      let at = 0
      const count = ring.drain(burst, (start, end) => {
        if (at > BLOCK_BYTES) return false
        at = this.#encoder.encode(block, at, this.#read(ring, start, end))
        return true
      })
      if (count === 0) {
        this.#free.push(block)
        break
      }
      stream.write(block.subarray(0, at), count)
      total += count
    }
    return total
  }

  #read(ring: ByteRingReader, start: number, end: number): HepFields {
    const fields = this.#fields
    const { words } = ring
    const word = start >> 2
    const lengths = words[word + 3] ?? 0
    fields.from = ring.bytes
    fields.seconds = words[word] ?? 0
    fields.microseconds = words[word + 1] ?? 0
    fields.originalLength = words[word + 2] ?? 0
    fields.addressStart = start + RECORD_HEADER
    fields.correlationStart = fields.addressStart + (lengths >>> 16)
    fields.payloadStart = fields.correlationStart + (lengths & 0xffff)
    fields.payloadEnd = end
    return fields
  }

  #failed(code: string, text: string): void {
    this.#errors++
    this.#rare.say(`hep ${code}`, 'warn', `HEP collector ${this.#o.host}:${this.#o.port}: ${text}`)
  }

  #sayRingFull(): void {
    let full = 0
    for (const ring of this.#o.rings) full += ring.refused
    if (full === this.#ringFullSaid) return
    this.#ringFullSaid = full
    this.#rare.say(
      'hep ring',
      'warn',
      `HEP: ${full} messages not traced so far: the collector takes them too slowly or not at all`,
    )
  }
}
