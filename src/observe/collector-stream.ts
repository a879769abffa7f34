import { readFileSync } from 'node:fs'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Backoff } from '../base/backoff.ts'
import type { Clock, Timer } from '../base/clock.ts'

export interface TlsOptions {
  /** File of PEM certificates to trust instead of Node's own list. Read again for each connection. */
  readonly caFile?: string
  /** The name that the certificate must bear; the host when absent. */
  readonly serverName?: string
}

export interface CollectorStreamOptions {
  readonly host: string
  readonly port: number
  /** Null for plain TCP. The certificate is always verified. */
  readonly tls: TlsOptions | null
  readonly clock: Clock
  /** A block was handed to the kernel whole. The block's memory is the caller's again. */
  readonly onWritten: (frames: number, block: Buffer) => void
  /** There is room again, or for the first time. */
  readonly onRoom: () => void
  /** A connection failed or ended. `code` is a fixed word. */
  readonly onDown: (code: string, text: string) => void
  /** First and longest wait before reconnecting. Default 1 s and 30 s. */
  readonly minBackoffMs?: number
  readonly maxBackoffMs?: number
  /** Bytes that may wait in this process for the peer to read. Default 512 KiB. */
  readonly maxPendingBytes?: number
  /** A connection not made in this time, or on which nothing moved for so long although bytes wait, is given up. Default 10 s. */
  readonly stallMs?: number
}

interface Block {
  readonly bytes: Buffer
  readonly frames: number
}

/**
 * A TCP or TLS connection to a collector that only listens, kept up for ever. What is written are blocks of whole frames;
 * a block is kept until the kernel has all of it. When a connection dies, its unfinished blocks are sent again from their
 * start on the next one: no frame is lost in this process, none is cut, and those at the seam may come twice.
 * Bytes that the kernel had taken and the peer had not read are lost with the connection; TCP does not tell which.
 */
export class CollectorStream {
  readonly #o: CollectorStreamOptions
  readonly #backoff: Backoff
  readonly #maxPending: number
  readonly #stallMs: number
  readonly #blocks: Block[] = []
  #pendingBytes = 0
  #pendingFrames = 0
  #socket: Socket | null = null
  #connected = false
  #connectedAt = 0
  #movedAt = 0
  #timer: Timer | null = null
  #watch: Timer | null = null
  #closed = false

  constructor(options: CollectorStreamOptions) {
    this.#o = options
    this.#backoff = new Backoff(options.minBackoffMs ?? 1000, options.maxBackoffMs ?? 30_000)
    this.#maxPending = options.maxPendingBytes ?? 512 * 1024
    this.#stallMs = options.stallMs ?? 10_000
  }

  get connected(): boolean {
    return this.#connected
  }

  /** Frames given to `write` and not yet reported by `onWritten`. */
  get pendingFrames(): number {
    return this.#pendingFrames
  }

  /** True when a block may be written now. */
  get room(): boolean {
    return this.#connected && this.#pendingBytes < this.#maxPending
  }

  start(): void {
    this.#connect()
  }

  /** Takes a block of `frames` whole frames. Must not be changed until it comes back through `onWritten`. */
  write(bytes: Buffer, frames: number): void {
    const block = { bytes, frames }
    this.#blocks.push(block)
    this.#pendingBytes += bytes.length
    this.#pendingFrames += frames
    if (this.#pendingBytes === bytes.length) this.#movedAt = this.#o.clock.now()
    if (this.#connected && this.#socket) this.#send(this.#socket, block)
  }

  /** Ends the connection and forgets what is pending. An orderly end (FIN) follows what the kernel has. */
  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#watch?.cancel()
    this.#connected = false
    const socket = this.#socket
    this.#socket = null
    if (!socket) return
    // After end(), so that the peer sees all that was written; destroyed at once when something never was.
    if (this.#blocks.length > 0) socket.destroy()
    else socket.end(() => socket.destroy())
  }

  /** Tries to connect now instead of waiting for the backoff to pass. */
  hurry(): void {
    if (this.#socket || this.#closed) return
    this.#timer?.cancel()
    this.#connect()
  }

  #send(socket: Socket, block: Block): void {
    socket.write(block.bytes, (error) => {
      // The callbacks of a dead connection come late; its blocks have been taken over by the next one.
      if (error || socket !== this.#socket) return
      this.#movedAt = this.#o.clock.now()
      const full = !this.room
      this.#blocks.shift()
      this.#pendingBytes -= block.bytes.length
      this.#pendingFrames -= block.frames
      this.#o.onWritten(block.frames, block.bytes)
      if (full && this.room) this.#o.onRoom()
    })
  }

  #connect(): void {
    this.#timer = null
    if (this.#closed) return
    let socket: Socket
    try {
      socket = this.#open()
    } catch (error) {
      // An unreadable CA file: the operator may put it right while we run.
      this.#o.onDown('connect', error instanceof Error ? error.message : String(error))
      this.#retry()
      return
    }
    this.#socket = socket
    this.#movedAt = this.#o.clock.now()
    let why = 'closed by the collector'
    let code = 'closed'
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 30_000)
    socket.on(this.#o.tls ? 'secureConnect' : 'connect', () => {
      if (socket !== this.#socket) return
      this.#connected = true
      this.#connectedAt = this.#o.clock.now()
      this.#movedAt = this.#connectedAt
      for (const block of this.#blocks) this.#send(socket, block)
      this.#o.onRoom()
    })
    // Collectors do not speak; what they say is read and dropped so that their window never fills.
    socket.resume()
    socket.on('error', (error: NodeJS.ErrnoException) => {
      why = error.message
      code = error.code ?? 'error'
    })
    socket.on('close', () => {
      if (socket !== this.#socket) return
      this.#down(code, why)
    })
    this.#watchStall(socket)
  }

  #open(): Socket {
    const { host, port, tls } = this.#o
    if (!tls) return connectTcp({ host, port })
    const name = tls.serverName ?? host
    return connectTls({
      host,
      port,
      rejectUnauthorized: true,
      // RFC 6066 §3 has no server names that are addresses.
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ...(tls.caFile === undefined ? {} : { ca: readFileSync(tls.caFile) }),
    })
  }

  #down(code: string, why: string): void {
    // Only a connection that lasted proves the collector well: one that accepts and resets must not be tried in a loop.
    if (this.#connected && this.#o.clock.now() - this.#connectedAt > this.#stallMs) this.#backoff.reset()
    this.#connected = false
    this.#socket = null
    this.#watch?.cancel()
    if (this.#closed) return
    this.#o.onDown(code, why)
    this.#retry()
  }

  #retry(): void {
    this.#timer = this.#o.clock.startTimer(this.#backoff.next(), () => this.#connect())
  }

  #watchStall(socket: Socket): void {
    this.#watch = this.#o.clock.startTimer(this.#stallMs / 4, () => {
      if (socket !== this.#socket) return
      const waiting = !this.#connected || this.#pendingBytes > 0
      if (waiting && this.#o.clock.now() - this.#movedAt >= this.#stallMs) {
        socket.destroy()
        this.#down('stalled', this.#connected ? 'the collector does not read' : 'no connection in time')
        return
      }
      this.#watchStall(socket)
    })
  }
}
