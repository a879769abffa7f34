import type { Request } from '../message/message.ts'
import { routeUri } from '../proxy/preprocess.ts'
import { type Refusal, refusal } from './bindings.ts'
import type { WantedContact } from './contact.ts'

/** Extensions of REGISTER that the registrar does: RFC 3327, RFC 5626, RFC 5627. */
const ABILITIES: ReadonlySet<string> = new Set(['path', 'outbound', 'gruu'])

/** What a REGISTER says of the way it came and of what its sender can do. */
export interface RegisterMeans {
  readonly ok: true
  /** The Path vector, topmost first (RFC 3327 §5.3); empty without one. */
  readonly path: readonly string[]
  /** Its reg-ids count: the first hop keeps the flow (RFC 5626 §6). */
  readonly outbound: boolean
  /** The sender takes GRUUs (RFC 5627 §5.2). */
  readonly gruu: boolean
  /** The sender takes Path back in the answer (RFC 3327 §5.3). */
  readonly echoPath: boolean
}

/** Whether an option tag stands in Supported or Require. */
export function supports(request: Request, tag: string): boolean {
  return optionTags(request, 'supported').includes(tag) || optionTags(request, 'require').includes(tag)
}

/**
 * Reads what the extensions of a REGISTER ask for, or refuses:
 *   420 with Unsupported for what it requires and we do not do (RFC 3261 §8.2.2.3), and, unless `lenientPath`, for a
 *   Path that a proxy added though the phone does not know it: the policy that RFC 3327 §5.3 recommends;
 *   400 for two reg-ids at once (RFC 5626 §6), and for a Path that cannot be read;
 *   439 when the phone counts on its first hop to keep the flow and that hop does not (RFC 5626 §6).
 */
export function readMeans(
  request: Request,
  contacts: readonly WantedContact[],
  lenientPath: boolean,
): RegisterMeans | Refusal {
  const unknown = optionTags(request, 'require').filter((tag) => !ABILITIES.has(tag))
  if (unknown.length > 0) return refusal(420, null, [['Unsupported', unknown.join(', ')]])
  const path = request.headers.all('path')
  if (path.some((value) => routeUri(value) === null)) return refusal(400, 'A Path that cannot be read')
  const echoPath = supports(request, 'path')
  if (path.length > 0 && !echoPath && !lenientPath) return refusal(420, null, [['Unsupported', 'path']])
  const flows = contacts.filter(({ regId }) => regId !== null)
  const outbound = flows.length > 0 && supports(request, 'outbound')
  if (outbound) {
    if (flows.filter(({ expires }) => expires !== 0).length > 1) return refusal(400, 'More than one reg-id')
    if (request.headers.count('via') > 1 && !isOutboundPath(path)) return refusal(439, null)
  }
  return { ok: true, path, outbound, gruu: supports(request, 'gruu'), echoPath }
}

/** The last value is the first hop's; `ob` says that it keeps the flow. */
function isOutboundPath(path: readonly string[]): boolean {
  return routeUri(path.at(-1) ?? '')?.params.has('ob') === true
}

function optionTags(request: Request, key: 'supported' | 'require'): string[] {
  return request.headers
    .all(key)
    .flatMap((value) => value.split(','))
    .map((tag) => tag.trim().toLowerCase())
    .filter((tag) => tag !== '')
}
