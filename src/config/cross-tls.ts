import type { Blocks } from './schema.ts'
import { checked, type CrossFault, validEntries } from './valid.ts'

/** What the keys of `tls` need of each other, and the listeners of them. */
export function tlsFaults({ tls, listen }: Partial<Blocks>): CrossFault[] {
  if (tls === undefined) return []
  const needed = (kind: 'tls' | 'wss') => (): CrossFault | null => {
    if ((listen?.[kind].length ?? 0) === 0 || tls?.certificate) return null
    const instead = 'write tls: { certificate: "cert.pem", private_key: "key.pem" }'
    return { path: ['listen', kind], what: 'needs a certificate', instead }
  }
  return [...checked(needed('tls'), needed('wss')), ...(tls === null ? [] : own(tls))]
}

function own(tls: NonNullable<Blocks['tls']>): CrossFault[] {
  const pair =
    (
      certificate: 'certificate' | 'client_certificate',
      key: 'private_key' | 'client_private_key',
    ): (() => CrossFault | null) =>
    () => {
      if ((tls[certificate] === null) === (tls[key] === null)) return null
      const [given, absent] = tls[certificate] === null ? [key, certificate] : [certificate, key]
      return {
        path: ['tls', given],
        what: `is given without tls.${absent}`,
        instead: `write tls.${absent}, too`,
      }
    }
  return checked(
    pair('certificate', 'private_key'),
    pair('client_certificate', 'client_private_key'),
    () =>
      tls.verify_client && tls.client_ca === null
        ? {
            path: ['tls', 'verify_client'],
            what: 'needs to know whose certificates are good',
            instead: 'write tls.client_ca',
          }
        : null,
    () =>
      tls.certificates.length > 0 && tls.certificate === null
        ? {
            path: ['tls', 'certificates'],
            what: 'leaves clients that ask for no name without a certificate',
            instead: 'write tls.certificate and tls.private_key, too',
          }
        : null,
    () => {
      const seen = new Set<string>()
      return validEntries(tls.certificates, (c) => c.server_name).flatMap(({ at: i, is: names }) =>
        validEntries(names).flatMap(({ at: j, is: given }) => {
          const name = given.toLowerCase()
          const path = ['tls', 'certificates', i, 'server_name', j]
          if (seen.has(name))
            return [{ path, what: 'is named twice', instead: 'keep one certificate for each name' }]
          seen.add(name)
          return []
        }),
      )
    },
  )
}
