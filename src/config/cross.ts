import { isLoopback } from '../base/loopback.ts'
import { cacheFaults } from './blocks/cache.ts'
import { gatewayFaults } from './blocks/gateway.ts'
import { listenFaults } from './cross-listen.ts'
import { tlsFaults } from './cross-tls.ts'
import { type KeyPath } from './fault.ts'
import type { Blocks } from './schema.ts'
import { authFaults } from './cross-auth.ts'

export interface CrossFault {
  readonly path: KeyPath
  readonly what: string
  readonly instead: string
}

/** What no key can tell alone. Blocks that are themselves at fault are absent. */
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
    ...media(blocks),
  ]
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

function dns({ dns: d }: Partial<Blocks>): CrossFault[] {
  if (d === undefined) return []
  const { min_ttl_secs: min, max_ttl_secs: max, timeout_secs: timeout, deadline_secs: deadline } = d
  const faults: CrossFault[] = []
  if (min > max) {
    faults.push({
      path: ['dns', 'min_ttl_secs'],
      what: 'is more than max_ttl_secs',
      instead: `write ${max} or less`,
    })
  }
  if (timeout > deadline) {
    faults.push({
      path: ['dns', 'timeout_secs'],
      what: 'is more than deadline_secs',
      instead: `write ${deadline} or less`,
    })
  }
  return faults
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

function security({ security: s }: Partial<Blocks>): CrossFault[] {
  if (s === undefined) return []
  const faults: CrossFault[] = []
  const { max_header_bytes: head, max_message_bytes: message } = s.limits
  if (head > message) {
    faults.push({
      path: ['security', 'limits', 'max_header_bytes'],
      what: 'is more than max_message_bytes',
      instead: `write ${message} or less`,
    })
  }
  if (s.scanner_block?.user_agents?.length === 0) {
    faults.push({
      path: ['security', 'scanner_block', 'user_agents'],
      what: 'is empty, and nothing would be looked for',
      instead: 'take it out for the known scanners, or take scanner_block out',
    })
  }
  return faults
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

function media({ media: m }: Partial<Blocks>): CrossFault[] {
  if (!m) return []
  const { address, weight, instances } = m.rtpengine
  const at: KeyPath = ['media', 'rtpengine']
  if (address === null && instances === null) {
    return [{ path: at, what: 'names no instance', instead: 'write address: "127.0.0.1:2223" below it' }]
  }
  if (address !== null && instances !== null) {
    const instead = 'keep one of the two'
    return [{ path: [...at, 'address'], what: 'is given beside instances', instead }]
  }
  const list = instances ?? (address === null ? [] : [{ address, weight }])
  const pathOf = (i: number): KeyPath => (instances === null ? at : [...at, 'instances', i])
  const faults: CrossFault[] = []
  list.forEach((one, i) => {
    const path = [...pathOf(i), 'address']
    if (one.address.port === 0)
      faults.push({ path, what: 'has port 0', instead: 'write the port of --listen-ng' })
    const same = list.findIndex(
      (l) => l.address.host === one.address.host && l.address.port === one.address.port,
    )
    if (same !== i)
      faults.push({ path, what: 'is there twice', instead: 'take one out, or give one a larger weight' })
  })
  if (list.every((one) => one.weight === 0)) {
    const path = instances === null ? [...at, 'weight'] : [...at, 'instances']
    const what = list.length === 0 ? 'is empty' : 'leaves no instance for new calls'
    faults.push({ path, what, instead: 'give one instance a weight of 1' })
  }
  for (const name of Object.keys(m.profiles)) {
    if (/^[A-Za-z][A-Za-z0-9_.-]*$/.test(name)) continue
    const instead = 'letters, digits, _ . and -'
    faults.push({ path: ['media', 'profiles', name], what: 'is not a name for a profile', instead })
  }
  return faults
}
