import type { Clock } from '../base/clock.ts'
import type { LocalFailure } from '../sip/proxy/best-response.ts'
import type { RequestResult } from './gateway/health.ts'
import type { RerouteCause } from './gateway/settings.ts'

/** What the proxy tells the table of gateways, and asks it. `Gateways` is one. */
export interface GatewayPort {
  /** A request goes there now. */
  sent(gateway: string): void
  /** The first response above 100 came, `ms` after the request was sent. */
  responded(gateway: string, status: number, ms: number): void
  ended(gateway: string, result: RequestResult): void
  /** Whether a sequential fork tries the next target after this. */
  movesOn(gateway: string, cause: RerouteCause): boolean
}

/** Watches one branch that goes to a gateway: its first response above 100, and what became of it, each once. */
export class BranchWatch {
  readonly #gateways: GatewayPort
  readonly #gateway: string
  readonly #clock: Clock
  readonly #sentAt: number
  #state: 'silent' | 'heard' | 'ringing' | 'over' = 'silent'
  #cancelled = false

  constructor(gateways: GatewayPort, gateway: string, clock: Clock) {
    this.#gateways = gateways
    this.#gateway = gateway
    this.#clock = clock
    this.#sentAt = clock.now()
    gateways.sent(gateway)
  }

  /** We have given the request up. */
  cancelled(): void {
    this.#cancelled = true
  }

  received(status: number): void {
    if (this.#state === 'over') return
    if (status <= 100) {
      if (this.#state === 'silent') this.#state = 'heard'
      return
    }
    if (this.#state !== 'ringing') {
      this.#gateways.responded(this.#gateway, status, this.#clock.now() - this.#sentAt)
      this.#state = 'ringing'
    }
    if (status >= 200) this.#end(this.#resultOf(status))
  }

  /** The branch ended without a final response. */
  failed(why: LocalFailure): void {
    if (this.#state === 'over') return
    if (why === 'transport' || why === 'unroutable') this.#end('unreachable')
    else if (this.#cancelled && this.#state !== 'silent') this.#end('cancelled')
    else if (why === 'cancelled') this.#end('cancelled')
    else this.#end(this.#state === 'ringing' ? 'no_answer' : 'timeout')
  }

  /** Timer C: it rang for too long; or it said 100 and then nothing, which is no service. */
  unanswered(): void {
    if (this.#state !== 'over') this.#end(this.#state === 'ringing' ? 'no_answer' : 'timeout')
  }

  #resultOf(status: number): RequestResult {
    if (status < 300) return 'answered'
    if (status === 503) return 'unavailable'
    return status === 487 && this.#cancelled ? 'cancelled' : 'refused'
  }

  #end(result: RequestResult): void {
    this.#state = 'over'
    this.#gateways.ended(this.#gateway, result)
  }
}

/** A failed branch as `reroute_causes` names it: what has no response acts as the status it stands for, or is `transport`. */
export function rerouteCause(status: number, local: LocalFailure | null): RerouteCause {
  return local === 'transport' || local === 'unroutable' ? 'transport' : status
}
