import { isIPv6 } from 'node:net'
import { DnsCache, keyOf, type CacheLimits } from './cache.ts'
import type { DnsClient } from './client.ts'
import { type Answer, FAILED, NONE, type Question } from './records.ts'
import type { SystemNames } from './system.ts'

/** Questions on their way at once: past it a name counts as one that nobody knows, and no socket more is opened. */
const MAX_ASKING = 1_000

export interface DnsResolverOptions {
  readonly client: Pick<DnsClient, 'ask'>
  readonly names: Pick<SystemNames, 'search' | 'ndots' | 'hosts'>
  readonly limits: CacheLimits
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/**
 * Records by name: from /etc/hosts, from memory, or from the servers, with one question on its way for each name and
 * type. Calls back at once when nobody has to be asked.
 */
export class DnsResolver {
  readonly #o: DnsResolverOptions
  readonly #cache: DnsCache
  readonly #hosts: ReadonlyMap<string, readonly string[]>
  readonly #waiting = new Map<string, ((answer: Answer) => void)[]>()

  constructor(options: DnsResolverOptions) {
    this.#o = options
    this.#cache = new DnsCache(options.limits, options.now)
    this.#hosts = new Map(Object.entries(options.names.hosts))
  }

  /** Names and types remembered. */
  get entries(): number {
    return this.#cache.size
  }

  resolve(question: Question, then: (answer: Answer) => void): void {
    const local = this.#local(question)
    if (local !== null) then(local)
    else if (question.type === 'A' || question.type === 'AAAA') this.#searched(question, then)
    else this.#ask(question, then)
  }

  /** What this machine says itself: the DNS is then not asked, whatever the type (RFC 6761 §6.3 for localhost). */
  #local({ name, type }: Question): Answer | null {
    let addresses = this.#hosts.get(name)
    if (addresses === undefined && (name === 'localhost' || name.endsWith('.localhost'))) {
      addresses = ['127.0.0.1', '::1']
    }
    if (addresses === undefined) return null
    if (type !== 'A' && type !== 'AAAA') return NONE
    const records = addresses
      .filter((address) => isIPv6(address) === (type === 'AAAA'))
      .map((address) => ({ type, address }))
    return records.length === 0 ? NONE : { outcome: 'found', records }
  }

  /** A short name is also looked for in the domains of resolv.conf: before them when it has a dot, else after. */
  #searched({ name, type }: Question, then: (answer: Answer) => void): void {
    const { search, ndots } = this.#o.names
    const dots = name.split('.').length - 1
    const longer = dots < ndots ? search.map((domain) => `${name}.${domain}`) : []
    const names = dots > 0 ? [name, ...longer] : [...longer, name]
    const from = (i: number): void => {
      const next = names[i]
      if (next === undefined) return then(NONE)
      return this.#ask({ name: next, type }, (answer) => {
        if (answer.outcome === 'none' && i + 1 < names.length) from(i + 1)
        else then(answer)
      })
    }
    from(0)
  }

  #ask(question: Question, then: (answer: Answer) => void): void {
    const known = this.#cache.get(question)
    if (known !== undefined) return then(known)
    const key = keyOf(question)
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) {
      waiting.push(then)
      return undefined
    }
    if (this.#waiting.size >= MAX_ASKING) return then(FAILED)
    this.#waiting.set(key, [then])
    return this.#o.client.ask(question, (told) => {
      const answer = this.#cache.put(question, told)
      const callbacks = this.#waiting.get(key) ?? []
      this.#waiting.delete(key)
      for (const callback of callbacks) callback(answer)
    })
  }
}
