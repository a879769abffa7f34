import { randomInt } from 'node:crypto'
import { isIPv6 } from 'node:net'
import type { Protocol } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'
import type { NextHops } from '../base/next-hop.ts'
import { type Asked, DnsClient } from '../net/dns/client.ts'
import { tcpExchange, udpExchange } from '../net/dns/exchange.ts'
import { DnsResolver } from '../net/dns/resolver.ts'
import { NextHopFinder } from '../net/next-hop/finder.ts'
import type { Policy } from '../net/next-hop/plan.ts'
import type { DnsStart } from './conversation.ts'

interface Listener {
  readonly protocol: Protocol
  readonly address: { readonly host: string }
}

/** What we speak, cheapest first, and over which addresses: what we listen on. IPv4 first where there is both. */
export function policyOf(listeners: readonly Listener[]): Policy {
  const spoken = new Set(listeners.map(({ protocol }) => protocol))
  const families = [4, 6] as const
  const used = families.filter((family) =>
    listeners.some(({ address }) => isIPv6(address.host) === (family === 6)),
  )
  return {
    supported: (['udp', 'tcp', 'tls', 'ws', 'wss'] as const).filter((protocol) => spoken.has(protocol)),
    families: used.length > 0 ? used : [4],
  }
}

/** The one resolver of the engine thread. */
export function createNextHops(
  start: DnsStart,
  listeners: readonly Listener[],
  clock: Clock,
  onAsked: (asked: Asked) => void,
  random: () => number = () => Math.random(),
): { readonly nextHops: NextHops; readonly entries: () => number } {
  const client = new DnsClient({
    clock,
    servers: start.servers,
    timeoutMs: start.timeoutMs,
    deadlineMs: start.deadlineMs,
    udp: udpExchange(clock),
    tcp: tcpExchange(clock),
    queryId: () => randomInt(65_536),
    onAsked,
  })
  const dns = new DnsResolver({ client, names: start.names, limits: start.limits, now: () => clock.now() })
  const nextHops = new NextHopFinder({
    clock,
    dns,
    policy: policyOf(listeners),
    random,
    deadlineMs: start.deadlineMs,
  })
  return { nextHops, entries: () => dns.entries }
}
