import type { Request, Response } from '../sip/message/message.ts'
import { InviteClientTransaction } from '../sip/transaction/invite-client.ts'
import { NonInviteClientTransaction } from '../sip/transaction/non-invite-client.ts'
import type { ClientEffect, EndReason, TimerName } from '../sip/transaction/types.ts'
import { LiveTransaction, type Stage } from './live-transaction.ts'
import type { ClientTransaction, ClientUser } from './transaction-user.ts'
import type { Flow, Target } from './transport.ts'

/** The CANCEL's own transaction has nobody to answer to: what matters is what the INVITE gets (§9.1). */
const NOBODY: ClientUser = { onResponse: () => {}, onEnd: () => {} }

const NO_HEADERS: readonly (readonly [name: string, value: string])[] = []
/** Of a transaction that has its final response: what it still sends goes where the request went. */
const REACHED: Target = { protocol: 'udp', host: '', port: 0 }

/** A client transaction with its timers, its flow and its user. */
export class LiveClient extends LiveTransaction<ClientEffect> implements ClientTransaction {
  request: Request
  readonly branch: string
  flow: Flow | null = null
  #target: Target
  readonly #user: ClientUser
  readonly #machine: InviteClientTransaction | NonInviteClientTransaction
  #reaching = false
  #cancelHeaders = NO_HEADERS

  constructor(stage: Stage, request: Request, branch: string, target: Target, user: ClientUser) {
    super(stage)
    this.request = request
    this.branch = branch
    this.#target = target
    this.#user = user
    // Known before there is a flow, so that timers B and F cover the time it takes to connect.
    const open = target.flow !== undefined && !target.flow.closed ? target.flow : null
    const reliable = open === null ? target.protocol !== 'udp' : open.reliable
    this.#machine =
      request.method === 'INVITE'
        ? new InviteClientTransaction(request, reliable, stage.timers)
        : new NonInviteClientTransaction(request, reliable, stage.timers)
  }

  get state(): ClientTransaction['state'] {
    return this.ended ? 'terminated' : this.#machine.state
  }

  get pending(): boolean {
    const { state } = this
    return state === 'calling' || state === 'trying' || state === 'proceeding'
  }

  get label(): Readonly<Record<string, string>> {
    return {
      transaction: this.branch,
      callId: this.request.callId,
      method: this.request.method,
      side: 'client',
    }
  }

  start(): void {
    this.stage.step(this, () => this.#machine.start())
  }

  receive(response: Response): void {
    this.stage.step(this, () => this.#machine.receive(response))
    // Nothing is made of it after a final response: let go of what would be held for 32 s.
    this.request = this.#machine.request
    if (this.flow === null || this.pending) return
    this.#target = REACHED
    this.#cancelHeaders = NO_HEADERS
  }

  /** The flow is gone or there is none. */
  transportFailed(): void {
    this.stage.step(this, () => this.#machine.transportFailed())
  }

  /** A datagram of the request, perhaps a repetition, did not leave. A peer that has answered has another one of them. */
  unsent(): void {
    const { state } = this
    if (state === 'calling' || state === 'trying') this.transportFailed()
  }

  cancel(headers: readonly (readonly [name: string, value: string])[] = []): void {
    this.#cancelHeaders = headers
    const machine = this.#machine
    if (machine instanceof InviteClientTransaction) this.stage.step(this, () => machine.cancel())
  }

  perform(effects: readonly ClientEffect[]): void {
    for (const effect of effects) {
      if (this.ended) return
      switch (effect.do) {
        case 'send':
          this.#send(effect.message)
          break
        case 'resend':
          if (this.#send(effect.message)) this.count(effect.message.method, 'out')
          break
        case 'deliver':
          this.#user.onResponse(effect.response, this)
          break
        case 'deliverStray':
          if (this.flow !== null) this.stage.user.onStrayResponse(effect.response, this.flow)
          break
        case 'sendCancel':
          if (this.flow !== null)
            this.stage.startCancel(this, { ...this.#target, flow: this.flow }, NOBODY, this.#cancelHeaders)
          break
        case 'absorb':
          this.count(effect.method, 'in')
          break
        case 'startTimer':
          this.startTimer(effect)
          break
        case 'stopTimer':
          this.stopTimer(effect.timer)
          break
        case 'end':
          this.#finish(effect.reason)
          break
      }
    }
  }

  abandon(): void {
    if (!this.ended) this.#finish('transport')
  }

  protected timerFired(timer: TimerName): readonly ClientEffect[] {
    return this.#machine.timerFired(timer)
  }

  #finish(reason: EndReason): void {
    this.drop()
    this.stage.forgetClient(this)
    this.#user.onEnd(reason, this)
  }

  /** True when the message left. The first one waits for the target to be reached; its repetitions do not. */
  #send(message: Request): boolean {
    if (this.flow !== null) {
      if (this.flow.send(message)) return true
      this.transportFailed()
      return false
    }
    if (!this.#reaching) this.#reach()
    return false
  }

  #reach(): void {
    this.#reaching = true
    let atOnce = true
    this.stage.transport.reach(this.#target, (flow) => {
      // Called back later, it is an input of its own and takes its turn.
      if (atOnce) this.#reached(flow)
      else this.stage.run(this, () => this.#reached(flow))
    })
    atOnce = false
  }

  #reached(flow: Flow | null): void {
    if (this.ended) return
    if (flow === null) {
      this.transportFailed()
      return
    }
    this.flow = flow
    this.stage.boundTo(this, flow)
    this.#send(this.request)
  }
}
