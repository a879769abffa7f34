import type { CrossFault } from './cross.ts'
import type { Blocks } from './schema.ts'

/** What the keys of `tls` need of each other, and the listeners of them. */
export function tlsFaults({ tls, listen }: Partial<Blocks>): CrossFault[] {
  if (tls === undefined) return []
  const faults: CrossFault[] = []
  for (const kind of ['tls', 'wss'] as const) {
    if ((listen?.[kind].length ?? 0) > 0 && !tls?.certificate) {
      faults.push({
        path: ['listen', kind],
        what: 'needs a certificate',
        instead: 'write tls: { certificate: "cert.pem", private_key: "key.pem" }',
      })
    }
  }
  if (tls === null) return faults
  const pairs = [
    ['certificate', 'private_key'],
    ['client_certificate', 'client_private_key'],
  ] as const
  for (const [certificate, key] of pairs) {
    if ((tls[certificate] === null) === (tls[key] === null)) continue
    const [given, absent] = tls[certificate] === null ? [key, certificate] : [certificate, key]
    faults.push({
      path: ['tls', given],
      what: `is given without tls.${absent}`,
      instead: `write tls.${absent}, too`,
    })
  }
  if (tls.verify_client && tls.client_ca === null) {
    faults.push({
      path: ['tls', 'verify_client'],
      what: 'needs to know whose certificates are good',
      instead: 'write tls.client_ca',
    })
  }
  if (tls.certificates.length > 0 && tls.certificate === null) {
    faults.push({
      path: ['tls', 'certificates'],
      what: 'leaves clients that ask for no name without a certificate',
      instead: 'write tls.certificate and tls.private_key, too',
    })
  }
  const seen = new Set<string>()
  tls.certificates.forEach(({ server_name }, i) =>
    server_name.forEach((given, j) => {
      const name = given.toLowerCase()
      if (seen.has(name)) {
        const path = ['tls', 'certificates', i, 'server_name', j]
        faults.push({ path, what: 'is named twice', instead: 'keep one certificate for each name' })
      }
      seen.add(name)
    }),
  )
  return faults
}
