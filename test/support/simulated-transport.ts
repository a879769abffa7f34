import { type Address, formatAddress, type Path, type Protocol } from '../../src/base/address.ts'
import type { Clock } from '../../src/base/clock.ts'
import type { Message, Request } from '../../src/sip/message/message.ts'
import { parseMessage } from '../../src/sip/message/parse.ts'
import { serialize } from '../../src/sip/message/serialize.ts'
import { formatVia } from '../../src/sip/message/via.ts'
import type { Spine } from '../../src/spine/spine.ts'
import type { Flow, Target, TransportPort } from '../../src/stack/transport.ts'
import type { Send, SimulatedNetwork } from './network.ts'

export interface SimulatedTransportOptions {
  readonly network: SimulatedNetwork
  readonly clock: Clock
  readonly spine: Spine
  readonly name: string
  readonly address: Address
  readonly onMessage: (message: Message, flow: Flow) => void
}

let lastFlowId = 0

/** The transport layer (§18) of an endpoint of a simulated network: UDP, with the spine told of what crosses. */
export class SimulatedTransport implements TransportPort {
  readonly address: Address
  readonly #o: SimulatedTransportOptions
  readonly #send: Send
  readonly #flows = new Map<string, Flow>()

  constructor(options: SimulatedTransportOptions) {
    this.#o = options
    this.address = options.address
    this.#send = options.network.attach(options.name, options.address, {
      onDatagram: (bytes, path) => this.#onDatagram(bytes, path),
    })
  }

  reach(target: Target, then: (flow: Flow | null) => void): void {
    then(target.flow ?? (target.protocol === 'udp' ? this.flowTo(target) : null))
  }

  responseFlow(request: Request, arrivedOn: Flow, then: (flow: Flow | null) => void): void {
    const via = request.via
    const { host, port } = arrivedOn.path.remote
    then(this.flowTo({ host, port: via?.params.has('rport') ? port : (via?.port ?? 5060) }))
  }

  sentBy(_protocol: Protocol): Address {
    return this.address
  }

  /** The flow to a peer, always the same one. */
  flowTo({ host, port }: Address): Flow {
    const remote = { host, port }
    const key = formatAddress(remote)
    const known = this.#flows.get(key)
    if (known !== undefined) return known
    const path: Path = { protocol: 'udp', local: this.address, remote }
    const flow: Flow = {
      id: ++lastFlowId,
      path,
      reliable: false,
      closed: false,
      send: (message) => {
        const bytes = Buffer.from(serialize(message), 'latin1')
        this.#send(path, bytes)
        this.#o.spine.messageSent.publish({ path, bytes, message, at: this.#o.clock.wallTime() })
        return true
      },
    }
    this.#flows.set(key, flow)
    return flow
  }

  #onDatagram(bytes: Uint8Array, { remote }: Path): void {
    const { spine, clock, onMessage } = this.#o
    const flow = this.flowTo(remote)
    const at = clock.wallTime()
    const result = parseMessage(Buffer.from(bytes).toString('latin1'))
    if (!result.ok) {
      spine.messageFaulted.publish({ path: flow.path, bytes, what: result.fault.what, at })
      return
    }
    const { message } = result
    spine.messageReceived.publish({ path: flow.path, bytes, message, at })
    if (message.kind === 'request') stamp(message, remote)
    onMessage(message, flow)
  }
}

/** §18.2.1, RFC 3581 §4. */
function stamp(request: Request, remote: Address): void {
  const { via } = request
  if (via === undefined) return
  const rport = via.params.has('rport')
  if (!rport && via.host === remote.host) return
  if (rport) via.params.set('rport', String(remote.port))
  via.params.set('received', remote.host)
  request.headers.replaceFirst('via', formatVia(via))
}
