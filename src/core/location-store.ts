import type { Address, Protocol } from '../base/address.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Binding, BindingChange } from '../sip/registrar/bindings.ts'
import type { Flow } from '../stack/transport.ts'
import { DeadlineHeap, type Due } from './deadline-heap.ts'

/** Where a REGISTER came from: kept with each binding that it made or refreshed. */
export interface BindingSource {
  readonly aor: string
  readonly protocol: Protocol
  /** `ip:port`. */
  readonly received: string
  /**
   * The connection it came over; null for datagrams, and for a binding of an earlier run. Weak: a closed connection shall
   * not be kept for an hour.
   */
  readonly flow: WeakRef<Flow> | null
  /** The number of that connection; 0 without one. */
  readonly flowId: number
  /** Our end of it: datagrams must leave by the same socket to get through a NAT. */
  readonly local: Address
  /** The contact's own address cannot be reached: what is for it goes to where the REGISTER came from. */
  readonly nated: boolean
  /** The Path vector, topmost first (RFC 3327); empty without one. */
  readonly path: readonly string[]
  readonly userAgent: string | null
}

export type StoredBinding = Binding<BindingSource>

/** Why a binding ended without a request. */
export type EndReason = 'expired' | 'operator' | 'script' | 'flow_closed' | 'no_answer'

/** A binding that ended without a request. */
export type Ended = (reason: EndReason, binding: StoredBinding) => void

/** Part of a listing. */
export interface ListingPage {
  readonly bindings: readonly StoredBinding[]
  /** What to ask the next page with; null after the last. */
  readonly next: string | null
}

interface Entry extends Due {
  readonly aor: string
  /** Place in the order of arrival; kept until the last binding is gone. */
  readonly order: number
  bindings: readonly StoredBinding[]
}

/** An expiry run ends after this many addresses-of-record and goes on a millisecond later: calls pass in between. */
const EXPIRED_AT_ONCE = 1_000
/** setTimeout takes 2^31-1 ms at most; a timer that fires early finds nothing and starts the next. */
const LONGEST_TIMER_MS = 86_400_000

/**
 * The location service (RFC 3261 §10.3), in memory: address-of-record → bindings, never empty.
 *
 * Nothing here walks over the whole table: expiry takes from a heap under one timer, and a listing finds its place by
 * halving an array in the order of arrival. Keys are `addressOfRecord` texts in Maps, so no name is special.
 */
export class LocationStore {
  readonly #clock: Clock
  readonly #onEnded: Ended
  readonly #entries = new Map<string, Entry>()
  /** By contact URI, of all addresses-of-record: nearly always one. */
  readonly #byContact = new Map<string, StoredBinding | readonly StoredBinding[]>()
  readonly #heap = new DeadlineHeap<Entry>()
  /** In order of arrival; entries that have gone stay until they are half of it. */
  #arrivals: Entry[] = []
  #lastOrder = 0
  #lastId = 0
  #timer: Timer | null = null
  #timerAt = Infinity
  #bindings = 0

  /** @param onEnded told of each binding that ends without a REGISTER, after the table has changed */
  constructor(clock: Clock, onEnded: Ended) {
    this.#clock = clock
    this.#onEnded = onEnded
  }

  /** Addresses-of-record with at least one unexpired binding. */
  get size(): number {
    return this.#entries.size
  }

  /** Unexpired bindings of all addresses-of-record. */
  get bindingCount(): number {
    return this.#bindings
  }

  /** A number for a new binding. */
  readonly nextId = (): number => ++this.#lastId

  /** The unexpired bindings of an address-of-record, oldest first; those whose time has come end now. */
  get(aor: string): readonly StoredBinding[] {
    const entry = this.#entries.get(aor)
    if (entry === undefined) return []
    const now = this.#clock.now()
    if (entry.deadline <= now) this.#expire(entry, now)
    return entry.bindings
  }

  /** Replaces all bindings of an address-of-record. `changes` say what differs from what `get` has given. */
  replace(
    aor: string,
    bindings: readonly StoredBinding[],
    changes: readonly BindingChange<BindingSource>[],
  ): void {
    let entry = this.#entries.get(aor)
    const before = entry?.bindings ?? []
    if (entry === undefined) {
      if (bindings.length === 0) return
      entry = { aor, order: ++this.#lastOrder, bindings: [], deadline: 0, place: -1 }
      this.#entries.set(aor, entry)
      this.#arrivals.push(entry)
    }
    for (const { binding } of changes) {
      const old = before.find(({ id }) => id === binding.id)
      if (old !== undefined) this.#unindex(old)
    }
    for (const { event, binding } of changes) if (event !== 'deregistered') this.#index(binding)
    this.#settle(entry, bindings)
    this.#arm()
  }

  /** Removes bindings of an address-of-record, all unless told; gives those that were. */
  remove(
    aor: string,
    reason: EndReason,
    which: (binding: StoredBinding) => boolean = () => true,
  ): readonly StoredBinding[] {
    const present = this.get(aor)
    const entry = this.#entries.get(aor)
    const gone = present.filter(which)
    if (entry === undefined || gone.length === 0) return []
    for (const binding of gone) this.#unindex(binding)
    this.#settle(
      entry,
      present.filter((binding) => !gone.includes(binding)),
    )
    this.#arm()
    for (const binding of gone) this.#onEnded(reason, binding)
    return gone
  }

  /** One binding by its number, while it lives. */
  find(aor: string, id: number): StoredBinding | undefined {
    return this.get(aor).find((binding) => binding.id === id)
  }

  /** Whether this device of this user is registered. */
  has(aor: string, instance: string): boolean {
    return this.get(aor).some((binding) => binding.instance === instance)
  }

  /** Puts back a binding of an earlier run, under its own number. Tells nobody. */
  restore(binding: StoredBinding): void {
    this.#lastId = Math.max(this.#lastId, binding.id)
    const { aor } = binding.source
    this.replace(aor, [...this.get(aor), binding], [{ event: 'registered', binding }])
  }

  /** The unexpired bindings with exactly this contact URI, of whatever address-of-record. */
  withContact(uri: string): readonly StoredBinding[] {
    const found = this.#byContact.get(uri)
    if (found === undefined) return []
    const now = this.#clock.now()
    return bindingsIn(found).filter(({ expiresAt }) => expiresAt > now)
  }

  /**
   * Up to `limit` bindings in the order their addresses-of-record came. A binding that lives from the first page to the
   * last is listed exactly once, whatever comes and goes meanwhile. An unreadable cursor begins anew.
   */
  page(cursor: string | null, limit: number): ListingPage {
    const [, order = '0', id = '0'] = /^(\d{1,15})\.(\d{1,15})$/.exec(cursor ?? '') ?? []
    const now = this.#clock.now()
    const bindings: StoredBinding[] = []
    let last: { readonly order: number; readonly id: number } | null = null
    for (let at = this.#arrivalFrom(Number(order)); at < this.#arrivals.length; at++) {
      const entry = this.#arrivals[at]
      if (entry === undefined) break
      for (const binding of entry.bindings) {
        if (binding.expiresAt <= now) continue
        if (entry.order === Number(order) && binding.id <= Number(id)) continue
        if (last !== null && bindings.length >= limit) return { bindings, next: `${last.order}.${last.id}` }
        bindings.push(binding)
        last = { order: entry.order, id: binding.id }
      }
    }
    return { bindings, next: null }
  }

  /** Forgets everything, tells nobody, leaves no timer. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#entries.clear()
    this.#byContact.clear()
    this.#arrivals = []
    this.#bindings = 0
  }

  /** Ends the bindings of one address-of-record whose time has come. */
  #expire(entry: Entry, now: number): void {
    const gone = entry.bindings.filter(({ expiresAt }) => expiresAt <= now)
    for (const binding of gone) this.#unindex(binding)
    this.#settle(
      entry,
      entry.bindings.filter(({ expiresAt }) => expiresAt > now),
    )
    for (const binding of gone) this.#onEnded('expired', binding)
  }

  /** Gives an entry its bindings and its place among the deadlines; without any it goes. */
  #settle(entry: Entry, bindings: readonly StoredBinding[]): void {
    this.#bindings += bindings.length - entry.bindings.length
    entry.bindings = bindings
    let deadline = Infinity
    for (const { expiresAt } of bindings) deadline = Math.min(deadline, expiresAt)
    if (bindings.length > 0) {
      this.#heap.put(entry, deadline)
      return
    }
    this.#heap.remove(entry)
    this.#entries.delete(entry.aor)
    if (this.#arrivals.length > 64 && this.#arrivals.length > 2 * this.#entries.size) {
      this.#arrivals = this.#arrivals.filter(({ place }) => place >= 0)
    }
  }

  /** One timer, for the first deadline. It is left alone when that moves away: firing early costs less than moving it. */
  #arm(): void {
    const first = this.#heap.first
    if (first === undefined) {
      this.#timer?.cancel()
      this.#timer = null
      return
    }
    if (this.#timer !== null && this.#timerAt <= first.deadline) return
    this.#timer?.cancel()
    this.#start(Math.max(1, first.deadline - this.#clock.now()))
  }

  #start(ms: number): void {
    const wait = Math.min(ms, LONGEST_TIMER_MS)
    this.#timerAt = this.#clock.now() + wait
    this.#timer = this.#clock.startTimer(wait, () => this.#onTimer())
  }

  #onTimer(): void {
    this.#timer = null
    const now = this.#clock.now()
    for (let count = 0; count < EXPIRED_AT_ONCE; count++) {
      const entry = this.#heap.first
      if (entry === undefined || entry.deadline > now) break
      this.#expire(entry, now)
    }
    if (this.#timer === null) this.#arm()
  }

  #index(binding: StoredBinding): void {
    const present = this.#byContact.get(binding.uri)
    this.#byContact.set(binding.uri, present === undefined ? binding : [...bindingsIn(present), binding])
  }

  #unindex(binding: StoredBinding): void {
    const present = this.#byContact.get(binding.uri)
    if (present === undefined) return
    const rest = bindingsIn(present).filter(({ id }) => id !== binding.id)
    const [only] = rest
    if (only === undefined) this.#byContact.delete(binding.uri)
    else this.#byContact.set(binding.uri, rest.length === 1 ? only : rest)
  }

  /** Index of the first arrival whose order is at least `order`. */
  #arrivalFrom(order: number): number {
    let low = 0
    let high = this.#arrivals.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#arrivals[middle]?.order ?? Infinity) < order) low = middle + 1
      else high = middle
    }
    return low
  }
}

function bindingsIn(value: StoredBinding | readonly StoredBinding[]): readonly StoredBinding[] {
  return 'id' in value ? [value] : value
}
