import { standalone } from '../sip/message/own-text.ts'
import type { Response } from '../sip/message/message.ts'
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
  readonly #o: LateAnswersOptions
  #tags: readonly string[]

  constructor(options: LateAnswersOptions) {
    this.#o = options
    this.#tags = options.tags
  }

  arrived(_branch: unknown, response: Response | null): void {
    if (response === null || response.status < 200 || response.status >= 300) return
    response.headers.removeFirst('via')
    const { transaction, dialogs, recordRoute, calls, callId } = this.#o
    const tag = response.toTag ?? ''
    // A repetition must not revive a dialog that has ended meanwhile.
    if (recordRoute && !this.#tags.includes(tag)) {
      this.#tags = [...this.#tags, standalone(tag)]
      dialogs.confirm(response, (callId === null ? undefined : calls?.find(callId)) ?? null)
    }
    transaction.respond(response)
  }
}
