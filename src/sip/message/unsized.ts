import { type Fault, malformed } from './fault.ts'
import type { Limits } from './limits.ts'
import { faultOf, isStatusLine } from './parse.ts'

/**
 * A Content-Length, or a name that differs from it by what cannot be seen, where somebody could take it for the start of
 * a line: after a fold, or after a control character that does not end a line for us. Linear in the length of the text: a
 * run of tabs is no place to begin from each and go through to its end.
 */
// oxlint-disable-next-line no-control-regex -- the very characters that are looked for
const LOOK_ALIKE = /[\x00-\x1f\x7f-\xa0] *(?:content-length|l)[^a-z0-9:\r\n-]*:/i

/**
 * Why a head without Content-Length cannot be that of a message whose body is the rest of its stream; null when it can.
 *
 * §20.14 demands the field on a stream. A request of RFC 2543 may be without: there, the body ends where the stream does.
 * It is believed only when all else in its head is sound, and when no other reader can find a length in it.
 */
export function unsizedFault(head: string, limits: Limits): Fault | null {
  if (isStatusLine(head, 0) || LOOK_ALIKE.test(head))
    return malformed('content-length is missing on a stream').fault
  return faultOf(head, limits)
}
