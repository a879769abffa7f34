import type { Request } from '../sip/message/message.ts'
import { Branch, type BranchListener } from './branch.ts'
import type { ProxyCore } from './proxy-core.ts'
import type { Verdict } from './verdict.ts'

export type Forwarding = Extract<Verdict, { do: 'relay' | 'fork' }>

export interface BranchesOptions {
  readonly core: ProxyCore
  /** The Request-URI as received. */
  readonly called: string
  /** Number of the first branch. */
  readonly first: number
  /** Max-Breadth of the i-th (RFC 5393). */
  readonly share: (i: number) => number
  readonly listener: BranchListener
}

/** RFC 5627 §5.4: a request that goes by its Request-URI, which is a GRUU of ours, goes to the contacts behind it. */
export function toDevice(core: ProxyCore, original: Request, verdict: Forwarding): Forwarding | 404 | 480 {
  if (verdict.do !== 'relay' || verdict.target !== null) return verdict
  const devices = core.behindGruu(original)
  if (devices === null || typeof devices === 'number') return devices ?? verdict
  return {
    do: 'fork',
    targets: devices.map(({ uri }) => uri),
    contacts: devices.map(({ reference }) => reference),
    strategy: 'parallel',
  }
}

/** §16.5: what is in the target set is not added again. A registered contact is the same by the same way alone. */
export function distinct(core: ProxyCore, called: string, verdict: Forwarding): Forwarding {
  if (verdict.do === 'relay' || !verdict.targets.some((uri, i, all) => all.indexOf(uri) < i)) return verdict
  const { targets, contacts = [], gateways = [] } = verdict
  const ways = targets.map((uri, i) => gateways[i] ?? contacts[i] ?? core.referenceOf(uri, called))
  const first = (_: unknown, i: number): boolean =>
    !targets.some((uri, j) => j < i && uri === targets[i] && ways[j] === ways[i])
  return {
    ...verdict,
    targets: targets.filter(first),
    contacts: targets.map((_, i) => contacts[i] ?? null).filter(first),
    gateways: targets.map((_, i) => gateways[i] ?? null).filter(first),
  }
}

/**
 * A branch for each target, but one for all flows of a device: it shall not ring twice (RFC 5626 §7). A gateway is a next
 * hop for the request as it is; any other target becomes its Request-URI.
 */
export function branchesTo(
  verdict: Forwarding,
  { core, called, first, share, listener }: BranchesOptions,
): readonly Branch[] {
  if (verdict.do === 'relay') {
    return [new Branch(first, null, null, verdict.target, verdict.gateway ?? null, share(0), listener)]
  }
  const { targets, contacts = [], gateways = [] } = verdict
  const branches: Branch[] = []
  const devices = new Map<string, Branch>()
  targets.forEach((uri, i) => {
    const index = first + branches.length
    const breadth = share(branches.length)
    const gateway = gateways[i] ?? null
    if (gateway !== null) {
      branches.push(new Branch(index, null, null, uri, gateway, breadth, listener))
      return
    }
    const contact = contacts[i] ?? core.referenceOf(uri, called)
    const device = contact === null || targets.length === 1 ? null : core.deviceOf(contact)
    const same = device === null ? undefined : devices.get(device)
    if (same !== undefined && contact !== null) {
      same.alternates = [...same.alternates, { uri, contact }]
      return
    }
    const branch = new Branch(index, uri, contact, null, null, breadth, listener)
    branches.push(branch)
    if (device !== null) devices.set(device, branch)
  })
  return branches
}
