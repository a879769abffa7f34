import { isFieldText } from './characters.ts'
import { HeaderFields } from './header-fields.ts'
import { Request, Response } from './message.ts'
import { parseNameAddr } from './name-addr.ts'
import { reasonPhrase } from './status.ts'

export interface ResponseOptions {
  /** Default: the registered phrase. */
  readonly reason?: string
  /** Put on the To when it has no tag and the status is above 100 (§8.2.6.2). */
  readonly toTag?: string
  readonly headers?: readonly (readonly [name: string, value: string])[]
  readonly body?: string
  readonly contentType?: string
}

const DIALOG_CREATING = new Set(['INVITE', 'SUBSCRIBE', 'REFER'])

/**
 * A response to `request` (§8.2.6): Via, From, To, Call-ID and CSeq copied, Record-Route for a response that makes a
 * dialog (§12.1.1), Timestamp for a 100. `request` may be the `answerable` of a parser's fault.
 * Throws a TypeError when a given text is not one line of binary text, a RangeError for a status that is none.
 */
export function buildResponse(request: Request, status: number, options: ResponseOptions = {}): Response {
  if (!Number.isInteger(status) || status < 100 || status > 699)
    throw new RangeError('a status is 100 to 699')
  const reason = options.reason ?? reasonPhrase(status)
  if (!isFieldText(reason)) throw new TypeError('a reason phrase must be one line of binary text')
  const { fields } = request.headers
  const headers = new HeaderFields(fields.filter(({ key }) => key === 'via'))
  if (status > 100 && status < 300 && DIALOG_CREATING.has(request.method)) {
    for (const { key, name, value } of fields) if (key === 'record-route') headers.append(name, value)
  }
  headers.append('From', request.headers.first('from') ?? '')
  headers.append('To', answeredTo(request, status, options.toTag))
  headers.append('Call-ID', request.callId)
  headers.append('CSeq', request.headers.first('cseq') ?? '')
  if (status === 100) {
    for (const value of request.headers.all('timestamp')) headers.append('Timestamp', value)
  }
  for (const [name, value] of options.headers ?? []) headers.append(name, value)
  if (options.contentType !== undefined) headers.set('Content-Type', options.contentType)
  return new Response(status, reason, headers, options.body ?? '')
}

function answeredTo(request: Request, status: number, tag: string | undefined): string {
  const text = request.headers.first('to') ?? ''
  if (tag === undefined || status <= 100) return text
  // The To of a broken request may be broken: then the tag goes to its end, tag or no tag.
  const to = parseNameAddr(text)
  return to.ok && to.value.params.has('tag') ? text : `${text};tag=${tag}`
}

/** The ACK for a final response other than 2xx (§17.1.1.3). `invite` is as sent: with our Via on top. */
export function buildAck(invite: Request, response: Response): Request {
  return hopByHop('ACK', invite, response.headers.first('to') ?? '')
}

/** The CANCEL of an INVITE as sent, with our Via on top (§9.1). */
export function buildCancel(invite: Request): Request {
  return hopByHop('CANCEL', invite, invite.headers.first('to') ?? '')
}

/** A request of the same transaction branch: one Via, the INVITE's; its Route, From, Call-ID and CSeq number. */
function hopByHop(method: string, invite: Request, to: string): Request {
  const headers = new HeaderFields()
  headers.append('Via', invite.headers.first('via') ?? '')
  for (const { key, name, value } of invite.headers.fields) if (key === 'route') headers.append(name, value)
  headers.append('Max-Forwards', '70')
  headers.append('From', invite.headers.first('from') ?? '')
  headers.append('To', to)
  headers.append('Call-ID', invite.callId)
  headers.append('CSeq', `${invite.cseq.number} ${method}`)
  return new Request(method, invite.uri, headers)
}
