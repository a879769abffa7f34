import type { Found, Question, Reply } from '../../sip/b2bua/bridge-user.ts'
import { NOTHING, type Header } from '../../sip/b2bua/events.ts'
import type { DialTarget } from '../../sip/b2bua/plan.ts'
import type { Request } from '../../sip/message/message.ts'
import { parseNameAddr } from '../../sip/message/name-addr.ts'
import { editResponse } from '../edits.ts'
import type { DialVerdict, Outcome } from '../verdict.ts'
import { outcomeOf, planFor, sameButTarget } from './plans.ts'
import { replacesIn } from './replaces.ts'
import { seenAs, split } from './seen.ts'

/** The call that a script was asked about. */
export interface Asked {
  readonly invite: Request
  /** What of a response's fields crosses to the other leg. */
  readonly crossing: (headers: readonly Header[]) => readonly Header[]
  readonly locate: (targets: DialVerdict['targets']) => readonly DialTarget[]
  /** The dialog that the Replaces of a REFER's target names; null: none of ours. */
  readonly referred: (refer: Request) => Found | null
}

/** What a script's decision on a response of the callee makes of it. @param decided null: it was not asked */
export function replyTo(
  { response }: Exclude<Question, { about: 'refer' }>,
  decided: Outcome | null,
  { invite, crossing, locate }: Asked,
): Reply {
  const headers = crossing(response.headers)
  if (decided === null || !decided.ok) return { do: 'pass', content: response.content, headers }
  const { verdict, edits } = decided.decision
  switch (verdict.do) {
    case 'drop':
      return { do: 'drop' }
    case 'reply': {
      const { code, reason, headers: own, body, contentType } = verdict
      return { do: 'refuse', outcome: outcomeOf(code, reason, own, body, contentType) }
    }
    case 'reject':
      return refuse(verdict.code, verdict.reason)
    case 'hangup':
      return refuse(603, null)
    case 'dial':
      return { do: 'dial', plan: planFor(invite, edits, verdict, locate) }
    default: {
      const crossed = seenAs(invite, { ...response, headers }, null)
      editResponse(crossed, edits)
      return { do: 'pass', ...split(crossed) }
    }
  }
}

/** What a script's decision on a transfer makes of it. @param decided null: it was not asked */
export function referReply(
  refer: Request,
  decided: Outcome | null,
  { invite, locate, referred }: Asked,
): Reply {
  if (decided === null) return refuse(503, null)
  if (!decided.ok) return refuse(500, null)
  const { verdict } = decided.decision
  if (verdict.do === 'reply') return refuse(verdict.code, verdict.reason)
  if (verdict.do !== 'transfer') return refuse(603, null)
  const uri = verdict.target ?? referTo(refer).uri
  if (uri === null) return refuse(400, 'No Refer-To')
  const found = verdict.target === null ? referred(refer) : null
  const replaces = found === null && verdict.target === null ? replacesIn(refer) : null
  const headers: Header[] = replaces === null ? [] : [['Replaces', replaces]]
  const { nextHop, contact = null } = verdict
  return {
    do: 'transfer',
    plan: sameButTarget(invite, uri, locate([{ uri, nextHop, contact }]), headers),
    found,
  }
}

/** Whom a REFER names, without the fields that the URI carries, and whether one of these is a Replaces. */
export function referTo(refer: Request): { readonly uri: string | null; readonly replaces: boolean } {
  const target = parseNameAddr(refer.headers.first('refer-to') ?? '')
  if (!target.ok) return { uri: null, replaces: false }
  const { uri } = target.value
  const fields = uri.indexOf('?')
  return { uri: fields < 0 ? uri : uri.slice(0, fields), replaces: /[?&]replaces=/i.test(uri) }
}

function refuse(status: number, reason: string | null): Reply {
  return { do: 'refuse', outcome: { ...NOTHING, status, reason } }
}
