import { buildResponse } from '../sip/message/build.ts'
import type { Request, Response } from '../sip/message/message.ts'
import { InviteServerTransaction } from '../sip/transaction/invite-server.ts'
import { NonInviteServerTransaction } from '../sip/transaction/non-invite-server.ts'
import type { EndReason, ServerEffect, TimerName } from '../sip/transaction/types.ts'
import { LiveTransaction, type Stage } from './live-transaction.ts'
import type { ServerTransaction } from './transaction-user.ts'
import { type Flow, takesAnswers } from './transport.ts'

/** A response that waits for its way back to be found. */
interface Outgoing {
  readonly response: Response
  /** It has been sent before. */
  readonly again: boolean
}

/** A server transaction with its timers, its way back and its user's two callbacks. */
export class LiveServer extends LiveTransaction<ServerEffect> implements ServerTransaction {
  request: Request
  readonly flow: Flow
  readonly id: string
  owner: object | null = null
  onEnd?: (reason: EndReason) => void
  onTransportError?: () => void
  readonly #machine: InviteServerTransaction | NonInviteServerTransaction
  /** Found for the first response and kept for the others (§18.2.2). */
  #wayBack: Flow | null = null
  #outgoing: Outgoing[] | null = null
  #failureTold = false
  #decided = false

  constructor(stage: Stage, request: Request, flow: Flow, id: string) {
    super(stage)
    this.request = request
    this.flow = flow
    this.id = id
    this.#machine =
      request.method === 'INVITE'
        ? new InviteServerTransaction(request, flow.reliable, stage.timers)
        : new NonInviteServerTransaction(request, flow.reliable, stage.timers)
  }

  get state(): ServerTransaction['state'] {
    return this.ended ? 'terminated' : this.#machine.state
  }

  get pending(): boolean {
    const { state } = this
    // A final response other than 2xx to an INVITE has yet to be acknowledged (§17.2.1).
    return (
      state === 'trying' ||
      state === 'proceeding' ||
      (state === 'completed' && this.request.method === 'INVITE')
    )
  }

  get label(): Readonly<Record<string, string>> {
    return { transaction: this.id, callId: this.request.callId, method: this.request.method, side: 'server' }
  }

  start(): void {
    this.stage.step(this, () => this.#machine.start())
  }

  receive(request: Request): void {
    this.stage.step(this, () => this.#machine.receive(request))
  }

  respond(response: Response): boolean {
    if (this.ended || !this.#machine.takes(response.status)) return false
    if (response.status >= 200) this.#decided = true
    this.stage.step(this, () => this.#machine.send(response))
    return true
  }

  perform(effects: readonly ServerEffect[]): void {
    for (const effect of effects) {
      if (this.ended) return
      switch (effect.do) {
        case 'send':
          this.#send(effect.message, false)
          break
        case 'resend':
          this.#send(effect.message, true)
          break
        case 'deliverAck':
          this.stage.user.onAck(effect.ack, this.flow)
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

  /** A caller whose request met a fault of ours is told so, once, unless it has its answer. */
  abandon(): void {
    if (this.ended) return
    if (!this.#decided) {
      this.#send(buildResponse(this.request, 500, { toTag: this.stage.identifiers.tag() }), false)
    }
    this.#finish('transport')
  }

  /** As `drop`, and what waits for its way back is not sent either. */
  discard(): void {
    this.drop()
    this.#outgoing = null
  }

  protected timerFired(timer: TimerName): readonly ServerEffect[] {
    return this.#machine.timerFired(timer)
  }

  #finish(reason: EndReason): void {
    this.drop()
    this.stage.forgetServer(this)
    if (reason === 'timeout') this.stage.spine.inviteUnacknowledged.publish({ path: this.flow.path })
    this.onEnd?.(reason)
  }

  #send(response: Response, again: boolean): void {
    if (this.#outgoing !== null) this.#outgoing.push({ response, again })
    else if (this.#wayBack !== null && takesAnswers(this.#wayBack))
      this.#transmit(this.#wayBack, response, again)
    else {
      this.#outgoing = [{ response, again }]
      let atOnce = true
      this.stage.transport.responseFlow(this.request, this.flow, (flow) => {
        // Called back later, it is an input of its own and takes its turn.
        if (atOnce) this.#found(flow)
        else this.stage.run(this, () => this.#found(flow))
      })
      atOnce = false
    }
  }

  #found(flow: Flow | null): void {
    const outgoing = this.#outgoing
    this.#outgoing = null
    this.#wayBack = flow
    if (flow === null) this.#tellFailure()
    else for (const { response, again } of outgoing ?? []) this.#transmit(flow, response, again)
  }

  #transmit(flow: Flow, response: Response, again: boolean): void {
    if (!flow.send(response)) this.#tellFailure()
    else if (again) this.count(this.request.method, 'out')
    // A datagram's way back is known for good; a connection may close, and then the request says where else to go.
    if (!flow.reliable) this.request = this.#machine.request
  }

  #tellFailure(): void {
    if (this.#failureTold) return
    this.#failureTold = true
    this.onTransportError?.()
  }
}
