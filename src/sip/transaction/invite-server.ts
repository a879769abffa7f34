import { buildResponse } from '../message/build.ts'
import { huskOf } from '../message/husk.ts'
import type { Request, Response } from '../message/message.ts'
import { isAckOf } from './key.ts'
import type { Timers } from './timers.ts'
import {
  END_NORMAL,
  END_TIMEOUT,
  NOTHING,
  type ServerEffect,
  type TimerName,
  absorb,
  resend,
  send,
  startTimer,
  stopTimer,
} from './types.ts'

export type InviteServerState = 'proceeding' | 'completed' | 'confirmed' | 'accepted' | 'terminated'

const STOP_TRYING = stopTimer('trying')
const STOP_G = stopTimer('G')
const STOP_H = stopTimer('H')

/**
 * INVITE server transaction: RFC 3261 §17.2.1 with the Accepted state of RFC 6026 §7.1.
 *
 *      300-699              ACK               I
 *   proceeding ─▶ completed ────▶ confirmed ─────▶ terminated
 *      │ 2xx          │ H                             ▲ ▲
 *      │              └───────────────────────────────┘ │
 *      └────────▶ accepted ─────────────────────────────┘
 *                                    L
 *
 * Over a reliable transport timer I is 0, and confirmed is passed through. A response that cannot be sent changes
 * nothing here: the TU is told, and the transaction stays where it is (RFC 6026 §8.8).
 *
 * Pure: every method takes one input and returns what to do about it, in order.
 */
export class InviteServerTransaction {
  request: Request
  readonly #timers: Timers
  readonly #reliable: boolean
  #state: InviteServerState = 'proceeding'
  #last: Response | null = null
  #g: number

  /** @param reliable whether the request came over a stream transport */
  constructor(request: Request, reliable: boolean, timers: Timers) {
    this.request = request
    this.#reliable = reliable
    this.#timers = timers
    this.#g = timers.t1
  }

  get state(): InviteServerState {
    return this.#state
  }

  start(): readonly ServerEffect[] {
    return [startTimer('trying', this.#timers.inviteTrying)]
  }

  /** A request with this transaction's key: the INVITE again, or an ACK (§17.2.3). */
  receive(request: Request): readonly ServerEffect[] {
    if (request.method === 'ACK') return this.#acknowledge(request)
    switch (this.#state) {
      case 'proceeding':
      case 'completed':
        return this.#last === null ? [absorb('INVITE')] : [absorb('INVITE'), resend(this.#last)]
      case 'confirmed':
      case 'accepted':
        // The 2xx is the TU's to repeat, never ours (RFC 6026 §7.1).
        return [absorb('INVITE')]
      case 'terminated':
        return NOTHING
    }
  }

  /** Whether a response of this status may be sent now: none follows a final one, but a 2xx may follow a 2xx. */
  takes(status: number): boolean {
    if (this.#state === 'accepted') return status >= 200 && status < 300
    return this.#state === 'proceeding'
  }

  /** The TU answers. What `takes` does not allow is ignored. */
  send(response: Response): readonly ServerEffect[] {
    const { status } = response
    if (!this.takes(status)) return NOTHING
    // It has had its 100 when the TU took long: another says nothing new.
    if (status === 100 && this.#last !== null) return NOTHING
    if (this.#state === 'accepted') return [send(response)]
    // A challenge is repeated when the INVITE is, and not by itself (§8.2.7, §26.3.2.4): whoever puts another's address into
    // his datagrams must not have us send eleven for one. A caller that has heard nothing from us repeats its INVITE.
    const unasked = this.#last !== null || (status !== 401 && status !== 407)
    const effects: ServerEffect[] = this.#last === null ? [STOP_TRYING, send(response)] : [send(response)]
    if (status >= 200 && status < 300) {
      this.#state = 'accepted'
      // Never repeated from here, and not worth its memory for 32 s.
      this.#last = null
      this.request = huskOf(this.request)
      effects.push(startTimer('L', this.#timers.life))
      return effects
    }
    this.#last = response
    if (status >= 300) {
      this.#state = 'completed'
      this.request = huskOf(this.request)
      effects.push(startTimer('H', this.#timers.life))
      if (!this.#reliable && unasked) effects.push(startTimer('G', this.#g))
    }
    return effects
  }

  timerFired(timer: TimerName): readonly ServerEffect[] {
    if (timer === 'trying' && this.#state === 'proceeding' && this.#last === null) {
      this.#last = buildResponse(this.request, 100)
      return [send(this.#last)]
    }
    if (timer === 'G' && this.#state === 'completed' && this.#last !== null) {
      this.#g = Math.min(this.#g * 2, this.#timers.t2)
      return [resend(this.#last), startTimer('G', this.#g)]
    }
    // Nobody acknowledged: the TU may want to know (§17.2.1).
    if (timer === 'H' && this.#state === 'completed') return this.#end(END_TIMEOUT)
    if (timer === 'I' && this.#state === 'confirmed') return this.#end(END_NORMAL)
    if (timer === 'L' && this.#state === 'accepted') return this.#end(END_NORMAL)
    return NOTHING
  }

  #acknowledge(ack: Request): readonly ServerEffect[] {
    switch (this.#state) {
      case 'completed':
        // An RFC 2543 element acknowledges another response, one with a To tag that is not ours.
        if (this.#last === null || !isAckOf(ack, this.#last)) return [{ do: 'deliverAck', ack }]
        if (this.#reliable) return this.#end(END_NORMAL)
        this.#state = 'confirmed'
        return [STOP_G, STOP_H, startTimer('I', this.#timers.t4)]
      case 'confirmed':
        return [absorb('ACK')]
      case 'accepted':
        return [{ do: 'deliverAck', ack }]
      case 'proceeding':
      case 'terminated':
        return NOTHING
    }
  }

  #end(effect: ServerEffect): readonly ServerEffect[] {
    this.#state = 'terminated'
    return [effect]
  }
}
