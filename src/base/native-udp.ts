import { isIPv4 } from 'node:net'
import { endianness } from 'node:os'
import {
  createBatch,
  createBurst,
  createReader,
  MSG_DONTWAIT,
  type NativeBatch,
  type NativeBurst,
  type NativeReader,
  SOCKADDR_IN,
} from './native-messages.ts'
import { loadFfi, type Ffi } from './ffi.ts'

export type { NativeBatch, NativeBurst, NativeReader } from './native-messages.ts'

/**
 * Datagrams straight to and from the kernel, through node:ffi, where the platform is known and the module is there; null
 * elsewhere, and node:dgram does the same for more CPU. Of a datagram that dgram sends or reads, half the cost is not the
 * kernel's; batches (sendmmsg, recvmmsg) save system calls, too. Waiting for datagrams, and every rare thing, stays with
 * dgram on the same socket.
 *
 * docs/decisions/0010-native-udp.md says why, and what would end it.
 */
export interface NativeUdp {
  /** A non-blocking IPv4 socket bound to the address; null when the kernel refuses. Whoever has it closes it, or hands it to dgram. */
  open(host: string, port: number): number | null
  /** Another descriptor of the same socket, to be closed on its own; null when there are no more. */
  duplicate(fd: number): number | null
  close(fd: number): void
  /** The address and port that the socket is bound to. */
  boundTo(fd: number): { readonly host: string; readonly port: number } | null
  /** Where a datagram goes, in the kernel's form; null unless an IPv4 address. Kept by the caller as long as it is used. */
  destination(host: string, port: number): Destination | null
  /** Memory whose bytes can be sent. */
  memory(bytes: number): NativeMemory
  /** Sends the first `length` bytes of the memory. False when the kernel does not take them now. */
  sendTo(fd: number, from: NativeMemory, length: number, to: Destination): boolean
  /** For a connected socket: packets lying one after another in memory. */
  batch(memory: NativeMemory, most: number): NativeBatch
  /** For an unconnected socket: datagrams to different peers, at most `most` and `bytes` at once. */
  burst(most: number, bytes: number): NativeBurst
  /** Takes in up to `most` datagrams at once. */
  reader(most: number): NativeReader
}

export interface NativeMemory {
  readonly bytes: Buffer
  readonly pointer: bigint
  /** The pointer as a number: no process has memory past 2^53, and numbers are reckoned with without allocating. */
  readonly address: number
}

/** A struct sockaddr_in. */
export type Destination = NativeMemory

const AF_INET = 2
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_RCVBUF = 8
/** As SO_RCVBUF, past net.core.rmem_max; needs CAP_NET_ADMIN. */
const SO_RCVBUFFORCE = 33
const SOCKET_BUFFER_BYTES = 4 << 20

export interface KernelUdp {
  socket(domain: number, type: number, protocol: number): number
  bind(fd: number, address: bigint, length: number): number
  close(fd: number): number
  setsockopt(fd: number, level: number, name: number, value: bigint, length: number): number
  sendto(fd: number, bytes: bigint, length: bigint, flags: number, to: bigint, toLength: number): bigint
  sendmmsg(fd: number, messages: bigint, count: number, flags: number): number
  recvmmsg(fd: number, messages: bigint, count: number, flags: number, timeout: bigint): number
  dup(fd: number): number
  getsockname(fd: number, address: bigint, length: bigint): number
}

function loadForUdp(): Ffi<KernelUdp> | null {
  const known = process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64')
  if (!known || endianness() !== 'LE' || process.env['SIPHON_NATIVE_UDP'] === '0') return null
  return loadFfi<KernelUdp>()
}

function load(): NativeUdp | null {
  const ffi = loadForUdp()
  if (ffi === null) return null
  try {
    const { functions } = ffi.dlopen(null, {
      socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
      bind: { arguments: ['int32', 'pointer', 'uint32'], return: 'int32' },
      close: { arguments: ['int32'], return: 'int32' },
      setsockopt: { arguments: ['int32', 'int32', 'int32', 'pointer', 'uint32'], return: 'int32' },
      sendto: { arguments: ['int32', 'pointer', 'uint64', 'int32', 'pointer', 'uint32'], return: 'int64' },
      sendmmsg: { arguments: ['int32', 'pointer', 'uint32', 'int32'], return: 'int32' },
      recvmmsg: { arguments: ['int32', 'pointer', 'uint32', 'int32', 'pointer'], return: 'int32' },
      dup: { arguments: ['int32'], return: 'int32' },
      getsockname: { arguments: ['int32', 'pointer', 'pointer'], return: 'int32' },
    })
    return create(ffi, functions)
  } catch {
    return null
  }
}

function create(ffi: Ffi<KernelUdp>, kernel: KernelUdp): NativeUdp {
  const memory = (bytes: number): NativeMemory => {
    // A slab of its own: it must not move, nor share its place with anything else.
    const buffer = Buffer.allocUnsafeSlow(bytes)
    const pointer = ffi.getRawPointer(buffer)
    return { bytes: buffer, pointer, address: Number(pointer) }
  }
  const destination = (host: string, port: number): Destination | null => {
    if (!isIPv4(host)) return null
    const address = memory(SOCKADDR_IN)
    address.bytes.fill(0)
    address.bytes.writeUInt16LE(AF_INET, 0)
    address.bytes.writeUInt16BE(port, 2)
    host.split('.').forEach((part, i) => address.bytes.writeUInt8(Number(part), 4 + i))
    return address
  }
  return {
    memory,
    destination,
    duplicate: (fd) => {
      const other = kernel.dup(fd)
      return other < 0 ? null : other
    },
    close: (fd) => void kernel.close(fd),
    boundTo: (fd) => {
      const address = memory(SOCKADDR_IN)
      const length = memory(4)
      length.bytes.writeInt32LE(SOCKADDR_IN, 0)
      if (kernel.getsockname(fd, address.pointer, length.pointer) !== 0) return null
      return { host: [...address.bytes.subarray(4, 8)].join('.'), port: address.bytes.readUInt16BE(2) }
    },
    open: (host, port) => {
      const address = destination(host, port)
      if (address === null) return null
      const fd = kernel.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
      if (fd < 0) return null
      const size = memory(4)
      size.bytes.writeInt32LE(SOCKET_BUFFER_BYTES, 0)
      // What the kernel does not grant is room for bursts only.
      if (kernel.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, size.pointer, 4) !== 0)
        kernel.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, size.pointer, 4)
      kernel.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, size.pointer, 4)
      if (kernel.bind(fd, address.pointer, SOCKADDR_IN) === 0) return fd
      kernel.close(fd)
      return null
    },
    sendTo: (fd, from, length, to) =>
      kernel.sendto(fd, from.pointer, BigInt(length), MSG_DONTWAIT, to.pointer, SOCKADDR_IN) >= 0n,
    batch: (from, most) => createBatch(kernel, from, most, memory),
    burst: (most, bytes) => createBurst(kernel, most, bytes, memory),
    reader: (most) => createReader(kernel, most, memory),
  }
}

/** Null where it is not to be had. */
export const nativeUdp: NativeUdp | null = load()
