import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { Address } from '../../base/address.ts'

/** What the machine says about names: /etc/resolv.conf and /etc/hosts. Plain data, read once, for another thread to use. */
export interface SystemNames {
  readonly servers: readonly Address[]
  /** Domains to try a short name in. Lower case. */
  readonly search: readonly string[]
  /** A name with fewer dots is short. */
  readonly ndots: number
  /** Name, in lower case, to addresses. */
  readonly hosts: Readonly<Record<string, readonly string[]>>
}

const DNS_PORT = 53
/** As the C library: more are not read. */
const MAX_SEARCH = 6

/** Reads both files now; what cannot be read says nothing. Blocks: for the start of the server. */
export function readSystemNames(): SystemNames {
  return {
    ...parseResolvConf(textOf('/etc/resolv.conf')),
    hosts: parseHosts(textOf('/etc/hosts')),
  }
}

/** resolv.conf(5). Without a name server there is one on this machine. */
export function parseResolvConf(text: string): Omit<SystemNames, 'hosts'> {
  const servers: Address[] = []
  let search: string[] = []
  let ndots = 1
  for (const [key = '', ...values] of lines(text, /[#;]/)) {
    if (key === 'nameserver') {
      // A zone (fe80::1%eth0) says on which link, which a socket takes as part of the address.
      const host = values[0] ?? ''
      if (isIP(host) !== 0) servers.push({ host, port: DNS_PORT })
    } else if (key === 'search' || key === 'domain') search = values.slice(0, MAX_SEARCH).map(plain)
    else if (key === 'options') {
      for (const value of values) {
        const match = /^ndots:(\d{1,2})$/.exec(value)
        if (match !== null) ndots = Math.min(15, Number(match[1]))
      }
    }
  }
  if (servers.length === 0) servers.push({ host: '127.0.0.1', port: DNS_PORT })
  return { servers, search: search.filter((domain) => domain !== ''), ndots }
}

/** hosts(5). */
export function parseHosts(text: string): Readonly<Record<string, readonly string[]>> {
  const hosts = new Map<string, string[]>()
  for (const [address = '', ...names] of lines(text, /#/)) {
    if (isIP(address) === 0) continue
    for (const name of names.map(plain)) hosts.set(name, [...(hosts.get(name) ?? []), address])
  }
  return Object.fromEntries(hosts)
}

function lines(text: string, comment: RegExp): string[][] {
  return text.split('\n').flatMap((line) => {
    const words = (line.split(comment)[0] ?? '').trim().split(/\s+/)
    return words[0] === '' ? [] : [words]
  })
}

function plain(name: string): string {
  return name.toLowerCase().replace(/\.$/, '')
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
