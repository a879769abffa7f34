import { isIP } from 'node:net'
import { Networks } from '../../base/network.ts'
import { uriHost } from '../../sip/message/hop.ts'
import { type Candidate, choose, inOrder } from './choose.ts'
import { Health } from './health.ts'
import { memberKey, type DestinationSettings, type GroupSettings } from './settings.ts'

/** A destination in service. */
export class Member implements Candidate {
  readonly group: string
  readonly settings: DestinationSettings
  readonly health: Health
  credit = 0
  turn = 0

  constructor(group: string, settings: DestinationSettings, health: Health) {
    this.group = group
    this.settings = settings
    this.health = health
  }

  get key(): string {
    return memberKey(this.group, this.settings.name)
  }

  get identity(): string {
    return this.settings.hop
  }

  get weight(): number {
    return this.settings.weight
  }

  get priority(): number {
    return this.settings.priority
  }
}

export interface Wish {
  /** For `hash`: requests with one key go to one destination while it is there. */
  readonly key: string | null
  /** Only destinations with all of these. */
  readonly attrs: Readonly<Record<string, string>>
  /** Names of destinations that have been tried. */
  readonly exclude: readonly string[]
}

/** Destinations that serve the same purpose. */
export class Group {
  readonly settings: GroupSettings
  /** From siphon.yaml: scripts cannot change or remove it. */
  readonly fixed: boolean
  readonly members: readonly Member[]
  readonly #sources: Networks

  /** @param before what it replaces: destinations of the same name and next hop keep their health, or where limits
   * have changed, at least what an operator said of them */
  constructor(settings: GroupSettings, fixed: boolean, before: Group | null = null) {
    this.settings = settings
    this.fixed = fixed
    this.members = settings.destinations.map(
      (d) => new Member(settings.name, d, healthOf(d, settings, before)),
    )
    this.#sources = new Networks(sourcesOf(settings))
  }

  /** By name, or by the URI as configured. */
  member(nameOrUri: string): Member | undefined {
    return (
      this.members.find(({ settings }) => settings.name === nameOrUri) ??
      this.members.find(({ settings }) => settings.uri === nameOrUri)
    )
  }

  select(wish: Wish, now: number): Member | null {
    const chosen = choose(this.#usable(wish, now), this.settings.algorithm, wish.key)
    chosen?.health.chosen(now)
    return chosen
  }

  /** Those that may be used now, in the order to try them. */
  list(wish: Wish, now: number): readonly Member[] {
    const members = inOrder(this.#usable(wish, now), this.settings.algorithm, wish.key)
    // The others may never be tried: they are chosen when a request goes there.
    members[0]?.health.chosen(now)
    return members
  }

  /** Whether requests from this address come from the group. */
  containsSource(ip: string): boolean {
    return this.#sources.has(ip)
  }

  #usable({ attrs, exclude }: Wish, now: number): Member[] {
    const wanted = Object.entries(attrs)
    return this.members.filter(
      ({ settings, health }) =>
        !exclude.includes(settings.name) &&
        wanted.every(([name, value]) => settings.attrs[name] === value) &&
        health.usable(now),
    )
  }
}

/**
 * `source_networks`, and the addresses of the destinations where they are written as such: names are not resolved for it.
 */
export function sourcesOf({
  sourceNetworks,
  destinations,
}: Pick<GroupSettings, 'sourceNetworks' | 'destinations'>): readonly string[] {
  const hosts = destinations
    .map(({ hop }) => uriHost(hop))
    .filter((host) => host !== null && isIP(host) !== 0)
  return [...sourceNetworks, ...hosts.filter((host) => host !== null)]
}

function healthOf(destination: DestinationSettings, settings: GroupSettings, before: Group | null): Health {
  const old = before?.members.find(
    (m) => m.settings.hop === destination.hop && m.settings.name === destination.name,
  )
  const { probe, circuit } = settings
  if (before !== null && old !== undefined) {
    const same =
      JSON.stringify([before.settings.probe, before.settings.circuit]) === JSON.stringify([probe, circuit])
    if (same) return old.health
  }
  const health = new Health(probe, circuit)
  if (old?.health.manuallyDown) health.markDown()
  return health
}
