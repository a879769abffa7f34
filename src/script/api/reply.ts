import type { Edit } from '../../core/verdict.ts'
import type { Response } from '../../sip/message/message.ts'
import { reasonText } from './checks.ts'
import { MessageView } from './message-view.ts'
import { ScriptError } from './script-error.ts'
import { decodeText } from './text.ts'
import { Verdict } from './verdict.ts'

/** A response on its way back through the proxy. */
export class Reply extends MessageView {
  readonly #response: Response
  readonly #elapsedMs: number

  /** @internal */
  constructor(response: Response, edits: Edit[] | string, elapsedMs: number) {
    super(response, edits)
    this.#response = response
    this.#elapsedMs = elapsedMs
  }

  /** 100 … 699. */
  get statusCode(): number {
    return this.#response.status
  }

  get reason(): string {
    return decodeText(this.#response.reason)
  }

  /**
   * Seconds from the receipt of the request to this response (in `onFailure`: to its last failure), ringing included,
   * by the monotonic clock of the thread that receives both. No variable of the script's could tell: `onRequest` and
   * `onReply` of one call may run in different workers.
   */
  get elapsedSeconds(): number {
    return this.#elapsedMs / 1000
  }

  /** Pass the response on (§16.7). In `onFailure`: answer the caller with it. */
  relay(): Verdict {
    return new Verdict({ do: 'pass' })
  }

  /** Only in `onReply`: give the call up. Its branches are cancelled and the caller gets this answer. @param code 300 … 699 */
  reject(code: number, reason?: string): Verdict {
    if (!Number.isInteger(code) || code < 300 || code > 699) {
      throw new ScriptError(`${String(code)} is not a refusal: 300 to 699 (RFC 3261 §7.2)`)
    }
    return new Verdict({ do: 'reject', code, reason: reasonText(reason) })
  }

  /** Only in `onReply`, for a provisional response: the caller does not see it. */
  drop(): Verdict {
    if (this.#response.status >= 200) throw new ScriptError('only a provisional response can be dropped')
    return new Verdict({ do: 'drop' })
  }

  /** Leave the decision to the next matching handler. */
  next(): Verdict {
    return new Verdict(null)
  }
}
