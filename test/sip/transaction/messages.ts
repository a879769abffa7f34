import { buildResponse } from '../../../src/sip/message/build.ts'
import { HeaderFields } from '../../../src/sip/message/header-fields.ts'
import { Request, type Response } from '../../../src/sip/message/message.ts'

export interface RequestOptions {
  readonly via?: string
  readonly branch?: string
  readonly toTag?: string
  readonly fromTag?: string
  readonly callId?: string
  readonly cseq?: number
  readonly uri?: string
}

/** A request as it is on the wire, its top Via on. */
export function aRequest(method: string, options: RequestOptions = {}): Request {
  const headers = new HeaderFields()
  const branch = options.branch ?? 'z9hG4bKone'
  headers.append('Via', options.via ?? `SIP/2.0/UDP client.example:5060;branch=${branch}`)
  headers.append('Max-Forwards', '70')
  headers.append('From', `<sip:alice@atlanta.example>;tag=${options.fromTag ?? 'alice'}`)
  headers.append(
    'To',
    `<sip:bob@biloxi.example>${options.toTag === undefined ? '' : `;tag=${options.toTag}`}`,
  )
  headers.append('Call-ID', options.callId ?? 'call-1')
  headers.append('CSeq', `${options.cseq ?? 1} ${method}`)
  return new Request(method, options.uri ?? 'sip:bob@biloxi.example', headers)
}

/** A response of whoever got the request. */
export function anAnswer(request: Request, status: number, toTag = 'bob'): Response {
  return buildResponse(request, status, { toTag })
}
