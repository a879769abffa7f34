import type { Address, Path } from '../../src/base/address.ts'
import { formatAddress } from '../../src/base/address.ts'
import type { Clock } from '../../src/base/clock.ts'

/** Receives datagrams; `path.local` is its own address. */
export interface Endpoint {
  onDatagram(bytes: Uint8Array, path: Path): void
}

/** Sends a datagram from `path.local` to `path.remote`. */
export type Send = (path: Path, bytes: Uint8Array) => void

export interface NetworkRules {
  /** One way, from any endpoint to any. Default 0: a datagram still arrives after the code that sent it has returned. */
  readonly latencyMs?: number
  /** Datagrams that never arrive: 'siphon→bob #1' is the first one siphon sends to bob. */
  readonly lose?: readonly string[]
  /** Datagrams that arrive twice, named in the same way. */
  readonly repeat?: readonly string[]
  /** Datagrams that arrive this much later: ['bob→siphon #2', 300]. */
  readonly delay?: readonly (readonly [datagram: string, ms: number])[]
  /** Chance: the same seed gives the same run. Shares are 0 … 1. */
  readonly chaos?: {
    readonly seed: number
    readonly loss?: number
    readonly duplication?: number
    /** Each datagram takes up to this much longer, so that they overtake each other. */
    readonly jitterMs?: number
  }
}

/** A datagram was sent. */
export interface Sent {
  readonly at: number
  readonly from: string
  readonly to: string
  readonly bytes: Uint8Array
  /** How many of it arrive: 0 when lost. */
  readonly copies: number
}

interface Attached {
  readonly name: string
  readonly endpoint: Endpoint
}

/** A UDP network in one process, on an injected clock. */
export class SimulatedNetwork {
  readonly sent: Sent[] = []
  readonly #clock: Clock
  readonly #rules: NetworkRules
  readonly #attached = new Map<string, Attached>()
  readonly #counts = new Map<string, number>()
  readonly #chance: () => number

  constructor(clock: Clock, rules: NetworkRules = {}) {
    this.#clock = clock
    this.#rules = rules
    this.#chance = mulberry32(rules.chaos?.seed ?? 0)
  }

  /** Connects an endpoint at an address and gives it a way to send. One endpoint may have several addresses. */
  attach(name: string, address: Address, endpoint: Endpoint): Send {
    const key = formatAddress(address)
    if (this.#attached.has(key)) throw new Error(`${key} is taken`)
    this.#attached.set(key, { name, endpoint })
    return (path, bytes) => this.#send(path, bytes)
  }

  /** What is sent to this address from now on is lost. */
  detach(address: Address): void {
    this.#attached.delete(formatAddress(address))
  }

  #send(path: Path, bytes: Uint8Array): void {
    const from = this.#name(path.local)
    const to = this.#name(path.remote)
    const count = (this.#counts.get(`${from}→${to}`) ?? 0) + 1
    this.#counts.set(`${from}→${to}`, count)
    const copies = this.#copies(`${from}→${to} #${count}`)
    // The sender may use its buffer again.
    const own = Uint8Array.from(bytes)
    this.sent.push({ at: this.#clock.now(), from, to, bytes: own, copies })
    for (let i = 0; i < copies; i++) {
      this.#clock.startTimer(this.#latency(`${from}→${to} #${count}`), () => {
        const receiver = this.#attached.get(formatAddress(path.remote))
        receiver?.endpoint.onDatagram(own, {
          protocol: path.protocol,
          local: path.remote,
          remote: path.local,
        })
      })
    }
  }

  #copies(datagram: string): number {
    const { lose = [], repeat = [], chaos } = this.#rules
    if (lose.includes(datagram)) return 0
    if (repeat.includes(datagram)) return 2
    if (chaos === undefined) return 1
    // Both drawn always, so that one rule does not shift the other's luck.
    const lost = this.#chance() < (chaos.loss ?? 0)
    const twice = this.#chance() < (chaos.duplication ?? 0)
    if (lost) return 0
    return twice ? 2 : 1
  }

  #latency(datagram: string): number {
    const { latencyMs = 0, delay = [], chaos } = this.#rules
    const more = delay.find(([name]) => name === datagram)?.[1] ?? 0
    return latencyMs + more + Math.floor(this.#chance() * (chaos?.jitterMs ?? 0))
  }

  #name(address: Address): string {
    const key = formatAddress(address)
    return this.#attached.get(key)?.name ?? key
  }
}

/** A small seeded generator: 32 bits of state, numbers in [0, 1). */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
