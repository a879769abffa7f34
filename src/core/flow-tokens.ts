import { createHmac, timingSafeEqual } from 'node:crypto'
import { type Address, formatAddress, type Path } from '../base/address.ts'
import type { Flow, Target } from '../stack/transport.ts'

/** A user part that begins so is a flow token of ours, or somebody's who would like it to be. */
const PREFIX = 'ft.'
/** 96 bits of HMAC-SHA256: enough against guessing over a network, and the URI stays short. */
const MAC_BYTES = 12

export type Redeemed =
  | { readonly ok: true; readonly target: Target }
  /** 403: not made by us, or changed. 430: the flow is gone (RFC 5626 §5.3). */
  | { readonly ok: false; readonly status: 403 | 430 }

/**
 * Flow tokens (RFC 5626 §5.2): the user part of our Path and Record-Route values that names one flow. A token holds the
 * flow itself, signed: nothing is kept for datagrams, and for connections a table from number to connection.
 *
 * Tokens of datagram flows outlive a restart with the same key; those of connections do not, and say so with 430.
 */
export class FlowTokens {
  readonly #key: Uint8Array
  /** Tells this run's connections from those of another with the same key. */
  readonly #run: string
  readonly #streams = new Map<number, Flow>()

  /** @param key 16 bytes or more, secret @param run unique to this run of the server */
  constructor(key: Uint8Array, run: string) {
    this.#key = key
    this.#run = run
  }

  /** Connections that a token has been made for and that are open. */
  get size(): number {
    return this.#streams.size
  }

  /** Whether a user part is, or wants to be taken for, a token. */
  static looksLike(user: string): boolean {
    return user.startsWith(PREFIX)
  }

  tokenOf(flow: Flow): string {
    if (!flow.reliable) return this.#sign(`d ${ends(flow.path)}`)
    if (!flow.closed) this.#streams.set(flow.id, flow)
    return this.#sign(`s ${this.#run} ${flow.id}`)
  }

  /** The token of what `targetOf` gives; null for a target that is no flow. */
  tokenFor({ flow, local, protocol, host, port }: Target): string | null {
    if (flow !== undefined) return this.tokenOf(flow)
    if (local === undefined) return null
    return this.#sign(`d ${ends({ protocol, local, remote: { host, port } })}`)
  }

  redeem(token: string): Redeemed {
    const bytes = Buffer.from(token.slice(PREFIX.length), 'base64url')
    const body = bytes.subarray(MAC_BYTES)
    if (bytes.length <= MAC_BYTES || !timingSafeEqual(this.#mac(body), bytes.subarray(0, MAC_BYTES))) {
      return { ok: false, status: 403 }
    }
    const [kind, first = '', second = ''] = body.toString('latin1').split(' ')
    if (kind === 'd') {
      const [local, remote] = [readAddress(first), readAddress(second)]
      if (local === null || remote === null) return { ok: false, status: 403 }
      return { ok: true, target: { protocol: 'udp', ...remote, local } }
    }
    const flow = first === this.#run ? this.#streams.get(Number(second)) : undefined
    if (flow === undefined || flow.closed) return { ok: false, status: 430 }
    return { ok: true, target: targetOf(flow) }
  }

  /** The connection is gone. */
  forget(flow: Flow): void {
    this.#streams.delete(flow.id)
  }

  #sign(text: string): string {
    const body = Buffer.from(text, 'latin1')
    return PREFIX + Buffer.concat([this.#mac(body), body]).toString('base64url')
  }

  #mac(body: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update('flow ').update(body).digest().subarray(0, MAC_BYTES)
  }
}

/** To send over this very flow. */
export function targetOf(flow: Flow): Target {
  const { protocol, remote, local } = flow.path
  const { host, port } = remote
  return flow.reliable ? { protocol, host, port, flow } : { protocol, host, port, local }
}

/** Whether a target is the flow that something came in on. */
export function isFlow(target: Target, flow: Flow): boolean {
  if (target.flow !== undefined) return target.flow.id === flow.id
  const { protocol, remote, local } = flow.path
  if (target.protocol !== protocol || target.host !== remote.host || target.port !== remote.port) return false
  return target.local === undefined || (target.local.host === local.host && target.local.port === local.port)
}

function ends({ local, remote }: Path): string {
  return `${formatAddress(local)} ${formatAddress(remote)}`
}

/** `host:port` of an IP address, as `formatAddress` writes it. */
export function readAddress(text: string): Address | null {
  const match = /^(?:\[([0-9a-f:.%]+)\]|([^:]+)):(\d{1,5})$/i.exec(text)
  const host = match?.[1] ?? match?.[2]
  return match === null || host === undefined ? null : { host, port: Number(match[3]) }
}
