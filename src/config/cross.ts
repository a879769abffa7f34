import { isLoopback } from '../base/loopback.ts'
import { cacheFaults } from './blocks/cache.ts'
import { gatewayFaults } from './blocks/gateway.ts'
import { authFaults } from './cross-auth.ts'
import { listenFaults } from './cross-listen.ts'
import { mediaFaults } from './cross-media.ts'
import { tlsFaults } from './cross-tls.ts'
import type { KeyPath } from './fault.ts'
import type { Blocks } from './schema.ts'
import { checked, type CrossFault, valid, validEntries } from './valid.ts'

/** What no key can tell alone. Blocks that are at fault as a whole are absent, other faults are forbidden to read. */
export function crossFaults(blocks: Partial<Blocks>): CrossFault[] {
  return [
    ...listenFaults(blocks),
    ...tlsFaults(blocks),
    ...script(blocks),
    ...dns(blocks),
    ...registrar(blocks),
    ...authFaults(blocks),
    ...security(blocks),
    ...admin(blocks),
    ...cdr(blocks),
    ...hep(blocks),
    ...gatewayFaults(blocks.gateway),
    ...cacheFaults(blocks.cache),
    ...mediaFaults(blocks),
  ]
}

function script({ script: s }: Partial<Blocks>): CrossFault[] {
  if (s === undefined) return []
  return checked(() => {
    const { sync_pool_size: size, sync_pool_max: max } = s
    if (size === null || max === null || max >= size) return null
    return {
      path: ['script', 'sync_pool_max'],
      what: 'is less than sync_pool_size',
      instead: `write ${size} or more`,
    }
  })
}

function dns({ dns: d }: Partial<Blocks>): CrossFault[] {
  if (d === undefined) return []
  return checked(
    () =>
      d.min_ttl_secs <= d.max_ttl_secs
        ? null
        : {
            path: ['dns', 'min_ttl_secs'],
            what: 'is more than max_ttl_secs',
            instead: `write ${d.max_ttl_secs} or less`,
          },
    () =>
      d.timeout_secs <= d.deadline_secs
        ? null
        : {
            path: ['dns', 'timeout_secs'],
            what: 'is more than deadline_secs',
            instead: `write ${d.deadline_secs} or less`,
          },
  )
}

function registrar({ registrar: r }: Partial<Blocks>): CrossFault[] {
  if (r === undefined) return []
  const min = valid(() => r.min_expires, 0)
  const max = valid(() => r.max_expires, Infinity)
  if (min > max) {
    const instead = `write ${max} or less`
    return [{ path: ['registrar', 'min_expires'], what: 'is more than max_expires', instead }]
  }
  return checked(() => {
    const path: KeyPath = ['registrar', 'default_expires']
    const { default_expires: standard } = r
    const instead = max === Infinity ? `write ${min} or more` : `write ${min} to ${max}`
    if (standard < min) return { path, what: `is less than min_expires (${min})`, instead }
    return standard > max ? { path, what: `is more than max_expires (${max})`, instead } : null
  })
}

function security({ security: s }: Partial<Blocks>): CrossFault[] {
  if (s === undefined) return []
  return checked(
    () => {
      const { max_header_bytes: head, max_message_bytes: message } = s.limits
      if (head <= message) return null
      return {
        path: ['security', 'limits', 'max_header_bytes'],
        what: 'is more than max_message_bytes',
        instead: `write ${message} or less`,
      }
    },
    () =>
      s.scanner_block?.user_agents?.length === 0
        ? {
            path: ['security', 'scanner_block', 'user_agents'],
            what: 'is empty, and nothing would be looked for',
            instead: 'take it out for the known scanners, or take scanner_block out',
          }
        : null,
  )
}

function admin({ admin: a }: Partial<Blocks>): CrossFault[] {
  if (!a) return []
  return checked(() => {
    // Only a plain true opens it.
    const insecure = valid(() => a.insecure, false)
    if (insecure || a.auth.token !== null || isLoopback(a.listen.host)) return null
    return {
      path: ['admin', 'listen'],
      what: 'is open to other machines, and there is no token',
      instead: 'set admin.auth.token, listen on 127.0.0.1, or write admin.insecure: true',
    }
  })
}

function cdr({ cdr: c }: Partial<Blocks>): CrossFault[] {
  if (c === undefined) return []
  return checked(
    () =>
      c.backend !== null && c.backends !== null
        ? {
            path: ['cdr', 'backend'],
            what: 'is given beside cdr.backends',
            instead: 'keep one of the two',
          }
        : null,
    () =>
      c.backends?.length === 0
        ? {
            path: ['cdr', 'backends'],
            what: 'is empty',
            instead: 'write file, http or syslog, or cdr.enabled: false',
          }
        : null,
    () => cdrBackends(c),
    () =>
      c.http !== null && c.http.ca !== null && !/^https:/i.test(c.http.url)
        ? {
            path: ['cdr', 'http', 'ca'],
            what: 'has no use without https',
            instead: 'write an https:// url, or take it out',
          }
        : null,
    () =>
      c.syslog !== null && c.syslog.ca !== null && c.syslog.transport !== 'tls'
        ? {
            path: ['cdr', 'syslog', 'ca'],
            what: 'has no use without tls',
            instead: 'write transport: tls, or take it out',
          }
        : null,
  )
}

function cdrBackends(c: Blocks['cdr']): CrossFault[] {
  const { backends } = c
  const names = validEntries(backends ?? [c.backend ?? 'file'])
  return names.flatMap(({ at, is: name }) =>
    checked(() => {
      const path: KeyPath = backends === null ? ['cdr', 'backend'] : ['cdr', 'backends', at]
      if (names.some((n) => n.is === name && n.at < at))
        return { path, what: `names ${name} twice`, instead: 'keep one of the two' }
      if (name === 'http' && c.http === null)
        return { path, what: 'is http, and there is no cdr.http', instead: 'write cdr.http with its url' }
      if (name !== 'syslog' || c.syslog !== null) return null
      const instead = 'write cdr.syslog with its target'
      return { path, what: 'is syslog, and there is no cdr.syslog', instead }
    }),
  )
}

function hep({ tracing }: Partial<Blocks>): CrossFault[] {
  if (tracing === undefined) return []
  const check = (key: 'ca_cert' | 'tls_server_name') => (): CrossFault | null => {
    const { hep: h } = tracing
    if (h === null || h.transport === 'tls' || h[key] === null) return null
    const instead = 'write transport: tls, or take it out'
    return { path: ['tracing', 'hep', key], what: 'has no use without tls', instead }
  }
  return checked(check('ca_cert'), check('tls_server_name'))
}
