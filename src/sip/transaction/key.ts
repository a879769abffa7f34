import type { Request, Response } from '../message/message.ts'

/**
 * How messages find their transaction: RFC 3261 §17.1.3 and §17.2.3.
 *
 * INVITE and non-INVITE transactions live in separate tables, so the method is no part of an INVITE's key: its ACK
 * (§17.2.3) and its CANCEL (§9.2) have the same key as the INVITE itself.
 */

/** A branch that begins so is unique in space and time (§8.1.1.7). */
const MAGIC_COOKIE = 'z9hG4bK'

/** The branch of the topmost Via, or undefined when it has none. A client transaction's key (§17.1.3). */
export function topBranch(message: Request | Response): string | undefined {
  return message.via?.params.get('branch')
}

/**
 * The key under which an INVITE, its ACK and its CANCEL meet.
 *
 * NOTE: for elements of RFC 2543 the To tag is left out, which §17.2.3 compares too: an ACK carries the tag of a
 * response that is not known when the INVITE comes in, and requests that agree in all the rest but differ in it do
 * not occur. `isAckOf` looks at the tag where it matters.
 */
export function inviteServerKey(request: Request): string {
  const via = request.via
  const branch = via?.params.get('branch')
  if (via !== undefined && branch !== undefined && branch.startsWith(MAGIC_COOKIE)) {
    return `${branch} ${via.host.toLowerCase()} ${via.port ?? ''}`
  }
  const { fromTag, callId, cseq } = request
  return `2543 ${request.headers.first('via') ?? ''} ${callId} ${cseq.number} ${fromTag ?? ''} ${request.uri}`
}

/** The same with the method: a CANCEL must not be taken for the request it cancels. */
export function nonInviteServerKey(request: Request): string {
  return `${request.method} ${inviteServerKey(request)}`
}

/**
 * Whether an ACK that has the key of an INVITE acknowledges this final response to it. With a branch of RFC 3261 the key
 * says all; without one, the To tag must be that of our response.
 */
export function isAckOf(ack: Request, response: Response): boolean {
  if (topBranch(ack)?.startsWith(MAGIC_COOKIE)) return true
  return ack.toTag === response.toTag
}
