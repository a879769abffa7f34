import { STATUS_CODES, type ServerResponse } from 'node:http'

/** The body of every error (RFC 9457), as `application/problem+json`. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
}

export const PROBLEM_TYPE = 'application/problem+json'

/** Thrown by a route to answer with this problem. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly code = 'SIPHON_ADMIN_PROBLEM'
  readonly statusCode: number

  constructor(status: number, detail: string) {
    super(detail)
    this.statusCode = status
  }
}

export function problemBody(status: number, detail: string): Problem {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail }
}

/** Answers a plain node:http request. */
export function sendProblem(
  res: ServerResponse,
  status: number,
  detail: string,
  headers: Record<string, string> = {},
): void {
  const body = Buffer.from(JSON.stringify(problemBody(status, detail)))
  res.writeHead(status, {
    'content-type': PROBLEM_TYPE,
    'content-length': body.length,
    'cache-control': 'no-store',
    ...headers,
  })
  res.end(res.req.method === 'HEAD' ? undefined : body)
}
