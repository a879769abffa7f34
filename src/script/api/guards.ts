import { totalmem } from 'node:os'
import { Networks, parseNetwork } from '../../base/network.ts'
import { show } from './checks.ts'
import type { ScriptRequest } from './request.ts'
import { ScriptError } from './script-error.ts'
import { services } from './services.ts'

/** What scripts ask before they spend anything on a request. */

/** @see proxy.rateLimit */
export async function rateLimit(
  request: Pick<ScriptRequest, 'sourceIp'>,
  windowSecs: number,
  max: number,
): Promise<boolean> {
  if (typeof windowSecs !== 'number' || !(windowSecs > 0 && windowSecs <= 86_400)) {
    throw new ScriptError(`rateLimit: ${show(windowSecs)} is not a window: above 0 to 86400 seconds`)
  }
  if (typeof max !== 'number' || !(max >= 0)) {
    throw new ScriptError(`rateLimit: ${show(max)} is not a number of requests`)
  }
  const reader = await services().call('proxy.rateLimit', request.sourceIp, windowSecs * 1000, max)
  return reader.number() === 1
}

/** @see proxy.sanityCheck */
export function sanityCheck(request: ScriptRequest): boolean {
  if (!['Via', 'From', 'To', 'Call-ID', 'CSeq'].every((name) => request.hasHeader(name))) return false
  const { maxForwards, cseq, method, fromTag, body } = request
  if (maxForwards === 0 || cseq.method !== method || fromTag === undefined) return false
  const length = request.getHeader('Content-Length')
  return length === undefined || Number(length) === body.length
}

/** @see proxy.memoryUsedPct */
export function memoryUsedPct(): number {
  const limit = process.constrainedMemory()
  const total = totalmem()
  // Without a limit cgroups tell 0, or a number beyond any memory.
  const most = limit > 0 && limit < total ? limit : total
  return Math.min(100, Math.round((process.memoryUsage.rss() / most) * 100))
}

const known = new WeakMap<object, Networks>()

/** Whether the address is in one of the networks. A list that a script keeps is read once. */
export function inNetworks(ip: string, cidrs: readonly string[]): boolean {
  if (!Array.isArray(cidrs)) throw new ScriptError(`sourceIpIn: ${show(cidrs)} is not a list of networks`)
  let networks = known.get(cidrs)
  if (networks === undefined) {
    const wrong = cidrs.find((text: unknown) => typeof text !== 'string' || parseNetwork(text) === null)
    if (wrong !== undefined) {
      throw new ScriptError(
        `sourceIpIn: ${show(wrong)} is no network: 192.0.2.7, 192.0.2.0/24, 2001:db8::/32`,
      )
    }
    networks = new Networks(cidrs)
    if (Object.isFrozen(cidrs)) known.set(cidrs, networks)
  }
  return networks.has(ip)
}
