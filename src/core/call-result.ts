import type { LocalFailure } from '../sip/proxy/best-response.ts'
import type { CallResult, DisconnectInitiator } from '../spine/facts.ts'

/** Who made the final response of a call attempt. */
export type Cause =
  /** It came from downstream. */
  | 'callee'
  /** The caller's CANCEL. */
  | 'caller'
  /** The script's reply, its failure, or our own refusal. */
  | 'server'
  /** Nobody there: not one response (timer B). */
  | 'timeout'
  /** It rang, or was being tried, until timer C. */
  | 'no-answer'
  /** It could not be sent. */
  | 'error'

/**
 * What an attempt counts as (contract §3). The table, first match:
 *
 *   2xx                                answered      487 after the caller's CANCEL      cancelled
 *   401 407                            challenged    transport failure                  error
 *   timer C                            no_answer     timer B                            timeout
 *   486 600                            busy          480                                no_answer
 *   408 after ringing                  no_answer     408 otherwise                      timeout
 *   404 410 604, 502 503 504 580       unavailable   500 and other 5xx                  error
 *   everything else                    rejected
 *
 * docs/decisions/0008-call-results.md says why.
 * @param ringing the caller was told that it rings (a provisional response above 100 went up)
 */
export function resultOf(code: number, cause: Cause, ringing: boolean): CallResult {
  if (code < 300) return 'answered'
  switch (cause) {
    case 'caller':
      return 'cancelled'
    case 'error':
      return 'error'
    case 'no-answer':
      return 'no_answer'
    case 'timeout':
      return 'timeout'
    case 'callee':
    case 'server':
      return byCode(code, ringing)
  }
}

function byCode(code: number, ringing: boolean): CallResult {
  switch (code) {
    case 401:
    case 407:
      return 'challenged'
    case 486:
    case 600:
      return 'busy'
    case 480:
      return 'no_answer'
    case 408:
      return ringing ? 'no_answer' : 'timeout'
    case 404:
    case 410:
    case 604:
    case 502:
    case 503:
    case 504:
    case 580:
      return 'unavailable'
    default:
      return code >= 500 && code < 600 ? 'error' : 'rejected'
  }
}

/** `disconnect_initiator` of an attempt that was not answered (contract §5). */
export function initiatorOf(cause: Cause): DisconnectInitiator {
  return cause === 'no-answer' ? 'timeout' : cause
}

/** The cause of a branch's failure, local or from downstream. */
export function causeOf(local: LocalFailure | null): Cause {
  switch (local) {
    case null:
      return 'callee'
    case 'timeout':
    case 'no-answer':
      return local
    case 'transport':
      return 'error'
    case 'cancelled':
      return 'caller'
    case 'unroutable':
      return 'server'
  }
}
