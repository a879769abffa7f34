import type { Timer } from '../base/clock.ts'
import { buildResponse } from '../sip/message/build.ts'
import type { Request, Response } from '../sip/message/message.ts'
import type { ClientTransaction, ServerTransaction } from '../stack/transaction-layer.ts'
import type { PhoneLine } from './phone-line.ts'

export type CallState = 'calling' | 'ringing' | 'answered' | 'ended'

/** One thing an answering phone does: wait, then send this status. */
export interface AnswerStep {
  readonly status: number
  /** Milliseconds after the step before. */
  readonly afterMs: number
}

const T1 = 500
const T2 = 4_000
/** 64 × T1: as long as a 2xx is repeated (§13.3.1.4). */
const PATIENCE_MS = 32_000

/** Enough of a session description for those who look for one; no media flows. */
function sessionDescription(host: string): string {
  const family = host.includes(':') ? 'IP6' : 'IP4'
  return [
    'v=0',
    `o=- 1 1 IN ${family} ${host}`,
    's=-',
    `c=IN ${family} ${host}`,
    't=0 0',
    'm=audio 40000 RTP/AVP 0',
    '',
  ].join('\r\n')
}

/** What both sides of a call are: a dialog (RFC 3261 §12) with at most one INVITE in it. */
abstract class AnyCall {
  readonly callId: string
  readonly localTag: string
  /** Called at each change of state, and once with 'ended'. */
  onMoved: (state: CallState) => void = () => undefined
  protected readonly line: PhoneLine
  #state: CallState = 'calling'
  #status = 0
  #timers: Timer[] = []

  constructor(line: PhoneLine, callId: string, localTag: string) {
    this.line = line
    this.callId = callId
    this.localTag = localTag
  }

  get state(): CallState {
    return this.#state
  }

  /** The final status of the INVITE; 0 while there is none, 408 and 503 for a timeout and a failed transport. */
  get status(): number {
    return this.#status
  }

  /** Hangs up an answered call. Does nothing in another state. */
  bye(): void {
    if (this.#state !== 'answered') return
    this.move('ended')
    this.sendBye()
  }

  /** A request of the other side within the dialog. */
  onRequest(request: Request, accept: () => ServerTransaction): void {
    if (request.method === 'BYE') {
      accept().respond(buildResponse(request, 200))
      this.move('ended')
    } else accept().respond(buildResponse(request, request.method === 'OPTIONS' ? 200 : 488))
  }

  abstract onAck(): void
  protected abstract sendBye(): void

  protected move(state: CallState, status = this.#status): void {
    this.#status = status
    if (state === this.#state || this.#state === 'ended') return
    this.#state = state
    if (state === 'ended') {
      for (const timer of this.#timers) timer.cancel()
      this.line.forget(this)
    }
    this.onMoved(state)
  }

  /** A timer that ends with the call. */
  protected after(ms: number, fire: () => void): void {
    if (this.#state !== 'ended') this.#timers.push(this.line.clock.startTimer(ms, fire))
  }
}

/** A call this phone makes: RFC 3261 §13.2 and §15. */
export class OutgoingCall extends AnyCall {
  readonly invite: Request
  #transaction: ClientTransaction | null = null
  #cancelled = false
  /** By To tag: a fork may answer more than once, and every 2xx is acknowledged each time it comes (§13.2.2.4). */
  readonly #acks = new Map<string, Request>()
  #answer: Response | null = null

  constructor(line: PhoneLine, target: string) {
    const { identifiers } = line
    super(line, identifiers.callId(), identifiers.tag())
    this.invite = line.request('INVITE', {
      uri: target,
      from: `<${line.aor}>;tag=${this.localTag}`,
      to: `<${target}>`,
      callId: this.callId,
      cseq: 1,
      routes: [],
    })
    this.invite.headers.append('Content-Type', 'application/sdp')
    this.invite.body = sessionDescription(line.address.host)
  }

  start(): void {
    this.#transaction = this.line.send(this.invite, {
      onResponse: (response) => this.onResponse(response),
      onEnd: (reason) => {
        if (reason !== 'normal' && this.state !== 'answered')
          this.move('ended', reason === 'timeout' ? 408 : 503)
      },
    })
  }

  /** Gives up before an answer; a 2xx that crosses the CANCEL is acknowledged and hung up (§9.1, §15). */
  cancel(): void {
    if (this.state !== 'calling' && this.state !== 'ringing') return
    this.#cancelled = true
    this.#transaction?.cancel()
  }

  /** A response to the INVITE, those that no transaction wants any more included. */
  onResponse(response: Response): void {
    const { status } = response
    if (status > 100 && status < 200 && this.state === 'calling') this.move('ringing')
    if (status >= 300) this.move('ended', status)
    if (status >= 200 && status < 300) this.#onAnswer(response)
  }

  onAck(): void {}

  protected sendBye(): void {
    if (this.#answer !== null) this.line.send(this.#inDialog('BYE', this.#answer))
  }

  #onAnswer(response: Response): void {
    const tag = response.toTag ?? ''
    const known = this.#acks.get(tag)
    const ack = known ?? this.#inDialog('ACK', response)
    this.#acks.set(tag, ack)
    this.line.sendAck(ack)
    if (known !== undefined) return
    if (this.#answer !== null) {
      this.line.send(this.#inDialog('BYE', response))
      return
    }
    this.#answer = response
    this.move('answered', response.status)
    if (this.#cancelled) this.bye()
  }

  #inDialog(method: 'ACK' | 'BYE', response: Response): Request {
    return this.line.request(method, {
      uri: this.line.contactOf(response) ?? this.invite.uri,
      from: this.invite.headers.first('from') ?? '',
      to: response.headers.first('to') ?? '',
      callId: this.callId,
      cseq: method === 'ACK' ? 1 : 2,
      routes: response.headers.all('record-route').toReversed(),
    })
  }
}

/** A call this phone gets: RFC 3261 §13.3 and §15. */
export class IncomingCall extends AnyCall {
  readonly invite: Request
  readonly #transaction: ServerTransaction
  #acknowledged = false

  constructor(line: PhoneLine, invite: Request, transaction: ServerTransaction) {
    super(line, invite.callId, line.identifiers.tag())
    this.invite = invite
    this.#transaction = transaction
  }

  /** Goes through the steps until a final status is sent or the caller gives up. */
  answer(steps: readonly AnswerStep[]): void {
    const [step, ...rest] = steps
    if (step === undefined) return
    const take = (): void => {
      this.respond(step.status)
      this.answer(rest)
    }
    if (step.afterMs === 0) take()
    else this.after(step.afterMs, take)
  }

  /** Sends a response to the INVITE. Nothing follows a final one. */
  respond(status: number): void {
    if (this.state !== 'calling' && this.state !== 'ringing') return
    const { address } = this.line
    const response = buildResponse(this.invite, status, {
      toTag: this.localTag,
      ...(status > 100 && status < 300 ? { headers: [['Contact', `<${this.line.contact}>`]] } : {}),
      ...(status >= 200 && status < 300
        ? { contentType: 'application/sdp', body: sessionDescription(address.host) }
        : {}),
    })
    this.#transaction.respond(response)
    if (status >= 300) this.move('ended', status)
    else if (status >= 200) {
      this.move('answered', status)
      this.#repeat(response, T1, T1)
    } else if (status > 100) this.move('ringing')
  }

  /** The caller's CANCEL (§9.2). */
  onCancel(): void {
    this.respond(487)
  }

  onAck(): void {
    this.#acknowledged = true
  }

  protected sendBye(): void {
    this.line.send(
      this.line.request('BYE', {
        uri: this.line.contactOf(this.invite) ?? this.invite.from.uri,
        from: `${this.invite.headers.first('to') ?? ''};tag=${this.localTag}`,
        to: this.invite.headers.first('from') ?? '',
        callId: this.callId,
        cseq: 1,
        routes: this.invite.headers.all('record-route'),
      }),
    )
  }

  /** §13.3.1.4: a 2xx is repeated until it is acknowledged, on every transport. */
  #repeat(response: Response, wait: number, elapsed: number): void {
    this.after(wait, () => {
      if (this.#acknowledged) return
      if (elapsed >= PATIENCE_MS) {
        this.bye()
        return
      }
      this.#transaction.respond(response)
      const next = Math.min(2 * wait, T2)
      this.#repeat(response, next, elapsed + next)
    })
  }
}

export type Call = OutgoingCall | IncomingCall
