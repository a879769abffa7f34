import { isIPv4 } from 'node:net'
import type { Address } from '../base/address.ts'
import { formatAddress } from '../base/address.ts'
import { isLoopback } from '../base/loopback.ts'
import { cacheFaults } from './blocks/cache.ts'
import { gatewayFaults } from './blocks/gateway.ts'
import { formatPath, type KeyPath } from './fault.ts'
import type { Blocks } from './schema.ts'

export interface CrossFault {
  readonly path: KeyPath
  readonly what: string
  readonly instead: string
}

/** What no key can tell alone. Blocks that are themselves at fault are absent. */
export function crossFaults(blocks: Partial<Blocks>): CrossFault[] {
  return [
    ...listens(blocks),
    ...clashes(blocks),
    ...script(blocks),
    ...registrar(blocks),
    ...admin(blocks),
    ...cdr(blocks),
    ...hep(blocks),
    ...gatewayFaults(blocks.gateway),
    ...cacheFaults(blocks.cache),
  ]
}

function listens({ listen }: Partial<Blocks>): CrossFault[] {
  if (!listen || listen.udp.length + listen.tcp.length > 0) return []
  return [
    {
      path: ['listen'],
      what: 'names no listener',
      instead: 'write udp: ["127.0.0.1:5060"] below it, or take listen out',
    },
  ]
}

interface Listener {
  readonly path: KeyPath
  readonly kind: 'udp' | 'tcp'
  readonly at: Address
}

function clashes({ listen, metrics, admin }: Partial<Blocks>): CrossFault[] {
  const listeners: Listener[] = []
  listen?.udp.forEach((at, i) => listeners.push({ path: ['listen', 'udp', i], kind: 'udp', at }))
  listen?.tcp.forEach((at, i) => listeners.push({ path: ['listen', 'tcp', i], kind: 'tcp', at }))
  if (listen === null)
    listeners.push({ path: ['listen'], kind: 'tcp', at: { host: '127.0.0.1', port: 5060 } })
  if (metrics?.prometheus) {
    listeners.push({ path: ['metrics', 'prometheus', 'listen'], kind: 'tcp', at: metrics.prometheus.listen })
  }
  if (admin) listeners.push({ path: ['admin', 'listen'], kind: 'tcp', at: admin.listen })

  const faults: CrossFault[] = []
  for (const [i, later] of listeners.entries()) {
    const earlier = listeners.slice(0, i).find((l) => l.kind === later.kind && overlap(l.at, later.at))
    if (earlier === undefined) continue
    const instead =
      later.path[0] === 'admin' && earlier.path[0] === 'metrics'
        ? 'write another port, or take metrics.prometheus out: the admin port serves /metrics too'
        : 'write another port'
    faults.push({
      path: later.path,
      what: `is taken by ${formatPath(earlier.path)} (${formatAddress(earlier.at)})`,
      instead,
    })
  }
  return faults
}

/** Port 0 takes a free one. `::` covers IPv4 as well, because the system's sockets are dual-stack. */
function overlap(a: Address, b: Address): boolean {
  if (a.port !== b.port || a.port === 0) return false
  if (a.host === b.host || a.host === '::' || b.host === '::') return true
  return (a.host === '0.0.0.0' && isIPv4(b.host)) || (b.host === '0.0.0.0' && isIPv4(a.host))
}

function script({ script: s }: Partial<Blocks>): CrossFault[] {
  if (s === undefined || s.sync_pool_size === null || s.sync_pool_max === null) return []
  if (s.sync_pool_max >= s.sync_pool_size) return []
  return [
    {
      path: ['script', 'sync_pool_max'],
      what: 'is less than sync_pool_size',
      instead: `write ${s.sync_pool_size} or more`,
    },
  ]
}

function registrar({ registrar: r }: Partial<Blocks>): CrossFault[] {
  if (r === undefined) return []
  const { min_expires: min, default_expires: standard, max_expires: max } = r
  if (min > max)
    return [
      {
        path: ['registrar', 'min_expires'],
        what: 'is more than max_expires',
        instead: `write ${max} or less`,
      },
    ]
  const path: KeyPath = ['registrar', 'default_expires']
  if (standard < min)
    return [{ path, what: `is less than min_expires (${min})`, instead: `write ${min} to ${max}` }]
  if (standard > max)
    return [{ path, what: `is more than max_expires (${max})`, instead: `write ${min} to ${max}` }]
  return []
}

function admin({ admin: a }: Partial<Blocks>): CrossFault[] {
  if (!a || a.insecure || a.auth.token !== null || isLoopback(a.listen.host)) return []
  return [
    {
      path: ['admin', 'listen'],
      what: 'is open to other machines, and there is no token',
      instead: 'set admin.auth.token, listen on 127.0.0.1, or write admin.insecure: true',
    },
  ]
}

function cdr({ cdr: c }: Partial<Blocks>): CrossFault[] {
  if (c === undefined) return []
  const faults: CrossFault[] = []
  if (c.backend !== null && c.backends !== null) {
    faults.push({
      path: ['cdr', 'backend'],
      what: 'is given beside cdr.backends',
      instead: 'keep one of the two',
    })
  }
  if (c.backends?.length === 0) {
    faults.push({
      path: ['cdr', 'backends'],
      what: 'is empty',
      instead: 'write file, http or syslog, or cdr.enabled: false',
    })
  }
  const names = c.backends ?? [c.backend ?? 'file']
  names.forEach((name, i) => {
    const path: KeyPath = c.backends === null ? ['cdr', 'backend'] : ['cdr', 'backends', i]
    if (names.indexOf(name) !== i)
      faults.push({ path, what: `names ${name} twice`, instead: 'keep one of the two' })
    else if (name === 'http' && c.http === null) {
      faults.push({ path, what: 'is http, and there is no cdr.http', instead: 'write cdr.http with its url' })
    } else if (name === 'syslog' && c.syslog === null) {
      faults.push({
        path,
        what: 'is syslog, and there is no cdr.syslog',
        instead: 'write cdr.syslog with its target',
      })
    }
  })
  if (c.http !== null && c.http.ca !== null && !/^https:/i.test(c.http.url)) {
    faults.push({
      path: ['cdr', 'http', 'ca'],
      what: 'has no use without https',
      instead: 'write an https:// url, or take it out',
    })
  }
  if (c.syslog !== null && c.syslog.ca !== null && c.syslog.transport !== 'tls') {
    faults.push({
      path: ['cdr', 'syslog', 'ca'],
      what: 'has no use without tls',
      instead: 'write transport: tls, or take it out',
    })
  }
  return faults
}

function hep({ tracing }: Partial<Blocks>): CrossFault[] {
  const h = tracing?.hep
  if (!h || h.transport === 'tls') return []
  const faults: CrossFault[] = []
  for (const key of ['ca_cert', 'tls_server_name'] as const) {
    if (h[key] === null) continue
    faults.push({
      path: ['tracing', 'hep', key],
      what: 'has no use without tls',
      instead: 'write transport: tls, or take it out',
    })
  }
  return faults
}
