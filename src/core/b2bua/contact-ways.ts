import type { DialTarget } from '../../sip/b2bua/plan.ts'
import type { UacLeg } from '../../sip/b2bua/uac-leg.ts'
import type { Request } from '../../sip/message/message.ts'
import { contactUri } from '../../sip/dialog/dialog.ts'
import { isSipUri, parseUri } from '../../sip/message/uri.ts'
import { parseVia } from '../../sip/message/via.ts'
import { leadsHere, type Own } from '../../sip/proxy/own.ts'
import { routeUri } from '../../sip/proxy/preprocess.ts'
import type { Flow, Target } from '../../stack/transport.ts'
import type { Way, Ways } from '../binding-ways.ts'
import { FlowTokens, targetOf } from '../flow-tokens.ts'
import type { DialVerdict } from '../verdict.ts'

export interface ContactWaysOptions {
  /** Registered contacts; absent: every URI is only a URI. */
  readonly ways?: Ways
  readonly flowTokens?: FlowTokens
  readonly own: Own
}

/**
 * How the peers of legs are reached where their URIs do not say it: registered contacts by the Path, flow or address of their
 * REGISTER (RFC 3327, RFC 5626), callers by where they called from. All requests of a leg go that way.
 */
export class ContactWays {
  readonly #o: ContactWaysOptions
  /** By the leg's Call-ID; null: the flow is gone. */
  readonly #pins = new Map<string, Target | null>()

  constructor(options: ContactWaysOptions) {
    this.#o = options
  }

  get size(): number {
    return this.#pins.size
  }

  /** The way of a leg; undefined: as its URIs say, null: there is none. */
  readonly pinned = (callId: string): Target | null | undefined => {
    const pin = this.#pins.get(callId)
    // A connection that has closed: the URI may still lead somewhere.
    return pin?.flow?.closed === true ? undefined : pin
  }

  /**
   * Targets with the Route of their contacts. Of the flows of one device only the first that is alive: it shall not ring
   * twice (RFC 5626 §7).
   * @param called whose contacts they are, where the script has not said it
   */
  locate(targets: DialVerdict['targets'], called: string): readonly DialTarget[] {
    const { ways } = this.#o
    if (ways === undefined) return targets
    const located: DialTarget[] = []
    const devices = new Map<string, number>()
    for (const target of targets) {
      const contact = target.contact ?? ways.referenceOf(target.uri, called)
      const way = contact === null ? null : this.#wayTo(contact)
      if (contact === null || way === null) {
        located.push(target)
        continue
      }
      const found = { ...target, contact, routes: way.routes }
      const device = ways.deviceOf(contact)
      const same = device === null ? undefined : devices.get(device)
      if (same === undefined) {
        if (device !== null) devices.set(device, located.length)
        located.push(found)
      } else if (!way.dead && this.#isDead(located[same])) located[same] = found
    }
    return located
  }

  /** A leg to a registered contact begins. */
  begin({ callId, target }: UacLeg): void {
    if (target.contact == null || target.nextHop !== null) return
    const way = this.#wayTo(target.contact)
    if (way === null) return
    if (way.dead) this.#pins.set(callId, null)
    else if (way.target !== null) this.#pins.set(callId, way.target)
  }

  /** A caller's leg begins: a connection is the way back, and so is the source of a caller behind a NAT. */
  called(invite: Request, flow: Flow): void {
    if (flow.reliable || isNated(invite, flow)) this.#pins.set(invite.callId, targetOf(flow))
  }

  /** A caller has sent a request from elsewhere: a new connection, another port of its NAT. */
  heard(callId: string, flow: Flow): void {
    const pin = this.#pins.get(callId)
    if (pin == null || flow.path.protocol !== pin.protocol) return
    if (flow.reliable || pin.host !== flow.path.remote.host || pin.port !== flow.path.remote.port) {
      this.#pins.set(callId, targetOf(flow))
    }
  }

  end(callId: string): void {
    this.#pins.delete(callId)
  }

  clear(): void {
    this.#pins.clear()
  }

  #isDead(target: DialTarget | undefined): boolean {
    return target?.contact == null || this.#o.ways?.wayTo(target.contact)?.dead === true
  }

  /** A Path that begins with us was made here: its token leads to the flow without a detour. */
  #wayTo(contact: string): Way | null {
    const way = this.#o.ways?.wayTo(contact) ?? null
    const { flowTokens, own } = this.#o
    const [first, ...routes] = way?.routes ?? []
    const uri = first === undefined || flowTokens === undefined ? null : routeUri(first)
    if (way === null || flowTokens === undefined || uri === null) return way
    if (!leadsHere(own, uri.host, uri.port)) return way
    if (uri.user === null || !FlowTokens.looksLike(uri.user)) return { ...way, routes }
    const redeemed = flowTokens.redeem(uri.user)
    return redeemed.ok ? { ...way, routes, target: redeemed.target } : { ...way, routes, dead: true }
  }
}

/** RFC 3581: a caller that asks for `rport`, and came from elsewhere than its Via and its Contact say. */
function isNated(invite: Request, { path }: Flow): boolean {
  const [top, ...others] = invite.headers.all('via')
  // Asked for every call: most say in the first place where they are.
  if (top === undefined || top.includes(` ${path.remote.host}`) || !top.includes('rport')) return false
  const via = parseVia(top)
  const uri = parseUri(contactUri(invite) ?? '')
  if (!via.ok || others.length > 0 || !uri.ok || !isSipUri(uri.value)) return false
  if (!via.value.params.has('rport') || uri.value.host !== via.value.host) return false
  return via.value.host !== path.remote.host
}
