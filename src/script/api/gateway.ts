import { isIP } from 'node:net'
import { Networks, parseNetwork } from '../../base/network.ts'
import { hopUri, uriHost } from '../../sip/message/hop.ts'
import type { Batch } from '../conversation.ts'
import { readDestination, writeGroup, writeWish, type GroupView } from '../gateway-codec.ts'
import { show, target } from './checks.ts'
import { Destination } from './destination.ts'
import { registry } from './registry.ts'
import { ScriptError } from './script-error.ts'
import { services } from './services.ts'
import { encodeText } from './text.ts'

export interface SelectOptions {
  /** For groups that choose by hash: requests with one key go to one destination, while it is there. */
  readonly key?: string
  /** Only destinations with all of these. */
  readonly attrs?: Readonly<Record<string, string>>
  /** Not these: the ones that have been tried. Destinations or their names. */
  readonly exclude?: readonly (Destination | string)[]
}

export interface NewDestination {
  /** Default: the group and its place in it, `carriers-1`. */
  readonly name?: string
  readonly uri: string
  /** `host:port` to send to instead of where `uri` leads. */
  readonly address?: string
  readonly transport?: 'udp' | 'tcp' | 'tls' | 'ws' | 'wss'
  /** 1 unless told, whole. */
  readonly weight?: number
  /** 1 unless told, whole; lower ones are used first. */
  readonly priority?: number
  readonly attrs?: Readonly<Record<string, string>>
}

export interface GroupOptions {
  readonly algorithm?: 'weighted' | 'round_robin' | 'hash'
  /** OPTIONS to each destination: true unless told, or with what differs from the defaults. */
  readonly probe?: boolean | { readonly intervalSecs?: number; readonly failureThreshold?: number }
  /** Networks that its requests come from, besides the addresses of its destinations. */
  readonly sourceNetworks?: readonly string[]
  /** Final statuses after which a sequential fork goes on, and `transport`; default as in siphon.yaml. */
  readonly rerouteCauses?: readonly (number | 'transport')[]
}

const NAME = /^[A-Za-z0-9_.-]{1,64}$/

/** Sources of groups that were added while the script loaded: every worker loads, so every worker knows them. */
const loadedSources = new Map<string, Networks>()
const configuredSources = new Map<string, Networks>()

/** Groups of gateways: of siphon.yaml, and what scripts add. Their state is the engine's: all workers see the same. */
export const gateway = {
  /**
   * A destination that may be used now: of the lowest priority there is, by the algorithm of the group. Null when every one
   * is down, excluded, or without the attributes asked for.
   * @throws ScriptError for a group that is not there, and for a hash group without a key
   */
  async select(group: string, options: SelectOptions = {}): Promise<Destination | null> {
    return (await ask('gateway.select', [name(group), ...wish(options)]))[0] ?? null
  },

  /**
   * The destinations that may be used now, in the order in which they should be tried: for
   * `request.fork(await gateway.list('carriers'), { strategy: 'sequential' })`.
   */
  async list(group: string, options: SelectOptions = {}): Promise<readonly Destination[]> {
    return ask('gateway.list', [name(group), ...wish(options)])
  },

  /** Every destination of the group, in the order of siphon.yaml, with its state. */
  async status(group: string): Promise<readonly Destination[]> {
    return ask('gateway.status', [name(group)])
  },

  /** Names of all groups. */
  async groups(): Promise<readonly string[]> {
    const reader = await services().call('gateway.groups')
    return Array.from({ length: reader.number() }, () => reader.string())
  },

  /** Takes a destination (its name or URI) out until `markUp`, whatever probes say, over reloads of the script too. */
  async markDown(group: string, destination: string): Promise<void> {
    await services().call('gateway.mark', name(group), encodeText(String(destination)), 'down')
  },

  /** Puts a destination back, and forgets what probes and calls have said against it. */
  async markUp(group: string, destination: string): Promise<void> {
    await services().call('gateway.mark', name(group), encodeText(String(destination)), 'up')
  },

  /**
   * Adds a group, or replaces one that a script added; the very same again changes nothing. It is probed like those of
   * siphon.yaml, and stays, over reloads too, until `removeGroup`. While the script loads the promise is fulfilled at once, and
   * a refusal is logged.
   * @throws ScriptError for a group of siphon.yaml, and for what siphon.yaml would not take either
   */
  async addGroup(
    group: string,
    destinations: readonly NewDestination[],
    options: GroupOptions = {},
  ): Promise<void> {
    const view = groupOf(group, destinations, options)
    const batch: Batch = []
    writeGroup(batch, view)
    const added = services().call('gateway.add', ...batch)
    if (registry.sealed) await added
    else {
      loadedSources.set(view.name, new Networks(sources(view)))
      void added
    }
  },

  /** Removes a group that a script added. @throws ScriptError for one of siphon.yaml */
  async removeGroup(group: string): Promise<void> {
    await services().call('gateway.remove', name(group))
  },

  /**
   * Whether `ip` is an address of the group: in its `source_networks`, or that of a destination where it is written as an
   * address. Known at once, without a promise that one could forget to await: for groups of siphon.yaml, and those added
   * while the script loaded.
   * @throws ScriptError for any other group
   */
  containsSource(group: string, ip: string): boolean {
    const found = loadedSources.get(group) ?? configured(group)
    if (found === undefined) {
      throw new ScriptError(
        `containsSource: ${show(group)} is no group of siphon.yaml, nor one that was added while the script loaded`,
      )
    }
    return found.has(String(ip))
  },
}

function configured(group: string): Networks | undefined {
  const known = configuredSources.get(group)
  if (known !== undefined) return known
  const texts = services().settings.gatewaySources ?? {}
  if (!Object.hasOwn(texts, group)) return undefined
  const networks = new Networks(texts[group] ?? [])
  configuredSources.set(group, networks)
  return networks
}

async function ask(service: string, args: Batch): Promise<Destination[]> {
  const reader = await services().call(service, ...args)
  return Array.from({ length: reader.number() }, () => new Destination(readDestination(reader)))
}

function wish({ key, attrs, exclude }: SelectOptions): Batch {
  const batch: Batch = []
  writeWish(batch, {
    key: key === undefined ? null : encodeText(String(key)),
    attrs: texts(attrs ?? {}),
    exclude: (exclude ?? []).map((d) => (typeof d === 'string' ? d : d.name)),
  })
  return batch
}

function groupOf(group: string, destinations: readonly NewDestination[], options: GroupOptions): GroupView {
  if (!Array.isArray(destinations) || destinations.length === 0) {
    throw new ScriptError('addGroup needs at least one destination')
  }
  const own = name(group)
  const views = (destinations as readonly NewDestination[]).map((d, i) => {
    const uri = target(d.uri, 'addGroup')
    const address = d.address === undefined ? null : target(`sip:${d.address}`, 'addGroup').slice(4)
    return {
      name: name(d.name ?? `${own}-${i + 1}`),
      uri,
      hop: hopUri(uri, address, d.transport ?? null),
      address,
      weight: whole(d.weight ?? 1, 1, 10_000, 'weight'),
      priority: whole(d.priority ?? 1, 0, 10_000, 'priority'),
      attrs: texts(d.attrs ?? {}),
    }
  })
  const twice = views.find((v, i) => views.findIndex((other) => other.name === v.name) !== i)
  if (twice !== undefined) throw new ScriptError(`addGroup: two destinations have the name ${twice.name}`)
  const { algorithm = 'weighted', probe = true, sourceNetworks = [], rerouteCauses } = options
  if (!['weighted', 'round_robin', 'hash'].includes(algorithm)) {
    throw new ScriptError(`addGroup: ${show(algorithm)} is no algorithm: weighted, round_robin or hash`)
  }
  const wrong = sourceNetworks.find((text) => parseNetwork(text) === null)
  if (wrong !== undefined) throw new ScriptError(`addGroup: ${show(wrong)} is no network`)
  for (const cause of rerouteCauses ?? []) {
    if (cause !== 'transport') whole(cause, 300, 599, 'a reroute cause')
  }
  const { intervalSecs, failureThreshold } = typeof probe === 'object' ? probe : {}
  if (intervalSecs !== undefined && !(intervalSecs >= 1 && intervalSecs <= 3600)) {
    throw new ScriptError(`addGroup: ${show(intervalSecs)} is no interval: 1 to 3600 seconds`)
  }
  return {
    name: own,
    algorithm,
    probe: probe !== false,
    probeIntervalMs: intervalSecs === undefined ? null : intervalSecs * 1000,
    failureThreshold:
      failureThreshold === undefined ? null : whole(failureThreshold, 1, 100, 'failureThreshold'),
    rerouteCauses: rerouteCauses ?? null,
    sourceNetworks,
    destinations: views,
  }
}

function sources({ sourceNetworks, destinations }: GroupView): string[] {
  const hosts = destinations.map(({ hop }) => uriHost(hop) ?? '')
  return [...sourceNetworks, ...hosts.filter((host) => isIP(host) !== 0)]
}

function name(text: unknown): string {
  if (typeof text === 'string' && NAME.test(text)) return text
  throw new ScriptError(
    `${show(text)} is not a name of a group or a destination: 1 to 64 letters, digits, dots, dashes, underscores`,
  )
}

function texts(pairs: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(pairs).map(([key, value]) => [encodeText(key), encodeText(String(value))]),
  )
}

function whole(value: unknown, least: number, most: number, what: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw new ScriptError(`addGroup: ${show(value)} is not ${what}: a whole number from ${least} to ${most}`)
}
