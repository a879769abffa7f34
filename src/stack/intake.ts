import type { Address, Protocol } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import { buildResponse } from '../sip/message/build.ts'
import type { Fault } from '../sip/message/fault.ts'
import type { Limits } from '../sip/message/limits.ts'
import type { Message, Request } from '../sip/message/message.ts'
import { parseMessage } from '../sip/message/parse.ts'
import { formatVia, type Via } from '../sip/message/via.ts'
import type { Spine } from '../spine/spine.ts'
import type { Flow, TransportPort } from './transport.ts'

/** Who may send to us. Asked before anything is parsed; what it refuses it has counted. */
export interface Gate {
  admit(host: string, protocol: Protocol): boolean
  /** @param bytes a datagram, or one whole message of a stream */
  screen(bytes: Buffer, host: string, protocol: Protocol): boolean
}

export interface IntakeOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  /** What one message may cost. */
  readonly limits: Limits
  readonly gate: Gate | null
  readonly isOurs: (host: string, port: number | null) => boolean
  readonly responseFlow: TransportPort['responseFlow']
  /** Every whole, valid message, requests with their top Via stamped. */
  readonly onMessage: (message: Message, flow: Flow) => void
}

/** What comes in, whatever it came on: parsed, told to the observers, stamped (§18.2.1), or answered without state. */
export class Intake {
  readonly #o: IntakeOptions

  constructor(options: IntakeOptions) {
    this.#o = options
  }

  /** A whole message, where boundaries are kept: a datagram, or a message of a WebSocket. False when it is none. */
  onWhole(bytes: Buffer, flow: Flow): boolean {
    return this.onText(bytes.toString('latin1'), bytes, flow)
  }

  /** Before anything is parsed. What is refused here has been counted. */
  screen(bytes: Buffer, { host }: Address, protocol: Protocol): boolean {
    return this.#o.gate?.screen(bytes, host, protocol) ?? true
  }

  /** A message and its bytes. False when it is none. */
  onText(text: string, bytes: Uint8Array, flow: Flow): boolean {
    const result = parseMessage(text, this.#o.limits)
    if (result.ok) this.#onMessage(result.message, bytes, flow)
    else this.#onFault(flow, bytes, result.fault, result.answerable)
    return result.ok
  }

  /** What cannot be cut out of its stream; `text` is what is there of it. */
  onUnframed(text: string, bytes: Uint8Array, flow: Flow, fault: Fault): void {
    const result = parseMessage(text, this.#o.limits)
    this.#onFault(flow, bytes, fault, result.ok ? asRequest(result.message) : result.answerable)
  }

  /** A message that was too long to be read: nothing of it is there to be answered or traced. */
  onUnread(flow: Flow): void {
    const { spine, clock } = this.#o
    const what = 'the message is too long'
    spine.messageFaulted.publish({ path: flow.path, bytes: null, what, at: clock.wallTime() })
  }

  #onMessage(message: Message, bytes: Uint8Array, flow: Flow): void {
    const { spine, clock } = this.#o
    if (spine.messageReceived.active) {
      spine.messageReceived.publish({ path: flow.path, bytes, message, at: clock.wallTime() })
    }
    const via = message.via
    if (!via) return
    if (message.kind === 'request') stamp(message, via, flow.path.remote)
    // §18.1.2: a response whose top Via is not ours was not meant for us.
    else if (!this.#o.isOurs(via.host, via.port)) return
    this.#o.onMessage(message, flow)
  }

  /** §8.2, RFC 4475 §3: a request that can be answered is, without state; everything is counted and traced. */
  #onFault(flow: Flow, bytes: Uint8Array, fault: Fault, answerable: Request | null): void {
    const { spine, clock, identifiers } = this.#o
    spine.messageFaulted.publish({ path: flow.path, bytes, what: fault.what, at: clock.wallTime() })
    if (!answerable || answerable.method === 'ACK') return
    const via = answerable.via
    if (!via) return
    stamp(answerable, via, flow.path.remote)
    this.#o.responseFlow(answerable, flow, (back) => {
      back?.send(buildResponse(answerable, fault.status, { reason: fault.what, toTag: identifiers.tag() }))
    })
  }
}

function asRequest(message: Message): Request | null {
  return message.kind === 'request' ? message : null
}

/** §18.2.1 and RFC 3581 §4: what the peer says of itself is overwritten by what we saw. */
function stamp(request: Request, via: Via, source: Address): void {
  const rport = via.params.has('rport')
  const differs = via.host !== source.host
  if (!rport && !differs && !via.params.has('received')) return
  if (rport) via.params.set('rport', String(source.port))
  if (rport || differs) via.params.set('received', source.host)
  else via.params.delete('received')
  request.headers.replaceFirst('via', formatVia(via))
}
