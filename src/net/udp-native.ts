import type { Socket } from 'node:dgram'
import type { Address } from '../base/address.ts'
import type { Looks } from '../base/looks.ts'
import type { Destination, NativeBurst, NativeReader, NativeUdp } from '../base/native-udp.ts'
import {
  type DatagramListener,
  isDatagram,
  isPort,
  MAX_DATAGRAM,
  type Peer,
  sendByDgram,
  type UdpEndpoint,
  udpSocket,
} from './udp-endpoint.ts'

/** Datagrams read in one system call, and such calls before others get their turn: a flood must not stop the timers. */
const READ_AT_ONCE = 32
const READS_A_TURN = 8
/** Datagrams sent in one system call. */
const SEND_AT_ONCE = 64
const SEND_BYTES = 4 * MAX_DATAGRAM

/**
 * From this many datagrams within this many milliseconds on, the socket is looked at regularly (`Looks`) instead of the loop being
 * woken by each datagram: what comes together is then read, handled, passed to the handlers and sent together.
 */
const BUSY_COUNT = 10
const BUSY_MS = 10
/** Below this many datagrams in so many looks, waiting for the next costs less than looking. */
const CALM_COUNT = 25
const CALM_LOOKS = 13

/** How many addresses are remembered as text. */
const HOSTS_REMEMBERED = 4_096

interface NativePeer extends Peer {
  /** Null where the address is none of the kernel's: dgram says what is wrong with it. */
  readonly native: Destination | null
}

/** For all endpoints of the thread: what is read is handed over before anything else is read. */
let sharedReader: NativeReader | null = null

/** By the kernel's own calls (`NativeUdp`); dgram waits for datagrams while there are few, and takes what the kernel refuses. */
export class NativeEndpoint implements UdpEndpoint {
  readonly local: Address
  readonly #udp: NativeUdp
  readonly #fd: number
  readonly #listener: DatagramListener
  readonly #looks: Looks
  readonly #reader: NativeReader
  readonly #burst: NativeBurst
  /** To whom each datagram of the burst goes. */
  readonly #to: NativePeer[] = []
  readonly #hosts = new Map<number, string>()
  /** Waits for datagrams; null while it is looked for them. */
  #watcher: Socket | null = null
  #count = 0
  /** While waiting: since when `#count` counts, ms; while looking: the looks it counts over. */
  #over = 0
  #flushing = false
  #closed = false

  private constructor(udp: NativeUdp, fd: number, local: Address, listener: DatagramListener, looks: Looks) {
    this.#udp = udp
    this.#fd = fd
    this.local = local
    this.#listener = listener
    this.#looks = looks
    this.#reader = sharedReader ??= udp.reader(READ_AT_ONCE)
    this.#burst = udp.burst(SEND_AT_ONCE, SEND_BYTES)
  }

  /** Takes over a bound socket. */
  static async open(
    udp: NativeUdp,
    fd: number,
    listener: DatagramListener,
    looks: Looks,
  ): Promise<UdpEndpoint> {
    const local = udp.boundTo(fd)
    if (local === null) throw new Error('a bound socket without an address')
    const endpoint = new NativeEndpoint(udp, fd, local, listener, looks)
    // Not before whoever opens it knows it.
    queueMicrotask(() => {
      if (!endpoint.#wait()) endpoint.#startLooking()
    })
    return endpoint
  }

  peer(host: string, port: number): Peer {
    const native = isPort(port) ? this.#udp.destination(host, port) : null
    const peer: NativePeer = { host, port, native }
    return peer
  }

  send(text: string, to: Peer): Uint8Array | null {
    const peer = to as NativePeer
    if (this.#closed || !isDatagram(text, peer)) return null
    if (peer.native === null) {
      const bytes = Buffer.from(text, 'latin1')
      this.#sendByDgram(bytes, peer)
      return bytes
    }
    let bytes = this.#burst.add(text, peer.native)
    if (bytes === null) {
      this.#flush()
      bytes = this.#burst.add(text, peer.native)
      if (bytes === null) return null
    }
    this.#to.push(peer)
    if (!this.#flushing) {
      this.#flushing = true
      void RESOLVED.then(this.#flush)
    }
    return bytes
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    this.#flush()
    this.#closed = true
    this.#looks.leave(this.#look)
    const watcher = this.#watcher
    this.#watcher = null
    this.#udp.close(this.#fd)
    return new Promise((resolve) => (watcher === null ? resolve() : watcher.close(() => resolve())))
  }

  readonly #flush = (): void => {
    this.#flushing = false
    if (this.#burst.size === 0) return
    this.#burst.send(this.#fd, (index, bytes) => {
      const peer = this.#to[index]
      // No room in the kernel, or something wrong: dgram waits for the one and tells what the other is.
      if (peer !== undefined) this.#sendByDgram(Buffer.from(bytes), peer)
    })
    this.#to.length = 0
  }

  #sendByDgram(bytes: Buffer, to: Peer): void {
    if (this.#watcher === null) this.#wait()
    if (this.#watcher !== null) sendByDgram(this.#watcher, bytes, to, this.#listener)
  }

  /** Lets dgram wait for the next datagram, on a descriptor of its own. False: there is none left. */
  #wait(): boolean {
    if (this.#closed || this.#watcher !== null) return true
    const fd = this.#udp.duplicate(this.#fd)
    if (fd === null) return false
    this.#looks.leave(this.#look)
    this.#count = 0
    const socket = udpSocket(4)
    this.#watcher = socket
    let waits = false
    socket.once('listening', () => (waits = true))
    socket.on('error', (error) => {
      this.#listener.onError(error)
      if (waits || this.#watcher !== socket) return
      // It will never hear anything.
      this.#watcher = null
      socket.close()
      this.#startLooking()
    })
    socket.on('message', (bytes, from) => {
      if (this.#closed) return
      this.#listener.onDatagram(bytes, from.address, from.port)
      const read = 1 + this.#read()
      this.#listener.onBatch?.()
      const now = performance.now()
      if (now - this.#over > BUSY_MS) {
        this.#over = now
        this.#count = 0
      }
      this.#count += read
      // What still waits there for room would be lost with it.
      if (this.#count >= BUSY_COUNT && this.#watcher === socket && socket.getSendQueueCount() === 0) {
        this.#watcher = null
        socket.close()
        this.#startLooking()
      }
    })
    socket.bind({ fd, exclusive: true })
    return true
  }

  #startLooking(): void {
    if (this.#closed) return
    this.#count = 0
    this.#over = 0
    this.#looks.join(this.#look)
  }

  readonly #look = (): boolean => {
    const read = this.#read()
    if (read > 0) this.#listener.onBatch?.()
    this.#count += read
    if (++this.#over >= CALM_LOOKS) {
      // Without a descriptor to wait on, looking goes on: it needs none.
      if (this.#count < CALM_COUNT && this.#wait()) return false
      this.#over = 0
      this.#count = 0
    }
    return read >= READ_AT_ONCE * READS_A_TURN
  }

  /** Hands over what has come. Returns how many. */
  #read(): number {
    const reader = this.#reader
    let total = 0
    for (let reads = 0; reads < READS_A_TURN && !this.#closed; reads++) {
      const count = reader.read(this.#fd)
      for (let i = 0; i < count; i++) {
        const source = reader.source(i)
        const port = source % 65_536
        this.#listener.onDatagram(reader.bytes(i), this.#hostOf((source - port) / 65_536), port)
      }
      total += count
      if (count < READ_AT_ONCE) break
    }
    return total
  }

  #hostOf(ip: number): string {
    let host = this.#hosts.get(ip)
    if (host === undefined) {
      host = `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`
      if (this.#hosts.size >= HOSTS_REMEMBERED) this.#hosts.clear()
      this.#hosts.set(ip, host)
    }
    return host
  }
}

const RESOLVED = Promise.resolve()
