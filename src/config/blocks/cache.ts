import { z } from 'zod'
import { amount, nullable, optional, required, seconds, text, type Kind } from '../scalars.ts'
import { type CrossFault, validEntries } from '../valid.ts'

/** `cache`: named stores that scripts share. */

function name(): Kind<string> {
  return text('a name like sessions', (value) =>
    /^[A-Za-z0-9_.-]{1,64}$/.test(value)
      ? null
      : ['is not a name', 'write 1 to 64 letters, digits, dots, dashes and underscores'],
  )
}

const entry = z.strictObject({
  name: required(name(), 'What scripts call it.'),
  local_ttl_secs: nullable(
    seconds(1, 31_536_000),
    'Lifetime of what is stored without one. Default: until it has to make room.',
  ),
  local_max_entries: optional(
    amount(1, 10_000_000),
    10_000,
    'Most keys; past them the one that was not used for longest makes room.',
  ),
})

export const cache = optional(
  z.array(entry) as z.ZodType<z.output<typeof entry>[]>,
  [],
  'Stores that all workers of the script share, in memory.',
)

export function cacheFaults(caches: z.output<typeof cache> | undefined): CrossFault[] {
  const names = validEntries(caches ?? [], ({ name: own }) => own)
  return names.flatMap(({ at, is }) =>
    names.some((other) => other.is === is && other.at < at)
      ? [{ path: ['cache', at, 'name'], what: 'is the name of another cache', instead: 'write another' }]
      : [],
  )
}
