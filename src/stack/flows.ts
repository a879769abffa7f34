import type { Path } from '../base/address.ts'
import { serialize } from '../sip/message/serialize.ts'
import type { Message, Request, Response } from '../sip/message/message.ts'
import type { Spine } from '../spine/spine.ts'
import type { Clock } from '../base/clock.ts'
import type { Flow } from './transport.ts'

/** What a flow needs to put bytes on the wire and to say so. */
export interface FlowContext {
  readonly spine: Spine
  readonly clock: Clock
}

let lastFlowId = 0

/** Every message we send leaves through `send` here: nothing can escape the trace or the counters. */
abstract class AnyFlow implements Flow {
  readonly id: number = ++lastFlowId
  readonly path: Path
  abstract readonly reliable: boolean
  abstract readonly closed: boolean
  readonly #context: FlowContext

  constructor(path: Path, context: FlowContext) {
    this.path = path
    this.#context = context
  }

  send(message: Message): boolean {
    if (message.kind === 'request' ? this.closed : !this.answers) return false
    const bytes = this.write(serialize(message))
    if (bytes === null) return false
    const { spine, clock } = this.#context
    if (spine.messageSent.active) {
      spine.messageSent.publish({ path: this.path, bytes, message, at: clock.wallTime() })
    }
    return true
  }

  ping(text: string): boolean {
    return !this.closed && this.write(text) !== null
  }

  get answers(): boolean {
    return !this.closed
  }

  /** The bytes as they went out, valid until the next write; null when they were not taken. */
  protected abstract write(text: string): Uint8Array | null
}

/** The datagrams between one of our UDP sockets and one peer. Costs nothing to keep and nothing to forget. */
export class DatagramFlow extends AnyFlow {
  readonly reliable = false
  readonly closed = false
  readonly #write: (text: string) => Uint8Array | null

  constructor(path: Path, context: FlowContext, write: (text: string) => Uint8Array | null) {
    super(path, context)
    this.#write = write
  }

  protected override write(text: string): Uint8Array | null {
    return this.#write(text)
  }
}

/** What a stream flow asks of its connection. */
export interface StreamPort {
  readonly closed: boolean
  send(bytes: Uint8Array): boolean
  /** Sends what is queued, then closes. */
  end?(): void
}

export class StreamFlow extends AnyFlow {
  readonly reliable = true
  readonly #connection: StreamPort
  #deaf = false
  /** The request that was the last to come in, until its final response has gone out. */
  #owed: string | null = null
  #endsWithAnswer = false

  constructor(path: Path, context: FlowContext, connection: StreamPort) {
    super(path, context)
    this.#connection = connection
  }

  override get closed(): boolean {
    return this.#deaf || this.#connection.closed
  }

  override get answers(): boolean {
    return !this.#connection.closed
  }

  /** Nothing is read from the connection any more. */
  deafen(): void {
    this.#deaf = true
  }

  /** This was the last request: nobody but its answer needs the connection any more. */
  owe(request: Request): void {
    this.#owed = request.method === 'ACK' ? null : exchangeOf(request)
  }

  /** Ends the connection once the answer has gone out that is still owed; false when none is. */
  endWithAnswer(): boolean {
    this.#endsWithAnswer = this.#owed !== null
    return this.#endsWithAnswer
  }

  override send(message: Message): boolean {
    if (!super.send(message)) return false
    if (this.#owed !== null && message.kind === 'response' && message.status >= 200) this.#answered(message)
    return true
  }

  #answered(response: Response): void {
    if (exchangeOf(response) !== this.#owed) return
    this.#owed = null
    if (this.#endsWithAnswer) this.#connection.end?.()
  }

  protected override write(text: string): Uint8Array | null {
    const bytes = Buffer.from(text, 'latin1')
    return this.#connection.send(bytes) ? bytes : null
  }
}

function exchangeOf({ callId, cseq }: Message): string {
  return `${cseq.number} ${cseq.method} ${callId}`
}
