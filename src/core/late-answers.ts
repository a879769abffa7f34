import type { Response } from '../sip/message/message.ts'
import { standalone } from '../sip/message/own-text.ts'
import type { ServerTransaction } from '../stack/transaction-layer.ts'
import type { CallTracker } from './calls.ts'
import type { ProxyDialogs } from './proxy-dialogs.ts'

export interface LateAnswersOptions {
  readonly transaction: ServerTransaction
  readonly dialogs: ProxyDialogs
  /** The request was record-routed: dialogs of other forks are followed, too. */
  readonly recordRoute: boolean
  readonly calls: CallTracker | null
  /** The attempt's id, by which it is found while it lives. */
  readonly callId: string | null
  /** To tags that have been answered. */
  readonly tags: readonly string[]
}

/**
 * What is left of an answered INVITE for the 32 s in which 2xx may still come: repetitions, and answers of forks further
 * on (§16.7 step 5, RFC 6026 §7.2). All of them go up.
 */
export class LateAnswers {
  // Not the options: one object more, 32 s long, for each call.
  readonly #transaction: ServerTransaction
  /** Null: no dialog is followed. */
  readonly #dialogs: ProxyDialogs | null
  readonly #calls: CallTracker | null
  readonly #callId: string | null
  #tags: readonly string[]

  constructor({ transaction, dialogs, recordRoute, calls, callId, tags }: LateAnswersOptions) {
    this.#transaction = transaction
    this.#dialogs = recordRoute ? dialogs : null
    this.#calls = calls
    this.#callId = callId
    this.#tags = tags
  }

  arrived(_branch: unknown, response: Response | null): void {
    if (response === null || response.status < 200 || response.status >= 300) return
    response.headers.removeFirst('via')
    const tag = response.toTag ?? ''
    // A repetition must not revive a dialog that has ended meanwhile.
    if (this.#dialogs !== null && !this.#tags.includes(tag)) {
      this.#tags = [...this.#tags, standalone(tag)]
      const call = this.#callId === null ? undefined : this.#calls?.find(this.#callId)
      this.#dialogs.confirm(response, call ?? null)
    }
    this.#transaction.respond(response)
  }
}
