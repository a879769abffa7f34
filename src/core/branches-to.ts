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
