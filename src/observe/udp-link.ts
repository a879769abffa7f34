import { createSocket, type Socket } from 'node:dgram'
import { lookup as dnsLookup } from 'node:dns'
import { Backoff } from '../base/backoff.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { nativeUdp, type NativeBatch } from '../base/native-udp.ts'

export type Lookup = (
  host: string,
  then: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
) => void

export interface UdpLinkOptions {
  readonly host: string
  readonly port: number
  readonly clock: Clock
  readonly onSent: () => void
  /** A packet was not taken by the kernel. */
  readonly onLost: () => void
  /** Something is wrong with the collector or the way to it. `code` is a fixed word. */
  readonly onError: (code: string, text: string) => void
  /** Packets can be sent: for the first time, or again after the address changed. */
  readonly onReady?: () => void
  readonly lookup?: Lookup
  readonly minBackoffMs?: number
  readonly maxBackoffMs?: number
}

/** How long after an error the collector counts as not connected. */
const SUSPECT_MS = 1000

/**
 * A connected UDP socket to a collector. Connected, so that a closed port is heard of (ECONNREFUSED) and no address is
 * looked up for each packet. After an error the name is resolved anew, with backoff, and the socket replaced when the
 * address has changed.
 */
export class UdpLink {
  readonly #o: UdpLinkOptions
  readonly #lookup: Lookup
  readonly #backoff: Backoff
  readonly #onResult: (error: Error | null) => void
  #socket: Socket | null = null
  /** The socket's descriptor, when batches can go straight to the kernel. */
  #fd: number | null = null
  #address = ''
  #ready = false
  #pending = 0
  #timer: Timer | null = null
  #lastErrorAt = Number.NEGATIVE_INFINITY
  #closed = false

  constructor(options: UdpLinkOptions) {
    this.#o = options
    this.#lookup =
      options.lookup ?? ((host, then) => dnsLookup(host, (e, address, family) => then(e, address, family)))
    this.#backoff = new Backoff(options.minBackoffMs ?? 1000, options.maxBackoffMs ?? 30_000)
    // One function for all packets: a closure for each would be a third of the cost of sending.
    this.#onResult = (error) => {
      this.#pending--
      // The owner has counted what was pending at the close.
      if (this.#closed) return
      if (error) {
        this.#o.onLost()
        this.#suspect(error)
      } else this.#o.onSent()
    }
  }

  /** True when packets can be sent. */
  get ready(): boolean {
    return this.#ready
  }

  /** Ready, and no error within the last second. */
  get connected(): boolean {
    return this.#ready && this.#o.clock.now() - this.#lastErrorAt > SUSPECT_MS
  }

  /** Packets given to `send` whose outcome has not been reported. Their bytes must not change meanwhile. */
  get pending(): number {
    return this.#pending
  }

  start(): void {
    this.#resolve()
  }

  /** Sends `length` bytes from `offset`. The outcome comes through `onSent` or `onLost`, later in the same tick as a rule. */
  send(bytes: Buffer, offset: number, length: number): void {
    this.#pending++
    this.#socket?.send(bytes, offset, length, this.#onResult)
  }

  /** Whether `sendBatch` may be used. */
  get takesBatches(): boolean {
    return this.#fd !== null && this.#ready
  }

  /** Sends a batch in one system call. Returns how many the kernel took; give the others to `send`, which tells what is wrong. */
  sendBatch(batch: NativeBatch): number {
    return this.#fd === null ? 0 : batch.send(this.#fd)
  }

  /** Resolves now instead of waiting for the backoff to pass. */
  hurry(): void {
    if (this.#ready || this.#closed || !this.#timer) return
    this.#timer.cancel()
    this.#resolve()
  }

  close(): void {
    this.#closed = true
    this.#ready = false
    this.#timer?.cancel()
    this.#fd = null
    this.#socket?.close()
    this.#socket = null
  }

  #suspect(error: NodeJS.ErrnoException): void {
    this.#lastErrorAt = this.#o.clock.now()
    this.#o.onError(error.code ?? 'error', error.message)
    if (this.#timer || this.#closed) return
    this.#timer = this.#o.clock.startTimer(this.#backoff.next(), () => this.#resolve())
  }

  #resolve(): void {
    this.#timer = null
    this.#lookup(this.#o.host, (error, address, family) => {
      if (this.#closed) return
      if (error) return this.#suspect(error)
      if (address === this.#address && this.#ready) return
      this.#open(address, family)
    })
  }

  #open(address: string, family: number): void {
    this.#ready = false
    this.#fd = null
    this.#socket?.close()
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4')
    this.#socket = socket
    socket.on('error', (error) => {
      if (socket === this.#socket) this.#suspect(error)
    })
    const fd = family === 4 ? (nativeUdp?.open('0.0.0.0', 0) ?? null) : null
    const connected = (error?: Error): void => {
      if (socket !== this.#socket) return
      if (error) return this.#suspect(error)
      this.#address = address
      this.#fd = fd
      this.#ready = true
      this.#backoff.reset()
      this.#o.onReady?.()
    }
    const connect = (): void => {
      if (socket === this.#socket) socket.connect(this.#o.port, address, connected)
    }
    if (fd === null) connect()
    else socket.bind({ fd, exclusive: true }, connect)
  }
}
