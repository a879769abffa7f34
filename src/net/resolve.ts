import { lookup } from 'node:dns'
import { isIP } from 'node:net'

/** How long a host name's addresses are kept: the system's resolver tells no TTL. */
const KEEP_MS = 30_000
const KEEP_FAILURE_MS = 5_000
const MAX_NAMES = 10_000

interface Known {
  readonly addresses: readonly string[]
  readonly until: number
}

/**
 * Host names to addresses through the system's resolver, remembered for a while, one question at a time for each name.
 * Calls back at once for an IP address and for a remembered name; with an empty list when there is no address.
 */
export class HostResolver {
  readonly #now: () => number
  readonly #known = new Map<string, Known>()
  readonly #waiting = new Map<string, ((addresses: readonly string[]) => void)[]>()

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now
  }

  resolve(host: string, then: (addresses: readonly string[]) => void): void {
    if (isIP(host) !== 0) return then([host])
    const known = this.#known.get(host)
    if (known && known.until > this.#now()) return then(known.addresses)
    const waiting = this.#waiting.get(host)
    if (waiting) {
      waiting.push(then)
      return undefined
    }
    this.#waiting.set(host, [then])
    lookup(host, { all: true, order: 'ipv4first' }, (error, found) => {
      const addresses = error ? [] : found.map((f) => f.address)
      if (this.#known.size >= MAX_NAMES) this.#known.clear()
      this.#known.set(host, { addresses, until: this.#now() + (error ? KEEP_FAILURE_MS : KEEP_MS) })
      const callbacks = this.#waiting.get(host) ?? []
      this.#waiting.delete(host)
      for (const callback of callbacks) callback(addresses)
    })
    return undefined
  }
}
