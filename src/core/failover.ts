import { strict as assert } from 'node:assert'
import type { Clock, Timer } from '../base/clock.ts'
import type { Request, Response } from '../sip/message/message.ts'
import type { FailoverReason } from '../spine/facts.ts'
import type { ClientTransaction, ClientUser } from '../stack/transaction-layer.ts'
import type { Flow, Target } from '../stack/transport.ts'
import type { TargetMemory } from './target-memory.ts'

export interface FailoverOptions {
  readonly clock: Clock
  /** At least two, the first to be tried first. */
  readonly targets: readonly Target[]
  /** Sends a copy with a branch of its own. */
  readonly send: (request: Request, target: Target, user: ClientUser) => ClientTransaction
  readonly user: ClientUser
  readonly memory: TargetMemory
  /** False when whoever wanted the request has given it up. */
  readonly wanted: () => boolean
  /**
   * How long a target may say nothing while there is another one, ms. An INVITE's: §17.2.1 owes a 100 within 200 ms. To
   * other requests nothing is owed for seconds (RFC 4320 §4.1), so they wait four times as long.
   */
  readonly attemptMs: number
  readonly onFailover: (reason: FailoverReason) => void
}

const PATIENCE_WITHOUT_100 = 4

/** A target that is or was tried. */
class Attempt implements ClientUser {
  readonly target: Target
  readonly #owner: Failover
  transaction: ClientTransaction | null = null
  /** It kept silent for too long, and another target has the request now. */
  abandoned = false

  constructor(owner: Failover, target: Target) {
    this.#owner = owner
    this.target = target
  }

  onResponse(response: Response): void {
    this.#owner.heard(this, response)
  }

  onEnd(reason: 'normal' | 'timeout' | 'transport'): void {
    this.#owner.ended(this, reason)
  }
}

/**
 * One request over the targets of its next hop, RFC 3263 §4.3: the next one gets it when a target cannot be reached,
 * answers 503 or keeps silent. To its user it is one client transaction.
 *
 * A target that kept silent may still be there. Its INVITE is cancelled as soon as it says something; a 2xx that comes
 * nevertheless goes up like that of any branch (§16.7 step 5), and takes the place of what is still being tried.
 */
export class Failover implements ClientTransaction {
  readonly #o: FailoverOptions
  readonly #invite: boolean
  #current: Attempt
  #next = 1
  #timer: Timer | null = null
  #cancelled = false
  /** The user has a final response, or has been told that there is none. */
  #decided = false
  #over = false
  /** For further targets; let go when there can be none. */
  #unsent: Request | null

  /** @param request as it is before it has a Via */
  constructor(request: Request, options: FailoverOptions) {
    const [first] = options.targets
    assert(first !== undefined, 'a failover without targets')
    this.#o = options
    this.#invite = request.method === 'INVITE'
    this.#unsent = request
    this.#current = new Attempt(this, first)
  }

  get request(): Request {
    const request = this.#current.transaction?.request ?? this.#unsent
    assert(request !== null, 'a failover before its start')
    return request
  }

  get branch(): string {
    return this.#current.transaction?.branch ?? ''
  }

  get state(): ClientTransaction['state'] {
    return this.#current.transaction?.state ?? (this.#invite ? 'calling' : 'trying')
  }

  get flow(): Flow | null {
    return this.#current.transaction?.flow ?? null
  }

  start(): void {
    this.#try(this.#current)
  }

  cancel(headers?: Parameters<ClientTransaction['cancel']>[0]): void {
    this.#cancelled = true
    this.#stopTimer()
    this.#current.transaction?.cancel(headers)
  }

  /** The server stops: no timer is left. */
  drop(): void {
    this.#over = true
    this.#stopTimer()
  }

  heard(attempt: Attempt, response: Response): void {
    const { memory, user } = this.#o
    const { status } = response
    if (this.#over) return
    if (status !== 503) memory.alive(attempt.target)
    if (attempt !== this.#current) {
      this.#late(attempt, response)
      return
    }
    this.#stopTimer()
    if (status === 503) {
      memory.failed(attempt.target, retryAfterMs(response))
      if (this.#failOver('503')) return
    }
    if (status >= 200) this.#decide()
    user.onResponse(response, this)
  }

  ended(attempt: Attempt, reason: 'normal' | 'timeout' | 'transport'): void {
    if (this.#over || attempt !== this.#current) return
    this.#stopTimer()
    if (!this.#decided) {
      // A 408 that follows a CANCEL tells nothing about the target.
      if (reason !== 'normal' && !this.#cancelled) this.#o.memory.failed(attempt.target)
      // After a 503 the attempt's own end is no news: another one is current by then.
      if (reason !== 'normal' && this.#failOver(reason)) return
    }
    this.#decide()
    this.#over = !this.#invite || reason !== 'normal'
    this.#o.user.onEnd(reason, this)
  }

  #try(attempt: Attempt): void {
    const { clock, targets, send, attemptMs } = this.#o
    const request = this.#unsent
    if (request === null) return
    const last = this.#next >= targets.length
    if (!last && attemptMs > 0) {
      const ms = this.#invite ? attemptMs : attemptMs * PATIENCE_WITHOUT_100
      this.#timer = clock.startTimer(ms, () => this.#silent(attempt))
    }
    attempt.transaction = send(last ? request : request.clone(), attempt.target, attempt)
  }

  /** Nothing has come from the target, not even a 100. */
  #silent(attempt: Attempt): void {
    this.#timer = null
    if (this.#over || attempt !== this.#current) return
    this.#o.memory.failed(attempt.target)
    attempt.abandoned = true
    if (this.#failOver('timeout')) attempt.transaction?.cancel()
    else attempt.abandoned = false
  }

  /** False when there is nobody else, or nobody who still wants it. */
  #failOver(reason: FailoverReason): boolean {
    const target = this.#o.targets[this.#next]
    if (target === undefined || this.#cancelled || this.#decided || !this.#o.wanted()) return false
    this.#next++
    this.#current = new Attempt(this, target)
    this.#o.onFailover(reason)
    this.#try(this.#current)
    return true
  }

  /** From a target that another one has taken over from. */
  #late(attempt: Attempt, response: Response): void {
    const { status } = response
    const { user } = this.#o
    if (!attempt.abandoned || status < 200) return
    if (this.#invite) {
      if (status >= 300) return
      // It was answered after all. What is tried instead is given up; its own 2xx, if it comes, goes up as well.
      const instead = this.#current
      if (!this.#decided) {
        this.#decide()
        instead.abandoned = true
        this.#current = attempt
        instead.transaction?.cancel()
      }
      user.onResponse(response, this)
    } else if (!this.#decided && status !== 503) {
      this.#decide()
      this.#current.abandoned = true
      this.#current = attempt
      user.onResponse(response, this)
    }
  }

  #decide(): void {
    this.#decided = true
    this.#stopTimer()
    this.#unsent = null
  }

  #stopTimer(): void {
    this.#timer?.cancel()
    this.#timer = null
  }
}

/** Seconds at the head of the field (§20.33), as milliseconds; 0 when there are none. */
function retryAfterMs(response: Response): number {
  const seconds = /^\s*(\d{1,9})/.exec(response.headers.first('retry-after') ?? '')
  return seconds === null ? 0 : Number(seconds[1]) * 1000
}
