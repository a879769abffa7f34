import { buildAck } from '../message/build.ts'
import { huskOf } from '../message/husk.ts'
import type { Request, Response } from '../message/message.ts'
import type { Timers } from './timers.ts'
import {
  type ClientEffect,
  END_NORMAL,
  END_TIMEOUT,
  END_TRANSPORT,
  NOTHING,
  type TimerName,
  absorb,
  deliver,
  resend,
  send,
  startTimer,
  stopTimer,
} from './types.ts'

export type InviteClientState = 'calling' | 'proceeding' | 'completed' | 'accepted' | 'terminated'

const STOP_A = stopTimer('A')
const STOP_B = stopTimer('B')
const STOP_CANCELLED = stopTimer('cancelled')
const SEND_CANCEL: ClientEffect = { do: 'sendCancel' }

/**
 * INVITE client transaction: RFC 3261 §17.1.1 with the Accepted state of RFC 6026 §7.2.
 *
 *               1xx              300-699: ACK            D
 *   calling ─────────▶ proceeding ─────────▶ completed ─────▶ terminated
 *      │ 2xx              │ 2xx                                ▲ ▲
 *      └──────────────────┴──────▶ accepted ───────────────────┘ │
 *      │                                       M                 │
 *      └──────────── B, or the transport failed ─────────────────┘
 *
 * A final response that is no 2xx leads from calling to completed too. Over a reliable transport timer D is 0, and
 * completed is passed through.
 *
 * Pure: every method takes one input and returns what to do about it, in order.
 */
export class InviteClientTransaction {
  request: Request
  readonly #timers: Timers
  readonly #reliable: boolean
  #state: InviteClientState = 'calling'
  #a: number
  #ack: Request | null = null
  #cancel: 'no' | 'wanted' | 'sent' = 'no'

  /** @param reliable whether the request leaves over a stream transport */
  constructor(request: Request, reliable: boolean, timers: Timers) {
    this.request = request
    this.#reliable = reliable
    this.#timers = timers
    this.#a = timers.t1
  }

  get state(): InviteClientState {
    return this.#state
  }

  start(): readonly ClientEffect[] {
    const b = startTimer('B', this.#timers.life)
    return this.#reliable ? [send(this.request), b] : [send(this.request), b, startTimer('A', this.#a)]
  }

  receive(response: Response): readonly ClientEffect[] {
    const { status } = response
    switch (this.#state) {
      case 'calling':
      case 'proceeding':
        if (status < 200) return this.#provisional(response)
        return status < 300 ? this.#accept(response) : this.#complete(response)
      case 'completed':
        // Each repeated final response gets the ACK again (§17.1.1.2).
        if (status >= 300 && this.#ack !== null) return [absorb('INVITE'), resend(this.#ack)]
        // A branch of a fork was answered after all. Somebody has to acknowledge and end it.
        return status >= 200 ? [{ do: 'deliverStray', response }] : NOTHING
      case 'accepted':
        // Each 2xx goes up, retransmission or fork; the TU owns the ACK. RFC 6026 §7.2.
        return status >= 200 && status < 300 ? [deliver(response)] : NOTHING
      case 'terminated':
        return NOTHING
    }
  }

  /**
   * The TU no longer wants an answer. A CANCEL may follow the first provisional response only, and a final
   * response makes it pointless (§9.1).
   */
  cancel(): readonly ClientEffect[] {
    if (this.#cancel !== 'no') return NOTHING
    if (this.#state === 'calling') this.#cancel = 'wanted'
    return this.#state === 'proceeding' ? this.#sendCancel() : NOTHING
  }

  timerFired(timer: TimerName): readonly ClientEffect[] {
    if (timer === 'A' && this.#state === 'calling') {
      this.#a *= 2
      return [resend(this.request), startTimer('A', this.#a)]
    }
    if (timer === 'B' && this.#state === 'calling') return this.#end(END_TIMEOUT)
    if (timer === 'cancelled' && this.#state === 'proceeding') return this.#end(END_TIMEOUT)
    if (timer === 'D' && this.#state === 'completed') return this.#end(END_NORMAL)
    if (timer === 'M' && this.#state === 'accepted') return this.#end(END_NORMAL)
    return NOTHING
  }

  /** A message could not be sent, or the connection on which the answer would come is gone (§17.1.4). */
  transportFailed(): readonly ClientEffect[] {
    // In accepted nothing more is sent, and a 2xx of a fork may still come another way.
    if (this.#state === 'accepted' || this.#state === 'terminated') return NOTHING
    return this.#end(END_TRANSPORT)
  }

  #provisional(response: Response): readonly ClientEffect[] {
    if (this.#state === 'proceeding') return [deliver(response)]
    const effects = this.#stopTimers()
    this.#state = 'proceeding'
    effects.push(deliver(response))
    if (this.#cancel === 'wanted') effects.push(...this.#sendCancel())
    return effects
  }

  #accept(response: Response): readonly ClientEffect[] {
    const effects = this.#stopTimers()
    this.#state = 'accepted'
    this.request = huskOf(this.request)
    effects.push(startTimer('M', this.#timers.life), deliver(response))
    return effects
  }

  #complete(response: Response): readonly ClientEffect[] {
    const effects = this.#stopTimers()
    this.#ack = buildAck(this.request, response)
    this.request = huskOf(this.request)
    effects.push(send(this.#ack))
    if (this.#reliable) {
      this.#state = 'terminated'
      effects.push(deliver(response), END_NORMAL)
    } else {
      this.#state = 'completed'
      effects.push(startTimer('D', this.#timers.d), deliver(response))
    }
    return effects
  }

  /** Stops what a response makes pointless; timers that cannot be running are not mentioned. */
  #stopTimers(): ClientEffect[] {
    if (this.#state === 'calling') return this.#reliable ? [STOP_B] : [STOP_A, STOP_B]
    return this.#cancel === 'sent' ? [STOP_CANCELLED] : []
  }

  #sendCancel(): readonly ClientEffect[] {
    this.#cancel = 'sent'
    // Without a final response within 64 × T1 the transaction is over (§9.1).
    return [SEND_CANCEL, startTimer('cancelled', this.#timers.life)]
  }

  #end(effect: ClientEffect): readonly ClientEffect[] {
    this.#state = 'terminated'
    return [effect]
  }
}
