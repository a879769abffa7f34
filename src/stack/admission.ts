import { sourceOf } from '../base/network.ts'
import type { Limits } from '../sip/message/limits.ts'
import type { DropReason } from '../spine/facts.ts'
import type { Porter, StreamProtocol, Visit } from '../net/accept.ts'

export interface TransportLimits {
  /** Accepted sockets, those in a handshake included. */
  readonly maxConnections: number
  /** See `sourceOf`: of an IPv6 address, its /64. */
  readonly maxConnectionsPerSource: number
  /** Sockets whose TLS, WebSocket or PROXY handshake is not through yet. */
  readonly maxHandshakes?: number
  /** What one message may cost. */
  readonly message?: Limits
}

export const defaultTransportLimits: TransportLimits = {
  maxConnections: 16_384,
  maxConnectionsPerSource: 2_048,
}

const MAX_HANDSHAKES = 1_024

export interface AdmissionOptions {
  readonly limits: TransportLimits
  /** Asked for each source: false turns it away (bans, access lists), and has been counted. */
  readonly admit: (remoteHost: string, protocol: StreamProtocol) => boolean
  readonly onRefused: (protocol: StreamProtocol, why: DropReason) => void
  /** @param source null: a load balancer has not told it yet */
  readonly onHandshakeFailed: (protocol: StreamProtocol, why: string, source: string | null) => void
}

/** Who may come in: counts accepted sockets from accept to close, in all, by source, and those still in a handshake. */
export class Admission {
  readonly #o: AdmissionOptions
  readonly #bySource = new Map<string, number>()
  #open = 0
  #handshakes = 0

  constructor(options: AdmissionOptions) {
    this.#o = options
  }

  get handshakes(): number {
    return this.#handshakes
  }

  porter(protocol: StreamProtocol): Porter {
    return {
      enter: (host) => this.#enter(protocol, host),
      stranger: () => this.#o.onRefused(protocol, 'proxy_protocol'),
    }
  }

  #enter(protocol: StreamProtocol, host: string | null): Visit | null {
    const { limits, onRefused, onHandshakeFailed } = this.#o
    const why =
      this.#open >= limits.maxConnections
        ? 'connections'
        : this.#handshakes >= (limits.maxHandshakes ?? MAX_HANDSHAKES) &&
            (protocol !== 'tcp' || host === null)
          ? 'handshakes'
          : null
    if (why !== null) {
      onRefused(protocol, why)
      return null
    }
    let source: string | null = null
    let peer: string | null = null
    let shaking = true
    const comesFrom = (remote: string): boolean => {
      if (!this.#o.admit(remote, protocol)) return false
      peer = remote
      const from = sourceOf(remote)
      const present = this.#bySource.get(from) ?? 0
      if (present >= limits.maxConnectionsPerSource) {
        onRefused(protocol, 'connections_per_source')
        return false
      }
      source = from
      this.#bySource.set(from, present + 1)
      return true
    }
    if (host !== null && !comesFrom(host)) return null
    this.#open++
    this.#handshakes++
    const through = (): void => {
      if (shaking) this.#handshakes--
      shaking = false
    }
    return {
      comesFrom,
      admitted: through,
      failed: (step, what) => {
        through()
        if (step === 'proxy') onRefused(protocol, 'proxy_protocol')
        else onHandshakeFailed(protocol, what, peer)
      },
      left: () => {
        through()
        this.#open--
        if (source !== null) this.#leave(source)
      },
    }
  }

  #leave(host: string): void {
    const left = (this.#bySource.get(host) ?? 1) - 1
    if (left > 0) this.#bySource.set(host, left)
    else this.#bySource.delete(host)
  }
}
