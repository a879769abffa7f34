import {
  expireAfterMs,
  LEAST_MIN_SE,
  refreshAfterMs,
  type Negotiated,
  type SessionTimerPolicy,
} from '../dialog/session-timer.ts'
import type { Actor, Out } from './events.ts'
import type { Session } from './session.ts'

/** The session timer of one dialog (RFC 4028 §10): a refresh by us or by the peer before half of it is over, or its end. */
export class SessionClock {
  readonly #by: Actor
  readonly #out: Out
  #agreed: Negotiated | null = null
  #least = LEAST_MIN_SE

  constructor(by: Actor, out: Out) {
    this.#by = by
    this.#out = out
  }

  /** A session refresh was answered: it lives anew by what was agreed on; null: without a timer. */
  start(agreed: Negotiated | null): void {
    this.stop()
    this.#agreed = agreed
    if (agreed === null) return
    if (agreed.ours) this.#start('refresh', refreshAfterMs(agreed))
    this.#start('expire', expireAfterMs(agreed))
  }

  stop(): void {
    if (this.#agreed === null) return
    this.#out({ do: 'stopTimer', by: this.#by, timer: 'refresh' })
    this.#out({ do: 'stopTimer', by: this.#by, timer: 'expire' })
    this.#agreed = null
  }

  /** A 422 said so (§7.3). */
  raise(least: number): void {
    this.#least = Math.max(this.#least, least)
  }

  /** What a request of ours asks for, so that nothing changes (§7.4). */
  toAsk(policy: SessionTimerPolicy): {
    readonly expires: number | null
    readonly least: number
    readonly refresher: 'uac' | 'uas' | null
  } {
    const expires = this.#agreed?.expires ?? policy.expires
    const least = Math.max(this.#least, policy.minSe)
    const refresher = this.#agreed === null ? null : this.#agreed.ours ? 'uac' : 'uas'
    return { expires: expires === null ? null : Math.max(expires, least), least, refresher }
  }

  #start(timer: 'refresh' | 'expire', ms: number): void {
    this.#out({ do: 'startTimer', by: this.#by, timer, ms, spreadMs: 0 })
  }
}

/** RFC 4028 §10. What becomes of it is told by the `expire` timer, which its 2xx starts anew. */
export function refresh(session: Session): void {
  if (!session.confirmed) return
  const { descriptions } = session
  const update = session.allows('UPDATE', false)
  const content = update ? null : descriptions.last
  session.modify(
    update ? 'UPDATE' : 'INVITE',
    content,
    [],
    (outcome) => {
      // It was asked without a description, and has offered one: nothing has changed, but the ACK must say something.
      if (outcome.status < 300 && content === null && outcome.content !== null) session.ack(descriptions.last)
    },
    true,
  )
}
