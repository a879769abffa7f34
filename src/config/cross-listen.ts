import { isIPv4 } from 'node:net'
import { type Address, formatAddress } from '../base/address.ts'
import { formatPath, type KeyPath } from './fault.ts'
import type { Blocks } from './schema.ts'
import { checked, type CrossFault, valid, validEntries } from './valid.ts'

const STREAMS = ['tcp', 'tls', 'ws', 'wss'] as const

/** What the listeners need of each other: at least one, no port twice, balancers known. */
export function listenFaults(blocks: Partial<Blocks>): CrossFault[] {
  return checked(
    () => none(blocks),
    () => balancers(blocks),
    () => clashes(blocks),
  )
}

function none({ listen }: Partial<Blocks>): CrossFault | null {
  if (!listen || listen.udp.length > 0 || STREAMS.some((kind) => listen[kind].length > 0)) return null
  return {
    path: ['listen'],
    what: 'names no listener',
    instead: 'write udp: ["127.0.0.1:5060"] below it, or take listen out',
  }
}

/** Anybody could say where he comes from, and so whose rights he has. */
function balancers({ listen }: Partial<Blocks>): CrossFault[] {
  if (!listen || listen.proxy_protocol_from.length > 0) return []
  return STREAMS.flatMap((kind) =>
    entries(() => listen[kind]).flatMap(({ at, is: { proxy_protocol } }) =>
      proxy_protocol
        ? [
            {
              path: ['listen', kind, at, 'proxy_protocol'],
              what: 'needs to know which load balancers to believe',
              instead: 'write listen.proxy_protocol_from: ["10.0.0.0/8"]',
            },
          ]
        : [],
    ),
  )
}

/** The valid ones of a list that may be no list. */
function entries<T>(list: () => readonly T[]): { readonly at: number; readonly is: T }[] {
  return validEntries(valid(list, []))
}

interface Listener {
  readonly path: KeyPath
  readonly kind: 'udp' | 'tcp'
  readonly at: Address
  /** Its sockets keep the two address families apart. */
  readonly sip: boolean
}

function clashes({ listen, metrics, admin }: Partial<Blocks>): CrossFault[] {
  const listeners: Listener[] = []
  const add = (kind: 'udp' | (typeof STREAMS)[number]): void => {
    for (const { at: i, is } of entries(() => listen?.[kind] ?? [])) {
      listeners.push({ path: ['listen', kind, i], kind: kind === 'udp' ? 'udp' : 'tcp', at: is, sip: true })
    }
  }
  add('udp')
  for (const kind of STREAMS) add(kind)
  if (listen === null)
    listeners.push({ path: ['listen'], kind: 'tcp', at: { host: '127.0.0.1', port: 5060 }, sip: true })
  const scrapes = valid(() => metrics?.prometheus?.listen, undefined)
  if (scrapes)
    listeners.push({ path: ['metrics', 'prometheus', 'listen'], kind: 'tcp', at: scrapes, sip: false })
  const managed = valid(() => admin?.listen, undefined)
  if (managed) listeners.push({ path: ['admin', 'listen'], kind: 'tcp', at: managed, sip: false })

  const faults: CrossFault[] = []
  for (const [i, later] of listeners.entries()) {
    const earlier = listeners.slice(0, i).find((l) => l.kind === later.kind && overlap(l, later))
    if (earlier === undefined) continue
    faults.push({
      path: later.path,
      what: `is taken by ${formatPath(earlier.path)} (${formatAddress(earlier.at)})`,
      instead: insteadOf(earlier, later),
    })
  }
  return faults
}

function insteadOf(earlier: Listener, later: Listener): string {
  if (later.path[0] === 'admin' && earlier.path[0] === 'metrics')
    return 'write another port, or take metrics.prometheus out: the admin port serves /metrics too'
  if (later.sip && earlier.sip && earlier.path[1] !== later.path[1])
    return 'write another port: each protocol needs one of its own'
  return 'write another port'
}

/** Port 0 takes a free one. `::` of the HTTP listeners covers IPv4 as well; that of SIP listeners does not. */
function overlap({ at: a, sip }: Listener, { at: b, sip: alsoSip }: Listener): boolean {
  if (a.port !== b.port || a.port === 0) return false
  if (a.host === b.host) return true
  const [v4, other] = [isIPv4(a.host), isIPv4(b.host)]
  if (v4 !== other) return !(sip && alsoSip) && ((!sip && a.host === '::') || (!alsoSip && b.host === '::'))
  const any = v4 ? '0.0.0.0' : '::'
  return a.host === any || b.host === any
}
