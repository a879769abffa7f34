import type { KeyPath } from './fault.ts'
import type { Blocks } from './schema.ts'
import { checked, type CrossFault, valid, validEntries } from './valid.ts'

const AT: KeyPath = ['media', 'rtpengine']

/** What the keys of `media` need of each other. */
export function mediaFaults({ media: m }: Partial<Blocks>): CrossFault[] {
  if (!m) return []
  return checked(
    () => instances(m.rtpengine),
    () =>
      Object.keys(m.profiles)
        .filter((name) => !/^[A-Za-z][A-Za-z0-9_.-]*$/.test(name))
        .map((name) => {
          const instead = 'letters, digits, _ . and -'
          return { path: ['media', 'profiles', name], what: 'is not a name for a profile', instead }
        }),
  )
}

function instances(r: NonNullable<Blocks['media']>['rtpengine']): CrossFault[] {
  // One that is not valid is given.
  const address = valid(() => r.address !== null, true)
  const several = valid(() => r.instances !== null, true)
  if (!address && !several) {
    return [{ path: AT, what: 'names no instance', instead: 'write address: "127.0.0.1:2223" below it' }]
  }
  if (address && several) {
    const instead = 'keep one of the two'
    return [{ path: [...AT, 'address'], what: 'is given beside instances', instead }]
  }
  return checked(
    () => addresses(r),
    () => {
      if ((r.instances ?? [r]).some((one) => one.weight !== 0)) return null
      const path: KeyPath = r.instances === null ? [...AT, 'weight'] : [...AT, 'instances']
      const what = r.instances?.length === 0 ? 'is empty' : 'leaves no instance for new calls'
      return { path, what, instead: 'give one instance a weight of 1' }
    },
  )
}

function addresses(r: NonNullable<Blocks['media']>['rtpengine']): CrossFault[] {
  const list = validEntries<{ readonly address: (typeof r)['address'] }, (typeof r)['address']>(
    r.instances ?? [r],
    ({ address }) => address,
  )
  return list.flatMap(({ at, is }) => {
    if (is === null) return []
    const path: KeyPath = [...AT, ...(r.instances === null ? [] : ['instances', at]), 'address']
    const faults: CrossFault[] = []
    if (is.port === 0) faults.push({ path, what: 'has port 0', instead: 'write the port of --listen-ng' })
    if (list.some((l) => l.at < at && l.is?.host === is.host && l.is.port === is.port))
      faults.push({ path, what: 'is there twice', instead: 'take one out, or give one a larger weight' })
    return faults
  })
}
