import { formatAddress } from '../base/address.ts'
import type { Config } from '../config/config.ts'
import type { AdminPort } from '../observe/admin/port.ts'
import { createAdminServer } from '../observe/admin/server.ts'
import { createMetricsServer } from '../observe/admin/metrics-server.ts'
import { CONTENT_TYPES, negotiate, type Format } from '../observe/metrics/negotiate.ts'
import { bound } from './start-error.ts'

export interface WebOptions {
  readonly config: Pick<Config, 'admin' | 'metrics'>
  readonly version: string
  readonly port: AdminPort
  /** All metrics as they are now. */
  readonly render: (format: Format) => Promise<string>
  readonly onFault: (what: string, error: unknown) => void
}

/** The HTTP servers of the configuration, listening. A URL is null where there is none. */
export interface Web {
  readonly metrics: string | null
  readonly admin: string | null
}

/**
 * @param opened told of each server that listens, with what closes it
 * @throws StartError when an address cannot be had
 */
export async function startWeb(
  { config: { admin, metrics }, version, port, render, onFault }: WebOptions,
  opened: (close: () => Promise<void>) => void,
): Promise<Web> {
  const scrape = async (accept: string | undefined): Promise<{ contentType: string; body: string }> => {
    const format = negotiate(accept)
    return { contentType: CONTENT_TYPES[format], body: await render(format) }
  }
  const web: { metrics: string | null; admin: string | null } = { metrics: null, admin: null }
  if (metrics.prometheus) {
    const { listen, path } = metrics.prometheus
    const server = createMetricsServer({ listen, path, scrape, onFault })
    const at = await bound(server.listen(), 'metrics.prometheus.listen', listen)
    opened(() => server.close())
    web.metrics = `http://${formatAddress(at)}${path}`
  }
  if (admin) {
    const { listen, auth } = admin
    const { token, protect_reads: protectReads } = auth
    const server = createAdminServer({ listen, token, protectReads, version, scrape, onFault, port })
    const at = await bound(server.listen(), 'admin.listen', listen)
    opened(() => server.close())
    web.admin = `http://${formatAddress(at)}`
  }
  return web
}
