import { flat } from '../message/own-text.ts'
import { buildResponse } from '../message/build.ts'
import { parseMessage } from '../message/parse.ts'
import { serialize } from '../message/serialize.ts'
import { huskOf } from '../message/husk.ts'
import type { Request, Response } from '../message/message.ts'
import type { Timers } from './timers.ts'
import {
  END_NORMAL,
  NOTHING,
  type ServerEffect,
  type TimerName,
  absorb,
  resend,
  send,
  startTimer,
  stopTimer,
} from './types.ts'

export type NonInviteServerState = 'trying' | 'proceeding' | 'completed' | 'terminated'

const STOP_TRYING = stopTimer('trying')

/**
 * Non-INVITE server transaction: RFC 3261 §17.2.2 as RFC 4320 corrects it: no provisional response but 100, none over
 * an unreliable transport before the client repeats at T2, one from then on by itself, and never a 408.
 *
 *              100              200-699             J
 *   trying ─────────▶ proceeding ─────▶ completed ─────▶ terminated
 *     │                200-699             ▲
 *     └────────────────────────────────────┘
 *
 * Over a reliable transport timer J is 0, and completed is passed through. A response that cannot be sent changes
 * nothing here: the TU is told, and the transaction stays where it is (RFC 6026 §8.8).
 */
export class NonInviteServerTransaction {
  request: Request
  readonly #timers: Timers
  readonly #reliable: boolean
  #state: NonInviteServerState = 'trying'
  /** The client repeats at T2 by now, so a 100 spares the network something (RFC 4320 §4.1). */
  #late = false
  #last: Response | null = null
  /** The final response as it went out: a quarter of the memory of the message, for the 32 s of timer J. */
  #sent: string | null = null

  /** @param reliable whether the request came over a stream transport */
  constructor(request: Request, reliable: boolean, timers: Timers) {
    this.request = request
    this.#reliable = reliable
    this.#timers = timers
  }

  get state(): NonInviteServerState {
    return this.#state
  }

  start(): readonly ServerEffect[] {
    return [startTimer('trying', this.#timers.nonInviteTrying)]
  }

  /** The request again. */
  receive(request: Request): readonly ServerEffect[] {
    if (this.#state === 'terminated') return NOTHING
    const repeated = absorb(request.method)
    if (this.#sent !== null) {
      const again = parseMessage(this.#sent)
      if (again.ok && again.message.kind === 'response') return [repeated, resend(again.message)]
    }
    return this.#last === null ? [repeated] : [repeated, resend(this.#last)]
  }

  /**
   * Whether a response of this status may be given now. A 408 may, and ends the transaction, but is not sent: by then
   * the client has given up by itself (RFC 4320 §4.2).
   */
  takes(status: number): boolean {
    if (this.#state === 'completed' || this.#state === 'terminated') return false
    return status >= 200 || (status === 100 && (this.#reliable || this.#late))
  }

  /** The TU answers. What `takes` does not allow is ignored. */
  send(response: Response): readonly ServerEffect[] {
    const { status } = response
    if (!this.takes(status)) return NOTHING
    const effects: ServerEffect[] = this.#late || this.#state === 'proceeding' ? [] : [STOP_TRYING]
    if (status === 408) this.#last = null
    else {
      this.#last = response
      effects.push(send(response))
    }
    if (status < 200) this.#state = 'proceeding'
    else if (this.#reliable) {
      this.#state = 'terminated'
      effects.push(END_NORMAL)
    } else {
      this.#state = 'completed'
      this.request = huskOf(this.request)
      if (this.#last !== null) this.#sent = flat(serialize(this.#last))
      this.#last = null
      effects.push(startTimer('J', this.#timers.life))
    }
    return effects
  }

  timerFired(timer: TimerName): readonly ServerEffect[] {
    if (timer === 'trying' && this.#state === 'trying') {
      this.#late = true
      this.#state = 'proceeding'
      this.#last = buildResponse(this.request, 100)
      return [send(this.#last)]
    }
    if (timer === 'J' && this.#state === 'completed') {
      this.#state = 'terminated'
      return [END_NORMAL]
    }
    return NOTHING
  }
}
