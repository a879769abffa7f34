import type { Timer } from '../base/clock.ts'
import type { Response } from '../sip/message/message.ts'
import type { LocalFailure } from '../sip/proxy/best-response.ts'
import type { ClientTransaction, ClientUser } from '../stack/transaction-layer.ts'
import type { BranchWatch } from './branch-watch.ts'

/** Who hears what comes on a branch. A null response: the transaction ended for want of one. */
export interface BranchListener {
  arrived(branch: Branch, response: Response | null, failure: LocalFailure): void
}

/** Another flow to the same device (RFC 5626 §7). */
interface Alternate {
  readonly uri: string
  readonly contact: string
}

const NONE: readonly never[] = []

/** Most forks further on whose answers are remembered: they may be without end. */
const MAX_ANSWERS = 16

/** One target of a proxied request, and its client transaction (§16.6). */
export class Branch implements ClientUser {
  readonly index: number
  uri: string | null
  readonly nextHop: string | null
  /** The destination of a gateway group that it goes to. */
  readonly gateway: string | null
  watch: BranchWatch | null = null
  /** The registered contact that `uri` is. */
  contact: string | null
  /** Tried one after another when the flow before has failed, never beside it. */
  alternates: readonly Alternate[] = NONE
  /** Its share of Max-Breadth. */
  readonly breadth: number
  transaction: ClientTransaction | null = null
  timerC: Timer | null = null
  #answers: readonly Response[] = NONE
  /** The request it belongs to; after the answer, what waits for repetitions. */
  listener: BranchListener

  constructor(
    index: number,
    uri: string | null,
    contact: string | null,
    nextHop: string | null,
    gateway: string | null,
    breadth: number,
    listener: BranchListener,
  ) {
    this.index = index
    this.gateway = gateway
    this.breadth = breadth
    this.uri = uri
    this.contact = contact
    this.nextHop = nextHop
    this.listener = listener
  }

  /** A 2xx to an INVITE as the script left it, to be repeated without asking again. */
  answered(response: Response): void {
    this.#answers = [...this.#answers.slice(1 - MAX_ANSWERS), response]
  }

  /** What was answered before with this To tag: each fork further on repeats its own 2xx. */
  answerOf({ toTag }: Response): Response | undefined {
    return this.#answers.find((answer) => answer.toTag === toTag)
  }

  /** Only repetitions come from now on. Where it went is forgotten: a piece of a message keeps the whole message in memory. */
  leaveTo(listener: BranchListener): void {
    this.listener = listener
    this.uri = null
    this.contact = null
    this.alternates = NONE
  }

  onResponse(response: Response): void {
    this.listener.arrived(this, response, 'timeout')
  }

  onEnd(reason: 'normal' | 'timeout' | 'transport'): void {
    // A normal end follows a final response, which has been heard already.
    if (reason !== 'normal') this.listener.arrived(this, null, reason)
  }
}
