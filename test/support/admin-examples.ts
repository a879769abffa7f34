import { readFileSync } from 'node:fs'

/** An example of docs/admin-api.md: a curl line and what it answers. */
export interface AdminExample {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly status: number
  readonly body: unknown
}

export const adminPage = readFileSync(new URL('../../docs/admin-api.md', import.meta.url), 'utf8')

const EXAMPLE = /^\$ curl (.*?)http:\/\/127\.0\.0\.1:9465(\S+)\n(\d{3}) (.*)$/gm

/** In the order of the page. */
export const adminExamples: readonly AdminExample[] = [...adminPage.matchAll(EXAMPLE)].map(
  ([, options = '', path = '', status, body = '']) => ({
    method: /-X (\w+)/.exec(options)?.[1] ?? 'GET',
    path,
    authorization: /Authorization: ([^"]+)/.exec(options)?.[1],
    status: Number(status),
    body: JSON.parse(body) as unknown,
  }),
)

/** The same, asked of the server at `base`. @param path instead of the example's */
export function askExample(base: string, example: AdminExample, path = example.path): Promise<Response> {
  const { method, authorization } = example
  return fetch(base + path, { method, headers: authorization === undefined ? {} : { authorization } })
}
