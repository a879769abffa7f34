import { isIP } from 'node:net'
import type { Protocol } from '../../base/address.ts'
import { defaultPort, type Hop, type HopTarget } from '../../base/next-hop.ts'
import type { Answer, NaptrRecord, Question, SrvRecord } from '../dns/records.ts'
import { orderSrv, shuffle } from './srv-order.ts'

/** RFC 3263 §4.1 and §4.2 as a function of what the DNS has said so far: no I/O, no clock, chance as an argument. */

/** More would only make a caller wait for the last of them. */
const MAX_TARGETS = 10
/** Names of one hop whose addresses are asked for. */
const MAX_NAMES = 16

export interface Policy {
  /** What we speak, best first: of equal ways the first is taken. */
  readonly supported: readonly Protocol[]
  /** Which addresses are of use, best first. */
  readonly families: readonly (4 | 6)[]
}

export type Step =
  /** Nothing can be said before these have been asked. */
  | { readonly need: readonly Question[] }
  /** @param failed some answer on the way was none: an empty list is then not the last word */
  | { readonly need: null; readonly targets: readonly HopTarget[]; readonly failed: boolean }

/** A server to find the addresses of. */
interface Server {
  readonly protocol: Protocol
  readonly name: string
  readonly port: number
}

/** Collects what is asked for, and what has been said. */
class Inquiry {
  readonly need: Question[] = []
  failed = false
  readonly #known: (question: Question) => Answer | undefined

  constructor(known: (question: Question) => Answer | undefined) {
    this.#known = known
  }

  /** Undefined while it has to be asked. */
  ask(question: Question): Answer | undefined {
    const answer = this.#known(question)
    if (answer === undefined) this.need.push(question)
    else if (answer.outcome === 'failed') this.failed = true
    return answer
  }
}

/**
 * @param known what has been said to a question; undefined when nobody has been asked
 * @param random the next number from 0 (inclusive) to 1 (exclusive); drawn from for the last step only
 */
export function stepTo(
  hop: Hop,
  policy: Policy,
  known: (question: Question) => Answer | undefined,
  random: () => number,
): Step {
  const address = addressOf(hop)
  if (address !== null) return { need: null, targets: [address], failed: false }
  const inquiry = new Inquiry(known)
  const lists = servers(hop, policy, inquiry)
  if (lists === null) return { need: inquiry.need }
  // Every address before any draw: a draw must not be repeated while answers trickle in.
  const names = new Set<string>()
  for (const list of lists)
    for (const { target } of list.records) if (names.size < MAX_NAMES) names.add(target)
  const addresses = new Map([...names].map((name) => [name, addressesOf(name, policy, inquiry)]))
  if (inquiry.need.length > 0) return { need: inquiry.need }
  const targets: HopTarget[] = []
  for (const { protocol, records } of lists) {
    for (const { target, port } of orderSrv(records, random)) {
      for (const host of balanced(addresses.get(target) ?? [], random)) {
        if (!targets.some((t) => t.host === host && t.port === port && t.protocol === protocol))
          targets.push({ protocol, host, port })
      }
    }
  }
  return { need: null, targets: targets.slice(0, MAX_TARGETS), failed: inquiry.failed }
}

/** SRV records under the transport they are for: those of a plain name are made up. */
interface ServerList {
  readonly protocol: Protocol
  readonly records: readonly SrvRecord[]
}

/** Null while something has to be asked first. */
function servers(hop: Hop, policy: Policy, inquiry: Inquiry): readonly ServerList[] | null {
  const { host, port, protocol, secure } = hop
  const usual = protocol ?? usualProtocol(secure)
  const plain = (): readonly ServerList[] => [
    list({ protocol: usual, name: host, port: port ?? defaultPort(usual) }),
  ]
  // §4.1, §4.2: a port says that the name is a host's.
  if (port !== null) return plain()
  // No SRV service is registered for WebSocket: they are found by their name (RFC 7118 §5.1 has NAPTR alone).
  if (protocol === 'ws' || protocol === 'wss') return plain()
  if (protocol !== null) {
    const found = services([{ protocol, name: serviceName(protocol, host) }], inquiry)
    return found === null ? null : found.length > 0 ? found : plain()
  }
  const ways = secure ? policy.supported.filter((p) => p === 'tls') : policy.supported.filter(hasService)
  const naptr = inquiry.ask({ name: host, type: 'NAPTR' })
  if (naptr === undefined) return null
  const named = naptrServices(naptr, ways)
  if (named.length > 0) {
    const found = services(named, inquiry)
    // A replacement without records is a mistake in the zone; the name may still be reached as if it had no NAPTR.
    if (found === null || found.length > 0) return found
  }
  const found = services(
    ways.map((way) => ({ protocol: way, name: serviceName(way, host) })),
    inquiry,
  )
  return found === null ? null : found.length > 0 ? found : plain()
}

interface Service {
  readonly protocol: Protocol
  /** The SRV records' owner. */
  readonly name: string
}

/** The services that there are. Null while one has to be asked for. */
function services(wanted: readonly Service[], inquiry: Inquiry): readonly ServerList[] | null {
  const answers = wanted.map(({ protocol, name }) => ({
    protocol,
    answer: inquiry.ask({ name, type: 'SRV' }),
  }))
  if (answers.some(({ answer }) => answer === undefined)) return null
  const lists: ServerList[] = []
  for (const { protocol, answer } of answers) {
    if (answer?.outcome !== 'found') continue
    // RFC 2782: a target of '.' says that the service is decidedly not there; its list is empty, and not missing.
    const records = answer.records.filter((r): r is SrvRecord => r.type === 'SRV' && r.target !== '')
    lists.push({ protocol, records })
  }
  return lists
}

/** RFC 3263 §4.1: the services of the lowest order that has one we can use, by preference (RFC 3403 §4.1). */
function naptrServices(answer: Answer, ways: readonly Protocol[]): readonly Service[] {
  const usable: (Service & Pick<NaptrRecord, 'order' | 'preference'>)[] = []
  for (const record of answer.records) {
    if (record.type !== 'NAPTR' || record.flags.toLowerCase() !== 's' || record.replacement === '') continue
    const protocol = NAPTR_SERVICES[record.service.toUpperCase()]
    if (protocol === undefined || !ways.includes(protocol)) continue
    usable.push({ protocol, name: record.replacement, order: record.order, preference: record.preference })
  }
  const lowest = Math.min(...usable.map(({ order }) => order))
  return usable
    .filter(({ order }) => order === lowest)
    .sort((a, b) => a.preference - b.preference)
    .slice(0, MAX_NAMES)
    .map(({ protocol, name }) => ({ protocol, name }))
}

const NAPTR_SERVICES: Readonly<Record<string, Protocol>> = {
  'SIP+D2U': 'udp',
  'SIP+D2T': 'tcp',
  'SIPS+D2T': 'tls',
}

const SERVICE_PREFIX = { udp: '_sip._udp', tcp: '_sip._tcp', tls: '_sips._tcp' } as const

function hasService(protocol: Protocol): protocol is keyof typeof SERVICE_PREFIX {
  return protocol in SERVICE_PREFIX
}

function serviceName(protocol: keyof typeof SERVICE_PREFIX | Protocol, host: string): string {
  return `${hasService(protocol) ? SERVICE_PREFIX[protocol] : SERVICE_PREFIX.tcp}.${host}`
}

function usualProtocol(secure: boolean): Protocol {
  return secure ? 'tls' : 'udp'
}

/** The target of a hop whose host is an address (RFC 3263 §4.2); null when it is a name. */
export function addressOf({ host, port, protocol, secure }: Hop): HopTarget | null {
  if (isIP(host) === 0) return null
  const usual = protocol ?? usualProtocol(secure)
  return { protocol: usual, host, port: port ?? defaultPort(usual) }
}

function list({ protocol, name, port }: Server): ServerList {
  return { protocol, records: [{ type: 'SRV', priority: 0, weight: 0, port, target: name }] }
}

/** By family. An SRV target that is an address in letters is a mistake that many zones make. */
function addressesOf(name: string, { families }: Policy, inquiry: Inquiry): readonly (readonly string[])[] {
  if (isIP(name) !== 0) return [[name]]
  return families.map((family) => {
    const answer = inquiry.ask({ name, type: family === 4 ? 'A' : 'AAAA' })
    return (answer?.records ?? []).flatMap((r) => ('address' in r ? [r.address] : []))
  })
}

/** All addresses of a name share its load: the cache would keep one in front for as long as it lives. */
function balanced(byFamily: readonly (readonly string[])[], random: () => number): readonly string[] {
  return byFamily.flatMap((addresses) => (addresses.length < 2 ? addresses : shuffle([...addresses], random)))
}
