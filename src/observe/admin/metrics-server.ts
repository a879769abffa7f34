import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Address } from '../../base/address.ts'
import { guardConnections, HTTP_LIMITS, refuseClientError } from './connections.ts'
import { pathOf } from './guard.ts'
import { createMetricsEndpoint, type Scrape } from './metrics-endpoint.ts'
import { sendProblem } from './problem.ts'

export interface HttpServer {
  /** Rejects when the address cannot be had. Resolves to the real one (port 0 takes a free port). */
  listen(): Promise<Address>
  /** Ends every connection. */
  close(): Promise<void>
}

export interface MetricsServerOptions {
  readonly listen: Address
  /** Path of the metrics; anything else is 404. */
  readonly path: string
  readonly scrape: Scrape
  readonly onFault: (what: string, error: unknown) => void
}

/** The listener of `metrics.prometheus`: one path, GET and HEAD. */
export function createMetricsServer(options: MetricsServerOptions): HttpServer {
  const endpoint = createMetricsEndpoint(options.scrape, options.onFault)
  const server = createServer({ ...HTTP_LIMITS }, (req, res) => {
    req.resume()
    if (pathOf(req.url ?? '') !== options.path) sendProblem(res, 404, `Metrics are at ${options.path}.`)
    else if (req.method !== 'GET' && req.method !== 'HEAD') {
      sendProblem(res, 405, 'Metrics are read with GET.', { allow: 'GET, HEAD' })
    } else void endpoint.answer(req, res)
  })
  server.on('clientError', refuseClientError)
  guardConnections(server)
  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host: options.listen.host, port: options.listen.port }, () => {
          server.off('error', reject)
          server.on('error', (error) => options.onFault('the metrics listener failed', error))
          const { address, port } = server.address() as AddressInfo
          resolve({ host: address, port })
        })
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
