import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A self-signed certificate for an address and the name, made by openssl; null when that is not installed. */
export function certificate(dir: string, name: string, ip: string) {
  const certFile = join(dir, `${name}.pem`)
  const keyFile = join(dir, `${name}.key`)
  const args = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
  ]
  args.push(
    '-subj',
    `/CN=${name}`,
    '-addext',
    `subjectAltName=IP:${ip},DNS:${name}`,
    '-keyout',
    keyFile,
    '-out',
    certFile,
  )
  const done = spawnSync('openssl', args, { encoding: 'utf8' })
  if (done.error || done.status !== 0) return null
  return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
}
