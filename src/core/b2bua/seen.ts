import type { Content, Header, Outcome } from '../../sip/b2bua/events.ts'
import { contentOf, isOfALeg } from '../../sip/b2bua/headers.ts'
import type { UacLeg } from '../../sip/b2bua/uac-leg.ts'
import { HeaderFields } from '../../sip/message/header-fields.ts'
import { type Request, Response } from '../../sip/message/message.ts'
import { reasonPhrase } from '../../sip/message/status.ts'

/**
 * A callee's response as handlers see it: what it says, in the terms of the caller's leg (Call-ID, From, Via), so that what was
 * offered with the INVITE is answered with it. The To tag is the callee's leg's, one for each; the top Via stands for ours.
 */
export function seenAs(invite: Request, outcome: Outcome, leg: UacLeg | null): Response {
  const { status, reason, content, headers } = outcome
  const fields = new HeaderFields()
  fields.append('Via', `SIP/2.0/UDP siphon.invalid;branch=z9hG4bK${leg?.localTag ?? ''}`)
  for (const via of invite.headers.all('via')) fields.append('Via', via)
  fields.append('From', invite.headers.first('from') ?? '')
  fields.append('To', `${invite.headers.first('to') ?? ''}${leg === null ? '' : `;tag=${leg.localTag}`}`)
  fields.append('Call-ID', invite.callId)
  fields.append('CSeq', invite.headers.first('cseq') ?? '')
  for (const [name, value] of headers) fields.append(name, value)
  for (const [name, value] of content?.fields ?? []) fields.append(name, value)
  return new Response(status, reason ?? reasonPhrase(status), fields, content?.body ?? '')
}

/** Of such a response, what is to cross. */
export function split(response: Response): {
  readonly content: Content | null
  readonly headers: readonly Header[]
} {
  const headers = response.headers.fields
    .filter(({ name, key }) => !isOfALeg(name) && !/^(content-|mime-version)/.test(key))
    .map(({ name, value }): Header => [name, value])
  return { content: contentOf(response), headers }
}
