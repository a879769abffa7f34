import { z } from 'zod'
import { parseNetwork } from '../../base/network.ts'
import { block, list } from '../block.ts'
import type { KeyPath } from '../fault.ts'
import {
  amount,
  choice,
  flag,
  hostPort,
  nullable,
  optional,
  required,
  seconds,
  text,
  type Kind,
} from '../scalars.ts'
import { checked, type CrossFault, valid, validEntries } from '../valid.ts'

/** `gateway`: groups of destinations that calls go out to. */

const NAME = /^[A-Za-z0-9_.-]{1,64}$/

function name(): Kind<string> {
  return text('a name like carriers', (value) =>
    NAME.test(value)
      ? null
      : ['is not a name', 'write 1 to 64 letters, digits, dots, dashes and underscores'],
  )
}

function gatewayUri(): Kind<string> {
  const write = 'write a URI like sip:gw1.example.net'
  return text('a URI like sip:gw1.example.net', (value) => {
    if (!/^sips?:/i.test(value)) return ['is not a sip: or sips: URI', write]
    return /^sips?:[!#-;=?-~]+$/i.test(value) && !value.includes('?') ? null : ['is not a SIP URI', write]
  })
}

function network(): Kind<string> {
  return text('a network like 192.0.2.0/24', (value) =>
    parseNetwork(value) === null
      ? ['is neither an IP address nor a network', 'write one like 192.0.2.7 or 192.0.2.0/24']
      : null,
  )
}

const CAUSE = 'write a status from 300 to 599, or transport'

/** A status from 300 to 599, or `transport`. */
function cause(): Kind<number | 'transport'> {
  return z
    .unknown()
    .transform((value, ctx): number | 'transport' => {
      if (value === 'transport') return 'transport'
      const number = typeof value === 'string' && /^\d{3}$/.test(value) ? Number(value) : value
      if (typeof number === 'number' && Number.isInteger(number) && number >= 300 && number <= 599)
        return number
      ctx.addIssue({ code: 'custom', message: 'is no cause', params: { instead: CAUSE } })
      return z.NEVER
    })
    .meta({
      anyOf: [
        { type: 'integer', minimum: 300, maximum: 599 },
        { type: 'string', enum: ['transport'] },
      ],
    })
}

/** Text to text; numbers and booleans are taken as they are written. */
function attrs(): Kind<Record<string, string>> {
  return z
    .unknown()
    .transform((value, ctx): Record<string, string> => {
      const attrs: Record<string, string> = {}
      const given = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null
      if (given === null) {
        ctx.addIssue({
          code: 'custom',
          message: 'is not a block',
          params: { instead: 'write { region: eu }' },
        })
        return z.NEVER
      }
      for (const [key, item] of Object.entries(given) as [string, unknown][]) {
        if (typeof item === 'string' || typeof item === 'number' || typeof item === 'boolean') {
          attrs[key] = String(item)
          continue
        }
        const instead = 'write text, like { region: eu }'
        ctx.addIssue({ code: 'custom', message: 'is not text', path: [key], params: { instead } })
      }
      return attrs
    })
    .meta({ type: 'object', additionalProperties: { type: 'string' } })
}

const destination = z.strictObject({
  name: nullable(
    name(),
    'What metrics and the admin API call it. Default: the group and its place, `carriers-1`.',
  ),
  uri: required(gatewayUri(), 'Where it is; probes are addressed to it.'),
  address: nullable(hostPort('192.0.2.7:5060'), 'Send there instead of where `uri` leads.'),
  transport: nullable(choice(['udp', 'tcp', 'tls', 'ws', 'wss']), 'Default: what `uri` says, else udp.'),
  weight: optional(amount(1, 10_000), 1, 'Its share among those of the same priority.'),
  priority: optional(
    amount(0, 10_000),
    1,
    'Lower ones are used first; higher ones when none of them can be.',
  ),
  attrs: optional(attrs(), {}, 'What `gateway.select` may ask for.', null),
})

const group = z.strictObject({
  name: required(name(), 'What scripts call it.'),
  algorithm: optional(
    choice(['weighted', 'round_robin', 'hash']),
    'weighted',
    'How one is chosen among those of the lowest priority; `hash` keeps a key where it is.',
  ),
  probe: block('OPTIONS to each destination.', {
    enabled: optional(flag(), true, 'Send them.'),
    interval_secs: optional(seconds(1, 3600), 30, 'From one to the next, give or take a tenth.'),
    timeout_secs: optional(seconds(0.1, 60), 5, 'Longest wait for an answer.'),
    failure_threshold: optional(amount(1, 100), 3, 'Failed in a row: down.'),
    success_threshold: optional(amount(1, 100), 1, 'Answered in a row: up again.'),
    from_user: optional(name(), 'siphon', 'User part of From.'),
  }),
  circuit: block('Calls that fail take a destination out as well.', {
    failures: optional(amount(0, 1000), 5, 'Failed in a row (503, no answer, no way): open. 0: never.'),
    hold_secs: optional(
      seconds(0.1, 3600),
      10,
      'Until one request is let through to try; doubles each time it fails.',
    ),
    max_hold_secs: optional(seconds(0.1, 86_400), 300, 'Longest hold.'),
  }),
  destinations: required(z.array(destination), 'At least one.'),
  source_networks: optional(
    list(network()),
    [],
    'Networks that its requests come from, for `request.fromGateway`.',
  ),
  reroute_causes: optional<(number | 'transport')[]>(
    list(cause()),
    [408, 500, 502, 503, 504, 'transport'],
    'Final statuses after which a sequential fork tries the next destination; `transport`: no way to this one.',
  ),
})

export const gateway = block('Gateways that calls go out to.', {
  groups: optional(z.array(group) as z.ZodType<z.output<typeof group>[]>, [], 'Groups of them.'),
})

/** What no key of the block can tell alone. */
export function gatewayFaults(block: z.output<typeof gateway> | undefined): CrossFault[] {
  const groups = valid(() => block?.groups ?? [], [])
  const names = validEntries(groups, (g) => g.name)
  return [
    ...names
      .filter(({ at, is }) => names.some((other) => other.is === is && other.at < at))
      .map(({ at }) => {
        const path = ['gateway', 'groups', at, 'name']
        return { path, what: 'is the name of another group', instead: 'write another' }
      }),
    ...validEntries(groups).flatMap(({ at, is }) => groupFaults(is, ['gateway', 'groups', at])),
  ]
}

function groupFaults(given: z.output<typeof group>, path: KeyPath): CrossFault[] {
  return checked(
    () => {
      if (given.destinations.length > 0) return null
      const instead = 'write destinations: [{ uri: "sip:gw1.example.net" }]'
      return { path: [...path, 'destinations'], what: 'is empty', instead }
    },
    () => {
      const own = valid(() => given.name, null)
      // Without a name of its own it is called after the group, where that has a valid one.
      const names = validEntries(given.destinations, (d) => d.name).flatMap(({ at, is }) =>
        is === null && own === null ? [] : [{ at, is: is ?? `${own}-${at + 1}` }],
      )
      return names
        .filter(({ at, is }) => names.some((other) => other.is === is && other.at < at))
        .map(({ at, is }) => {
          const what = `has the name ${is}, as another has`
          return { path: [...path, 'destinations', at], what, instead: 'write another name' }
        })
    },
    () => {
      const { enabled, timeout_secs, interval_secs } = given.probe
      if (!enabled || timeout_secs < interval_secs) return null
      const instead = `write less than ${interval_secs}s`
      return { path: [...path, 'probe', 'timeout_secs'], what: 'is not below interval_secs', instead }
    },
    () => {
      const { hold_secs, max_hold_secs } = given.circuit
      if (max_hold_secs >= hold_secs) return null
      const instead = `write ${hold_secs}s or more`
      return { path: [...path, 'circuit', 'max_hold_secs'], what: 'is less than hold_secs', instead }
    },
  )
}
