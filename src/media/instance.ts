import { formatAddress, type Address } from '../base/address.ts'

export interface InstanceOptions {
  readonly address: Address
  /** Share of new calls among the instances that are up. 0: none. */
  readonly weight: number
  /** Of one command, ms. */
  readonly timeoutMs: number
}

/** So many commands or pings without an answer, and an instance is down. */
export const DOWN_AFTER = 2
/** So many answers in a row, and one that was down is up again. */
export const UP_AFTER = 2

/** One rtpengine and what its answers say of its health. It is not known until the first. */
export class Instance {
  readonly address: Address
  /** `ip:port`, as metrics and logs have it. */
  readonly name: string
  readonly weight: number
  readonly timeoutMs: number
  #state: 'unknown' | 'up' | 'down' = 'unknown'
  #misses = 0
  #answers = 0
  /** What the smooth weighted choice has credited it with. */
  credit = 0

  constructor({ address, weight, timeoutMs }: InstanceOptions) {
    this.address = address
    this.name = formatAddress(address)
    this.weight = weight
    this.timeoutMs = timeoutMs
  }

  get state(): 'unknown' | 'up' | 'down' {
    return this.#state
  }

  /** The next answer, or the lack of one, may move it: up with a miss, or down with an answer. */
  get doubtful(): boolean {
    return this.#state === 'up' ? this.#misses > 0 : this.#answers > 0
  }

  /** It answered: anything, even an error. True when that made it up. */
  heard(): boolean {
    this.#misses = 0
    this.#answers++
    if (this.#state === 'up' || (this.#state === 'down' && this.#answers < UP_AFTER)) return false
    this.#state = 'up'
    return true
  }

  /** It did not answer in time. True when that made it down. */
  missed(): boolean {
    this.#answers = 0
    this.#misses++
    if (this.#state === 'down' || (this.#state === 'up' && this.#misses < DOWN_AFTER)) return false
    this.#state = 'down'
    return true
  }
}

/**
 * The instance for a new call: by weight among those that are up, evenly interleaved (each is credited with its weight, the
 * one with most pays for all). Those nobody has heard of yet serve when none is up; those down never.
 */
export function choose(instances: readonly Instance[], tried: ReadonlySet<Instance>): Instance | null {
  const free = instances.filter((i) => i.weight > 0 && !tried.has(i))
  const up = free.filter((i) => i.state === 'up')
  const candidates = up.length > 0 ? up : free.filter((i) => i.state === 'unknown')
  let best: Instance | null = null
  let total = 0
  for (const instance of candidates) {
    instance.credit += instance.weight
    total += instance.weight
    if (best === null || instance.credit > best.credit) best = instance
  }
  if (best !== null) best.credit -= total
  return best
}
