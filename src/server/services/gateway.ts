import type { Gateways } from '../../core/gateway/gateways.ts'
import type { Group, Member } from '../../core/gateway/group.ts'
import {
  DEFAULT_CIRCUIT,
  DEFAULT_PROBE,
  DEFAULT_REROUTE_CAUSES,
  type GroupSettings,
} from '../../core/gateway/settings.ts'
import type { BatchReader, Item, Service } from '../../script/conversation.ts'
import { readGroup, readWish, writeDestination } from '../../script/gateway-codec.ts'

/** `gateway.*` of scripts, on the engine thread. What names no group is the script's mistake, and said so. */
export function gatewayServices(gateways: Gateways): [string, Service][] {
  const group = (args: BatchReader): Group => {
    const name = args.string()
    const found = gateways.get(name)
    if (found === undefined) throw new Error(`there is no gateway group ${name}; known: ${known(gateways)}`)
    return found
  }
  const items = (members: readonly Member[]): Item[] => {
    const batch: Item[] = [members.length]
    for (const member of members) {
      writeDestination(batch, { ...member.settings, group: member.group, state: gateways.state(member) })
    }
    return batch
  }
  return [
    [
      'gateway.select',
      (args, answer) => {
        const { settings } = group(args)
        const wish = readWish(args)
        if (settings.algorithm === 'hash' && wish.key === null) {
          throw new Error(`the group ${settings.name} chooses by hash: select needs a key`)
        }
        const member = gateways.select(settings.name, wish)
        answer(items(member ? [member] : []))
      },
    ],
    [
      'gateway.list',
      (args, answer) => {
        const { settings } = group(args)
        answer(items(gateways.list(settings.name, readWish(args)) ?? []))
      },
    ],
    ['gateway.status', (args, answer) => answer(items(group(args).members))],
    ['gateway.groups', (_args, answer) => answer([gateways.names.length, ...gateways.names])],
    [
      'gateway.mark',
      (args, answer) => {
        const { settings } = group(args)
        const destination = args.string()
        const to = args.string() === 'up' ? 'up' : 'down'
        if (gateways.mark(settings.name, destination, to) === null) {
          throw new Error(`the group ${settings.name} has no destination ${destination}`)
        }
        answer([])
      },
    ],
    [
      'gateway.add',
      (args, answer) => {
        const refused = gateways.add(settingsOf(args))
        if (refused !== null) throw new Error(refused)
        answer([])
      },
    ],
    [
      'gateway.remove',
      (args, answer) => {
        const refused = gateways.remove(args.string())
        if (refused !== null) throw new Error(refused)
        answer([])
      },
    ],
  ]
}

function settingsOf(args: BatchReader): GroupSettings {
  const view = readGroup(args)
  const intervalMs = view.probeIntervalMs ?? DEFAULT_PROBE.intervalMs
  return {
    name: view.name,
    algorithm: view.algorithm,
    probe: {
      ...DEFAULT_PROBE,
      enabled: view.probe,
      intervalMs,
      timeoutMs: Math.min(DEFAULT_PROBE.timeoutMs, intervalMs / 2),
      failureThreshold: view.failureThreshold ?? DEFAULT_PROBE.failureThreshold,
    },
    circuit: DEFAULT_CIRCUIT,
    sourceNetworks: view.sourceNetworks,
    rerouteCauses: view.rerouteCauses ?? DEFAULT_REROUTE_CAUSES,
    destinations: view.destinations,
  }
}

function known(gateways: Gateways): string {
  return gateways.names.length === 0 ? 'none' : gateways.names.slice(0, 20).join(', ')
}
