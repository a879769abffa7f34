import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { acceptsGzip } from '../metrics/negotiate.ts'
import { sendProblem } from './problem.ts'

/** One rendering of all metrics. */
export interface Exposition {
  readonly contentType: string
  readonly body: string | Buffer
}

/** Renders the metrics in the format that the Accept field asks for. */
export type Scrape = (accept: string | undefined) => Exposition | Promise<Exposition>

export interface MetricsEndpoint {
  /** Answers GET and HEAD; the caller has looked at method and path. Never rejects. */
  answer(req: IncomingMessage, res: ServerResponse): Promise<void>
}

const compress = promisify(gzip)
/** Below this, gzip saves less than a packet. */
const GZIP_FROM_BYTES = 1400

interface Rendered {
  readonly contentType: string
  readonly plain: Buffer
  zipped: Promise<Buffer> | null
}

/** Scrapes that come while one is being rendered share it, so that ten scrapers cost what one does. */
export function createMetricsEndpoint(
  scrape: Scrape,
  onFault: (what: string, error: unknown) => void,
): MetricsEndpoint {
  const rendering = new Map<string, Promise<Rendered>>()

  const render = (accept: string | undefined): Promise<Rendered> => {
    const key = accept ?? ''
    const running = rendering.get(key)
    if (running !== undefined) return running
    const started = (async (): Promise<Rendered> => {
      // One turn later, so that all who ask in this one find it.
      await new Promise((resolve) => setImmediate(resolve))
      const { contentType, body } = await scrape(accept)
      return { contentType, plain: typeof body === 'string' ? Buffer.from(body) : body, zipped: null }
    })()
    rendering.set(key, started)
    const forget = (): void => void rendering.delete(key)
    started.then(forget, forget)
    return started
  }

  return {
    async answer(req, res) {
      try {
        const rendered = await render(req.headers.accept)
        const zip =
          rendered.plain.length >= GZIP_FROM_BYTES && acceptsGzip(req.headers['accept-encoding'] ?? '')
        const body = zip ? await (rendered.zipped ??= compress(rendered.plain, { level: 1 })) : rendered.plain
        res.writeHead(200, {
          'content-type': rendered.contentType,
          'content-length': body.length,
          vary: 'Accept, Accept-Encoding',
          'cache-control': 'no-store',
          ...(zip ? { 'content-encoding': 'gzip' } : {}),
        })
        res.end(req.method === 'HEAD' ? undefined : body)
      } catch (error) {
        onFault('metrics could not be rendered', error)
        if (!res.headersSent) sendProblem(res, 500, 'The metrics could not be rendered.')
        else res.destroy()
      }
    },
  }
}
