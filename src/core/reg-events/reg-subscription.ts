import type { Clock, Timer } from '../../base/clock.ts'
import { publicGruu } from '../../sip/registrar/gruu.ts'
import { type ContactEvent, reginfoBody, type ReginfoContact } from '../../sip/registrar/reginfo.ts'
import { secondsLeft } from '../../sip/registrar/bindings.ts'
import type { StoredBinding } from '../location-store.ts'
import type { NotifierDialog } from './notifier-dialog.ts'
import type { Back } from './reg-subscriptions.ts'

/** RFC 3680 §4.10: no more NOTIFYs to one subscriber than one in so long. What changes meanwhile goes together. */
const NOTIFY_GAP_MS = 5_000

/** Why it ends: the subscriber's time is up or he asked for it, we go, or he did not take a NOTIFY. */
export type SubscriptionEnd = 'timeout' | 'deactivated' | 'failed'

export interface RegSubscriptionOptions {
  readonly clock: Clock
  readonly aor: string
  readonly bindings: () => readonly StoredBinding[]
  readonly dialog: NotifierDialog
  readonly back: Back
  /** Sends a NOTIFY; `then` is called once with its end. */
  readonly notify: (
    headers: readonly (readonly [string, string])[],
    body: string,
    then: (outcome: 'delivered' | SubscriptionEnd) => void,
  ) => void
  /** It is no more; called once. */
  readonly onEnd: () => void
}

/**
 * One subscription to one user's registrations: when a NOTIFY is due, and what it says (RFC 6665 §4.2.2, RFC 3680 §4.7).
 *
 * One NOTIFY is under way at a time. The first after each SUBSCRIBE goes at once and says all; later ones say what has
 * changed since the last, at most one in five seconds; when one was not taken, the subscription is over.
 */
export class RegSubscription {
  readonly aor: string
  readonly dialog: NotifierDialog
  back: Back
  readonly #o: RegSubscriptionOptions
  #version = 0
  #expiresAt = 0
  #expiry: Timer | null = null
  #gap: Timer | null = null
  #underWay = false
  /** A SUBSCRIBE wants everything told. */
  #full = false
  /** By number of the binding; the last change counts. */
  readonly #changes = new Map<number, { readonly binding: StoredBinding; readonly event: ContactEvent }>()
  #ending: SubscriptionEnd | null = null
  #ended = false

  constructor(options: RegSubscriptionOptions) {
    this.#o = options
    this.aor = options.aor
    this.dialog = options.dialog
    this.back = options.back
  }

  /** A SUBSCRIBE has been answered. @param expires seconds; 0 ends it after one last NOTIFY */
  renewed(expires: number): void {
    if (this.#ended) return
    const { clock } = this.#o
    this.#expiry?.cancel()
    this.#expiry = null
    this.#expiresAt = clock.now() + expires * 1000
    this.#full = true
    if (expires === 0) this.#ending = 'timeout'
    else this.#expiry = clock.startTimer(expires * 1000, () => this.end('timeout'))
    this.#next()
  }

  changed(binding: StoredBinding, event: ContactEvent): void {
    if (this.#ended || this.#ending !== null) return
    const before = this.#changes.get(binding.id)
    const stillNew = before?.event === 'registered' && event === 'refreshed'
    this.#changes.set(binding.id, { binding, event: stillNew ? 'registered' : event })
    if (this.#gap === null && !this.#underWay) this.#next()
  }

  /** One last NOTIFY, and it is over. */
  end(why: SubscriptionEnd): void {
    if (this.#ended) return
    this.#ending ??= why
    this.#full = true
    this.#next()
  }

  /** Over, without a word. */
  drop(): void {
    this.#ended = true
    this.#expiry?.cancel()
    this.#gap?.cancel()
  }

  #next(): void {
    if (this.#underWay || this.#ended) return
    if (!this.#full && this.#changes.size === 0) return
    this.#gap?.cancel()
    this.#gap = null
    const last = this.#ending
    const body = this.#body()
    this.#full = false
    this.#changes.clear()
    const state =
      last === null
        ? `active;expires=${secondsLeft(this.#expiresAt, this.#o.clock.now())}`
        : `terminated;reason=${last}`
    const headers = [
      ['Event', 'reg'],
      ['Subscription-State', state],
    ] as const
    this.#underWay = true
    if (last !== null) this.#over()
    this.#o.notify(headers, body, (outcome) => {
      this.#underWay = false
      if (this.#ended) return
      if (outcome !== 'delivered') this.#over()
      else if (this.#full || this.#ending !== null) this.#next()
      else this.#wait()
    })
  }

  #wait(): void {
    this.#gap = this.#o.clock.startTimer(NOTIFY_GAP_MS, () => {
      this.#gap = null
      this.#next()
    })
  }

  #over(): void {
    this.drop()
    this.#o.onEnd()
  }

  #body(): string {
    const bindings = this.#o.bindings()
    const now = this.#o.clock.now()
    const gone = [...this.#changes.values()].filter(({ event }) => !isLiving(event))
    const living = this.#full
      ? bindings.map((binding) => ({
          binding,
          event: this.#changes.get(binding.id)?.event ?? ('registered' as const),
        }))
      : [...this.#changes.values()].filter(({ event }) => isLiving(event))
    const ever = bindings.length > 0 || gone.length > 0 || this.#version > 0
    return reginfoBody({
      aor: this.aor,
      version: this.#version++,
      state: this.#full ? 'full' : 'partial',
      registration: bindings.length > 0 ? 'active' : ever ? 'terminated' : 'init',
      contacts: [...living, ...gone].map(({ binding, event }) => shown(binding, event, now)),
    })
  }
}

function isLiving(event: ContactEvent): boolean {
  return event === 'registered' || event === 'created' || event === 'refreshed'
}

function shown(binding: StoredBinding, event: ContactEvent, now: number): ReginfoContact {
  const { id, uri, q, callId, cseq, expiresAt, updatedAt, instance, source } = binding
  return {
    id,
    uri,
    q,
    callId,
    cseq,
    event,
    active: isLiving(event),
    expires: secondsLeft(expiresAt, now),
    duration: Math.max(0, Math.floor((now - updatedAt) / 1000)),
    gruu: instance === null ? null : publicGruu(source.aor, instance),
  }
}
