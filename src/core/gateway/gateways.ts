import type { Clock } from '../../base/clock.ts'
import type { Spine } from '../../spine/spine.ts'
import { Group, type Member, type Wish } from './group.ts'
import type { HealthState, ProbeOutcome, RequestResult } from './health.ts'
import { memberKey, type GroupSettings, type RerouteCause } from './settings.ts'

/** Most groups that scripts may add, and most destinations of all groups: what is kept must be bounded. */
const MAX_GROUPS = 1_000
const MAX_DESTINATIONS = 10_000

/** A destination as an operator sees it. */
export interface GatewayRow {
  readonly name: string
  readonly uri: string
  readonly hop: string
  readonly address: string | null
  readonly state: HealthState
  readonly checksMissed: number
  readonly callsFailed: number
  readonly weight: number
  readonly priority: number
  readonly attrs: Readonly<Record<string, string>>
}

export interface GatewayGroupRow {
  readonly name: string
  readonly algorithm: string
  readonly failureThreshold: number
  readonly destinations: readonly GatewayRow[]
}

/** Told of groups that come and go: whoever probes them. */
export interface GroupWatcher {
  groupAdded(group: Group): void
  groupRemoved(group: Group): void
}

/**
 * The groups of gateways and what is known of their health: the one table that probes, calls, scripts and operators write
 * to and choose from. Lives as long as the engine: a reload of the script changes nothing here.
 */
export class Gateways {
  readonly #clock: Clock
  readonly #spine: Spine
  readonly #groups = new Map<string, Group>()
  /** By `memberKey`. */
  readonly #members = new Map<string, Member>()
  #watcher: GroupWatcher | null = null

  constructor(clock: Clock, spine: Spine) {
    this.#clock = clock
    this.#spine = spine
  }

  /** From now on told of every group, and at once of those that are there. */
  watch(watcher: GroupWatcher): void {
    this.#watcher = watcher
    for (const group of this.#groups.values()) watcher.groupAdded(group)
  }

  /** Names, in the order in which groups were added. */
  get names(): readonly string[] {
    return [...this.#groups.keys()]
  }

  get(name: string): Group | undefined {
    return this.#groups.get(name)
  }

  /**
   * Adds a group, or replaces one that a script added. The very same settings again change nothing: every worker may say them.
   * @returns why not, or null
   */
  add(settings: GroupSettings, fixed = false): string | null {
    const before = this.#groups.get(settings.name) ?? null
    if (before?.fixed) return `the group ${settings.name} is in siphon.yaml: change it there`
    if (before !== null && JSON.stringify(before.settings) === JSON.stringify(settings)) return null
    if (before === null && this.#groups.size >= MAX_GROUPS) return `there are ${MAX_GROUPS} groups already`
    const room = MAX_DESTINATIONS - this.#members.size + (before?.members.length ?? 0)
    if (settings.destinations.length > room) return `there are ${MAX_DESTINATIONS} destinations already`
    const group = new Group(settings, fixed, before)
    if (before !== null) this.#forget(before)
    this.#groups.set(settings.name, group)
    for (const member of group.members) {
      this.#members.set(member.key, member)
      this.#spine.gatewayAdded.publish(named(member))
    }
    this.#watcher?.groupAdded(group)
    return null
  }

  /** @returns why not; null when it is gone, or was not there */
  remove(name: string): string | null {
    const group = this.#groups.get(name)
    if (group === undefined) return null
    if (group.fixed) return `the group ${name} is in siphon.yaml: take it out there`
    this.#forget(group)
    this.#groups.delete(name)
    return null
  }

  /** Null: no member may be used now. Undefined: there is no such group. */
  select(group: string, wish: Wish): Member | null | undefined {
    return this.#groups.get(group)?.select(wish, this.#clock.now())
  }

  /** The members that may be used now, in the order to try them. */
  list(group: string, wish: Wish): readonly Member[] | undefined {
    return this.#groups.get(group)?.list(wish, this.#clock.now())
  }

  state(member: Member): HealthState {
    return member.health.state(this.#clock.now())
  }

  /** An operator's word, or a script's. `destination` is a name or a URI. @returns the name; null when there is none */
  mark(group: string, destination: string, to: 'up' | 'down'): string | null {
    const member = this.#groups.get(group)?.member(destination)
    if (member === undefined) return null
    this.#change(member, `marked ${to} by hand`, () =>
      to === 'up' ? member.health.markUp() : member.health.markDown(),
    )
    return member.settings.name
  }

  /** A probe is over. */
  probed(member: Member, outcome: ProbeOutcome, retryAfterMs: number | null): void {
    this.#spine.gatewayEnded.publish({ ...named(member), what: 'probe', outcome })
    this.#change(member, `probe: ${outcome}`, () =>
      member.health.probed(outcome, retryAfterMs, this.#clock.now()),
    )
  }

  /** A request goes there now. @param key of `memberKey` */
  sent(key: string): void {
    this.#members.get(key)?.health.chosen(this.#clock.now())
  }

  /** The first response above 100 to a forwarded request came after `ms`. @param key of `memberKey` */
  responded(key: string, status: number, ms: number): void {
    const member = this.#members.get(key)
    if (member === undefined) return
    this.#spine.gatewayResponded.publish({ ...named(member), ms })
    if (status !== 503) this.#change(member, 'answered a request', () => member.health.served())
  }

  /** A forwarded request is over, as far as this gateway is concerned. */
  ended(key: string, result: RequestResult): void {
    const member = this.#members.get(key)
    if (member === undefined) return
    this.#spine.gatewayEnded.publish({ ...named(member), what: 'request', outcome: result })
    this.#change(member, `request: ${result}`, () => {
      if (result === 'unavailable' || result === 'timeout' || result === 'unreachable') {
        member.health.failed(this.#clock.now())
      } else if (result === 'cancelled') member.health.undecided()
      else if (result !== 'no_answer') member.health.served()
    })
  }

  /** Whether a sequential fork goes on to the next target after this failure at this destination. */
  movesOn(key: string, cause: RerouteCause): boolean {
    const member = this.#members.get(key)
    const group = member && this.#groups.get(member.group)
    return group === undefined || group.settings.rerouteCauses.includes(cause)
  }

  rows(): readonly GatewayGroupRow[] {
    const now = this.#clock.now()
    return [...this.#groups.values()].map(({ settings, members }) => ({
      name: settings.name,
      algorithm: settings.algorithm,
      failureThreshold: settings.probe.failureThreshold,
      destinations: members.map(({ settings: d, health }) => ({
        name: d.name,
        uri: d.uri,
        hop: d.hop,
        address: d.address,
        state: health.state(now),
        checksMissed: health.checksMissed,
        callsFailed: health.callsFailed,
        weight: d.weight,
        priority: d.priority,
        attrs: d.attrs,
      })),
    }))
  }

  #forget(group: Group): void {
    this.#watcher?.groupRemoved(group)
    for (const { settings } of group.members) {
      this.#members.delete(memberKey(group.settings.name, settings.name))
    }
  }

  /** What makes a destination usable or not is worth a line in the log. */
  #change(member: Member, why: string, make: () => void): void {
    const before = this.state(member)
    make()
    const after = this.state(member)
    if (before === after) return
    this.#spine.logged.publish({
      level: after === 'up' ? 'info' : 'warn',
      module: 'gateway',
      text: `${member.key} is ${after === 'up' ? 'up' : `down (${after})`}: ${why}`,
      fields: { group: member.group, destination: member.settings.name, state: after },
      at: this.#clock.wallTime(),
    })
  }
}

function named(member: Member): { readonly group: string; readonly destination: string } {
  return { group: member.group, destination: member.settings.name }
}
