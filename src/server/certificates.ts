import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { FileWatch } from '../base/file-watch.ts'
import type { CdrBackend, Config, TlsConfig } from '../config/config.ts'
import type { KeyPath } from '../config/fault.ts'
import { type KeyPair, TlsContexts, type TlsMaterial } from '../net/tls.ts'
import type { LogLine } from '../spine/facts.ts'

/** A certificate that we show, by the name it is asked for; `default` for who asks for none. */
export interface ShownCertificate {
  readonly serverName: string
  /** Seconds since 1970. */
  readonly notAfter: number
}

export interface CertificateFault {
  /** The key that names the file. */
  readonly path: KeyPath
  readonly what: string
  readonly instead: string
}

export type ReadTls =
  | { readonly ok: true; readonly material: TlsMaterial; readonly shown: readonly ShownCertificate[] }
  | { readonly ok: false; readonly faults: readonly CertificateFault[] }

/** Reads the files of the `tls` block and finds out whether they serve: each is there, is PEM, and fits its pair. */
export function readTls(config: TlsConfig): ReadTls {
  const faults: CertificateFault[] = []
  const shown: ShownCertificate[] = []
  const pair = (
    certFile: string | null,
    keyFile: string | null,
    at: KeyPath,
    keys: readonly [string, string],
  ) => {
    const certificate = readPem(certFile, [...at, keys[0]], faults)
    const privateKey = readPem(keyFile, [...at, keys[1]], faults)
    if (certificate === null || privateKey === null) return null
    const found = checkPair({ certificate, privateKey })
    if (found.ok) return { certificate, privateKey, notAfter: found.notAfter }
    faults.push({ path: [...at, keys[found.key]], what: found.what, instead: found.instead })
    return null
  }
  const standard = pair(config.certificate, config.private_key, ['tls'], ['certificate', 'private_key'])
  if (standard !== null) shown.push({ serverName: 'default', notAfter: standard.notAfter })
  const named = config.certificates.flatMap(({ certificate, private_key, server_name }, i) => {
    const keys = ['certificate', 'private_key'] as const
    const found = pair(certificate, private_key, ['tls', 'certificates', i], keys)
    if (found === null) return []
    for (const serverName of server_name) shown.push({ serverName, notAfter: found.notAfter })
    return [{ ...found, names: server_name }]
  })
  const clientKeys = ['client_certificate', 'client_private_key'] as const
  const client = pair(config.client_certificate, config.client_private_key, ['tls'], clientKeys)
  const clientCa = readAuthorities(config.client_ca, ['tls', 'client_ca'], faults)
  const ca = readAuthorities(config.ca, ['tls', 'ca'], faults)
  if (faults.length > 0) return { ok: false, faults }
  const material: TlsMaterial = {
    standard,
    named,
    minVersion: config.method === 'TLSv1_3' ? 'TLSv1.3' : 'TLSv1.2',
    verifyClient: config.verify_client,
    clientCa,
    client,
    ca,
    verifyServer: config.verify_server,
  }
  try {
    // What is left is for OpenSSL to say: a key that is too short, a chain out of order.
    void new TlsContexts(material)
  } catch (error) {
    return { ok: false, faults: [{ path: ['tls'], what: `cannot be used: ${textOf(error)}`, instead: '' }] }
  }
  return { ok: true, material, shown }
}

/** What is wrong with the files of authorities that connections to collectors trust, of those that will be made. */
export function authorityFaults({ cdr, tracing }: Config): readonly CertificateFault[] {
  const faults: CertificateFault[] = []
  const used = (backend: CdrBackend): boolean => cdr.enabled && cdr.backends.includes(backend)
  if (used('http')) readAuthorities(cdr.http?.ca ?? null, ['cdr', 'http', 'ca'], faults)
  if (used('syslog')) readAuthorities(cdr.syslog?.ca ?? null, ['cdr', 'syslog', 'ca'], faults)
  readAuthorities(tracing.hep?.ca_cert ?? null, ['tracing', 'hep', 'ca_cert'], faults)
  return faults
}

function readPem(file: string | null, path: KeyPath, faults: CertificateFault[]): string | null {
  if (file === null) return null
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const gone = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const what = gone ? `names a file that is not there: ${file}` : `cannot be read: ${textOf(error)}`
    const instead = 'write the path of a PEM file; paths start at the folder of this file'
    faults.push({ path, what, instead })
    return null
  }
}

function readAuthorities(file: string | null, path: KeyPath, faults: CertificateFault[]): string | null {
  const text = readPem(file, path, faults)
  if (text === null || certificatesIn(text) !== null) return text
  faults.push({ path, what: 'holds no certificate', instead: 'write the path of a PEM file' })
  return null
}

type Checked =
  | { readonly ok: true; readonly notAfter: number }
  | { readonly ok: false; readonly key: 0 | 1; readonly what: string; readonly instead: string }

function checkPair({ certificate, privateKey }: KeyPair): Checked {
  const [own] = certificatesIn(certificate) ?? []
  if (own === undefined) {
    return { ok: false, key: 0, what: 'holds no certificate', instead: 'write the path of a PEM file' }
  }
  let fits: boolean
  try {
    fits = own.checkPrivateKey(createPrivateKey(privateKey))
  } catch {
    const instead = 'write the path of a PEM file whose key has no passphrase'
    return { ok: false, key: 1, what: 'holds no private key that can be read', instead }
  }
  if (!fits) {
    const instead = 'our certificate comes first in its file, the authorities behind it'
    return { ok: false, key: 1, what: 'is not the key of the certificate', instead }
  }
  return { ok: true, notAfter: Date.parse(own.validTo) / 1000 }
}

/** Null when there is none, or one that cannot be read. */
function certificatesIn(pem: string): readonly X509Certificate[] | null {
  const texts = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)
  if (texts === null) return null
  try {
    return texts.map((text) => new X509Certificate(text))
  } catch {
    return null
  }
}

/** How long before its end a certificate is complained of at each load, seconds. */
const EXPIRES_SOON_SECS = 14 * 86_400

export interface CertificateKeeperOptions {
  readonly config: TlsConfig
  readonly first: Extract<ReadTls, { ok: true }>
  /** Hands new material to those who make handshakes; rejects with why they cannot use it. */
  readonly use: (material: TlsMaterial) => Promise<unknown>
  readonly say: (level: LogLine['level'], text: string) => void
}

/** Watches the files of the `tls` block. What does not serve leaves the old certificates in use, and is logged with why. */
export class CertificateKeeper {
  readonly #o: CertificateKeeperOptions
  readonly #watch: FileWatch
  #shown: readonly ShownCertificate[]
  #reloading: Promise<void> = Promise.resolve()

  constructor(options: CertificateKeeperOptions) {
    this.#o = options
    this.#shown = options.first.shown
    this.#watch = new FileWatch(() => void this.reload())
    this.#tell('in use')
  }

  get shown(): readonly ShownCertificate[] {
    return this.#shown
  }

  async start(): Promise<void> {
    await this.#watch.follow(filesOf(this.#o.config))
  }

  /** Reads everything again. One after the other, when asked for twice. */
  reload(): Promise<void> {
    this.#reloading = this.#reloading.then(() => this.#reload())
    return this.#reloading
  }

  close(): void {
    this.#watch.close()
  }

  async #reload(): Promise<void> {
    await this.#watch.begin([])
    const read = readTls(this.#o.config)
    const faults = read.ok ? [] : read.faults.map(({ path, what }) => `${path.join('.')} ${what}`)
    if (read.ok) {
      try {
        await this.#o.use(read.material)
        this.#shown = read.shown
        this.#tell('loaded')
      } catch (error) {
        faults.push(textOf(error))
      }
    }
    for (const fault of faults) this.#o.say('error', `the old certificates stay in use: ${fault}`)
    // Links may lead elsewhere now.
    await this.#watch.follow(filesOf(this.#o.config))
  }

  #tell(what: string): void {
    for (const { serverName, notAfter } of this.#shown) {
      const left = notAfter - Date.now() / 1000
      const until = new Date(notAfter * 1000).toISOString()
      const level = left < EXPIRES_SOON_SECS ? 'warn' : 'info'
      const end = left < 0 ? `expired on ${until}` : `valid until ${until}`
      this.#o.say(level, `certificate ${what} for ${serverName}: ${end}`)
    }
  }
}

function filesOf(config: TlsConfig): string[] {
  const { certificate, private_key, client_ca, client_certificate, client_private_key, ca } = config
  const named = config.certificates.flatMap((c) => [c.certificate, c.private_key])
  return [certificate, private_key, client_ca, client_certificate, client_private_key, ca, ...named].filter(
    (file) => file !== null,
  )
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
