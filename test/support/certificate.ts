import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
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

/** As `certificate`, but it was good for a day in 2020 only. */
export function expiredCertificate(dir: string, name: string, ip: string) {
  const [config, index, request] = ['cnf', 'index', 'csr'].map((e) => join(dir, `${name}.${e}`)) as [
    string,
    string,
    string,
  ]
  const [certFile, keyFile] = [join(dir, `${name}.pem`), join(dir, `${name}.key`)]
  writeFileSync(index, '')
  writeFileSync(
    config,
    `[ca]
default_ca = own
[own]
database = ${index}
new_certs_dir = ${dir}
default_md = sha256
rand_serial = yes
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = IP:${ip},DNS:${name}
`,
  )
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const dates = ['-startdate', '20200101000000Z', '-enddate', '20200102000000Z']
  for (const args of [
    ['req', '-new', ...curve, '-subj', `/CN=${name}`, '-keyout', keyFile, '-out', request],
    ['ca', '-selfsign', '-batch', '-notext', '-config', config, ...dates].concat([
      '-keyfile',
      keyFile,
      '-in',
      request,
      '-out',
      certFile,
    ]),
  ]) {
    const done = spawnSync('openssl', args, { encoding: 'utf8' })
    if (done.error || done.status !== 0) return null
  }
  return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
}
