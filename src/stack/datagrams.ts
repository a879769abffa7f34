import type { Address } from '../base/address.ts'
import type { Looks } from '../base/looks.ts'
import { answerStun } from '../net/stun.ts'
import { openUdp, type UdpEndpoint } from '../net/udp.ts'
import { DatagramFlow, type FlowContext } from './flows.ts'
import type { Intake } from './intake.ts'
import { same } from './listening-points.ts'

/** Datagram flows are remembered so that observers can know a path by identity. */
const FLOWS_REMEMBERED = 4_096

export interface DatagramsOptions extends FlowContext {
  readonly intake: Intake
  readonly looks: Looks
  /** What had come together has been handled. */
  readonly onBatch: () => void
  /** A datagram of ours did not leave: nothing can be sent to this peer. */
  readonly onUnsent: (bytes: Buffer, to: Address, error: Error) => void
  readonly onError: (error: Error) => void
}

/** The UDP half of the transport layer: sockets, and the flows between them and their peers. */
export class Datagrams {
  readonly #o: DatagramsOptions
  readonly #endpoints: UdpEndpoint[] = []
  /** By `peerHash`: a number is found without making a text. Those that share one are compared. */
  #flows = new Map<number, DatagramFlow[]>()
  #flowCount = 0

  constructor(options: DatagramsOptions) {
    this.#o = options
  }

  /** Binds; rejects when the address cannot be had. */
  async listen(address: Address): Promise<Address> {
    let bound: UdpEndpoint | null = null
    const listener = {
      onDatagram: (bytes: Buffer, host: string, port: number) => {
        if (bound !== null) this.#onDatagram(bytes, host, port, bound)
      },
      onBatch: this.#o.onBatch,
      onUnsent: this.#o.onUnsent,
      onError: this.#o.onError,
    }
    const opened = openUdp(address, listener, this.#o.looks)
    // Before the first datagram, which may come in the same tick.
    void opened.then((endpoint) => (bound = endpoint)).catch(() => undefined)
    const endpoint = await opened
    this.#endpoints.push(endpoint)
    return endpoint.local
  }

  /** The flow from one of our sockets to a peer; null when no socket is bound to that address. */
  flow(local: Address, host: string, port: number): DatagramFlow | null {
    const endpoint = this.#endpoints.find((e) => e.local === local)
    return endpoint === undefined ? null : this.#flow(endpoint, host, port)
  }

  async close(): Promise<void> {
    await Promise.all(this.#endpoints.splice(0).map((endpoint) => endpoint.close()))
  }

  #onDatagram(bytes: Buffer, host: string, port: number, endpoint: UdpEndpoint): void {
    if (!this.#o.intake.screen(bytes, { host, port }, 'udp')) return
    const first = bytes[0]
    // Keep-alives: CRLF (RFC 5626 §3.5.1 over UDP by common practice), or nothing at all.
    if (first === undefined || (bytes.length <= 4 && (first === 13 || first === 0))) return
    // RFC 5626 §8: no SIP message begins with two zero bits.
    if (first < 2 && this.#answerStun(bytes, host, port, endpoint)) return
    this.#o.intake.onWhole(bytes, this.#flow(endpoint, host, port))
  }

  #answerStun(bytes: Buffer, host: string, port: number, endpoint: UdpEndpoint): boolean {
    const answer = answerStun(bytes, { host, port })
    if (answer === null) return false
    const answered = this.#flow(endpoint, host, port).ping(answer)
    this.#o.spine.keptAlive.publish({ method: 'stun', outcome: answered ? 'answered' : 'failed' })
    return true
  }

  #flow(endpoint: UdpEndpoint, host: string, port: number): DatagramFlow {
    const { local } = endpoint
    const hash = peerHash(host, port)
    let flows = this.#flows.get(hash)
    if (flows !== undefined) {
      for (const flow of flows) {
        const { path } = flow
        if (path.local === local && path.remote.port === port && same(path.remote.host, host)) return flow
      }
    }
    const peer = endpoint.peer(host, port)
    const flow = new DatagramFlow({ protocol: 'udp', local, remote: { host, port } }, this.#o, (text) =>
      endpoint.send(text, peer),
    )
    // Forgotten all at once: a flow costs nothing to make again, and a flood from many addresses nothing to remember.
    if (this.#flowCount >= FLOWS_REMEMBERED) {
      this.#flows.clear()
      this.#flowCount = 0
      flows = undefined
    }
    if (flows === undefined) this.#flows.set(hash, [flow])
    else flows.push(flow)
    this.#flowCount++
    return flow
  }
}

function peerHash(host: string, port: number): number {
  let hash = port
  for (let i = 0; i < host.length; i++) hash = (Math.imul(hash, 31) + host.charCodeAt(i)) | 0
  return hash
}
