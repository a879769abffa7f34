import type { Header, Outcome } from '../../sip/b2bua/events.ts'
import { contentOf, crossing, payloadOf } from '../../sip/b2bua/headers.ts'
import type { DialPlan, DialTarget } from '../../sip/b2bua/plan.ts'
import { DEFAULT_TIMER } from '../../sip/dialog/session-timer.ts'
import { HeaderFields } from '../../sip/message/header-fields.ts'
import { Request } from '../../sip/message/message.ts'
import { formatNameAddr, parseNameAddr } from '../../sip/message/name-addr.ts'
import { hopsLeft } from '../../sip/proxy/validate.ts'
import { editedRequest } from '../edits.ts'
import type { DialVerdict, Edit } from '../verdict.ts'

/**
 * The callee's INVITE, from the caller's: what crosses by the policy, and then what the script has changed.
 * Throws a TypeError when an edit is no header text.
 */
export function planFor(
  invite: Request,
  edits: readonly Edit[],
  verdict: DialVerdict,
  located: (targets: DialVerdict['targets']) => readonly DialTarget[],
): DialPlan {
  const { content, headers } = payloadOf(invite)
  const fields = new HeaderFields()
  fields.append('From', invite.headers.first('from') ?? '')
  fields.append('To', invite.headers.first('to') ?? '')
  for (const [name, value] of crossing(headers, verdict.policy)) fields.append(name, value)
  for (const [name, value] of content?.fields ?? []) fields.append(name, value)
  const edited = editedRequest(new Request('INVITE', invite.uri, fields, invite.body), edits)
  return {
    targets: located(verdict.targets),
    strategy: verdict.strategy,
    rerouteOn: verdict.rerouteOn === null ? null : new Set(verdict.rerouteOn),
    timeoutMs: verdict.timeoutMs,
    from: untagged(edited.headers.first('from') ?? ''),
    to: untagged(edited.headers.first('to') ?? ''),
    content: contentOf(edited),
    headers: ownHeaders(edited),
    maxForwards: Math.max(0, hopsLeft(invite) - 1),
    policy: verdict.policy,
    timer: verdict.timer ?? DEFAULT_TIMER,
    credentials: verdict.credentials,
  }
}

/** A transfer's INVITE: in the name of the call, to somebody else, without a description. */
export function sameButTarget(
  invite: Request,
  uri: string,
  targets: readonly DialTarget[],
  headers: readonly Header[],
): DialPlan {
  return {
    targets,
    strategy: 'parallel',
    rerouteOn: null,
    timeoutMs: 60_000,
    from: untagged(invite.headers.first('from') ?? ''),
    to: `<${uri}>`,
    content: null,
    headers,
    maxForwards: 70,
    policy: 'strict',
    timer: DEFAULT_TIMER,
    credentials: null,
  }
}

/** What a script wants answered. */
export function outcomeOf(
  status: number,
  reason: string | null,
  headers: readonly Header[],
  body: string | null,
  contentType: string | null,
): Outcome {
  const content =
    body === null || body === ''
      ? null
      : { body, fields: [['Content-Type', contentType ?? 'application/sdp'] as const] }
  return { status, reason, headers, content }
}

function ownHeaders(request: Request): Header[] {
  return request.headers.fields
    .filter(({ key }) => key !== 'from' && key !== 'to' && !/^(content-|mime-version)/.test(key))
    .map(({ name, value }): Header => [name, value])
}

/** A From or To without its tag: the new leg has one of its own. */
function untagged(text: string): string {
  const parsed = parseNameAddr(text)
  if (!parsed.ok) return text
  const params = parsed.value.params.clone()
  params.delete('tag')
  return formatNameAddr({ ...parsed.value, params })
}
