import { headerKey } from '../sip/message/header-fields.ts'
import type { Request, Response } from '../sip/message/message.ts'
import type { Edit } from './verdict.ts'

/** A copy with the script's edits made, or the request itself when there are none. Throws a TypeError on bad header text. */
export function editedRequest(request: Request, edits: readonly Edit[]): Request {
  if (edits.length === 0) return request
  const copy = request.clone()
  for (const edit of edits) {
    if (edit[0] === 'ruri') copy.uri = edit[1]
    else apply(copy, edit)
  }
  return copy
}

/** Makes the edits on the response itself; a Request-URI has no meaning there. Throws a TypeError on bad header text. */
export function editResponse(response: Response, edits: readonly Edit[]): void {
  for (const edit of edits) apply(response, edit)
}

function apply(message: Request | Response, edit: Edit): void {
  const { headers } = message
  switch (edit[0]) {
    case 'set':
      headers.set(edit[1], edit[2])
      break
    case 'add':
      headers.append(edit[1], edit[2])
      break
    case 'prepend':
      headers.prepend(edit[1], edit[2])
      break
    case 'remove':
      headers.remove(headerKey(edit[1]))
      break
    case 'body':
      message.body = edit[1]
      if (edit[2] !== null) headers.set('Content-Type', edit[2])
      break
    case 'ruri':
      break
  }
}
