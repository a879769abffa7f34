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

export type NonInviteClientState = 'trying' | 'proceeding' | 'completed' | 'terminated'

const STOP_E = stopTimer('E')
const STOP_F = stopTimer('F')

/**
 * Non-INVITE client transaction: RFC 3261 §17.1.2. CANCEL, too.
 *
 *              1xx              200-699             K
 *   trying ─────────▶ proceeding ─────▶ completed ─────▶ terminated
 *     │ 200-699           │                ▲                 ▲
 *     ├───────────────────┼────────────────┘                 │
 *     └───────────────────┴──── F, or the transport failed ──┘
 *
 * Over a reliable transport timer K is 0, and completed is passed through.
 */
export class NonInviteClientTransaction {
  request: Request
  readonly #timers: Timers
  readonly #reliable: boolean
  #state: NonInviteClientState = 'trying'
  #e: number

  /** @param reliable whether the request leaves over a stream transport */
  constructor(request: Request, reliable: boolean, timers: Timers) {
    this.request = request
    this.#reliable = reliable
    this.#timers = timers
    this.#e = timers.t1
  }

  get state(): NonInviteClientState {
    return this.#state
  }

  start(): readonly ClientEffect[] {
    const f = startTimer('F', this.#timers.life)
    return this.#reliable ? [send(this.request), f] : [send(this.request), f, startTimer('E', this.#e)]
  }

  receive(response: Response): readonly ClientEffect[] {
    switch (this.#state) {
      case 'trying':
      case 'proceeding':
        if (response.status < 200) {
          this.#state = 'proceeding'
          return [deliver(response)]
        }
        if (this.#reliable) {
          this.#state = 'terminated'
          return [deliver(response), END_NORMAL]
        }
        this.#state = 'completed'
        this.request = huskOf(this.request)
        return [STOP_E, STOP_F, startTimer('K', this.#timers.t4), deliver(response)]
      case 'completed':
        return response.status >= 200 ? [absorb(this.request.method)] : NOTHING
      case 'terminated':
        return NOTHING
    }
  }

  timerFired(timer: TimerName): readonly ClientEffect[] {
    const waiting = this.#state === 'trying' || this.#state === 'proceeding'
    if (timer === 'E' && waiting) {
      // Once there is a provisional response the request is repeated at T2 (§17.1.2.2).
      this.#e = this.#state === 'trying' ? Math.min(this.#e * 2, this.#timers.t2) : this.#timers.t2
      return [resend(this.request), startTimer('E', this.#e)]
    }
    if (timer === 'F' && waiting) {
      this.#state = 'terminated'
      return [END_TIMEOUT]
    }
    if (timer === 'K' && this.#state === 'completed') {
      this.#state = 'terminated'
      return [END_NORMAL]
    }
    return NOTHING
  }

  /** The request could not be sent, or the connection on which the answer would come is gone (§17.1.4). */
  transportFailed(): readonly ClientEffect[] {
    if (this.#state === 'completed' || this.#state === 'terminated') return NOTHING
    this.#state = 'terminated'
    return [END_TRANSPORT]
  }
}
