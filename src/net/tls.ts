import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureVersion,
  type Server,
  type TLSSocket,
} from 'node:tls'
import { isIP } from 'node:net'
import type { Address } from '../base/address.ts'
import type { ConnectionListener, Opened } from './connection.ts'
import { type Proof, settleOnce, StreamConnection } from './tcp.ts'

/** A certificate chain and its key, PEM. */
export interface KeyPair {
  readonly certificate: string
  readonly privateKey: string
}

/** Everything TLS needs, read from the files: plain data, so that the control thread can hand over a new one. */
export interface TlsMaterial {
  /** Shown to who asks for no name, or for one that is not below. Null: we are only a client. */
  readonly standard: KeyPair | null
  /** By server name (SNI), lower case; `*.example.com` covers one label. */
  readonly named: readonly (KeyPair & { readonly names: readonly string[] })[]
  readonly minVersion: SecureVersion
  /** Connections without a certificate that `clientCa` has signed are refused. */
  readonly verifyClient: boolean
  /** PEM of the authorities whose clients are known; null: clients are not asked. */
  readonly clientCa: string | null
  /** What we show as a client. */
  readonly client: KeyPair | null
  /** PEM of the authorities for servers; null: the public ones. */
  readonly ca: string | null
  readonly verifyServer: boolean
}

/** TLS 1.2 for clients, and the public authorities: what there is without a configuration. */
export const clientOnly: TlsMaterial = {
  standard: null,
  named: [],
  minVersion: 'TLSv1.2',
  verifyClient: false,
  clientCa: null,
  client: null,
  ca: null,
  verifyServer: true,
}

/** A peer could make us compute for it over and over (CVE-2011-1473). */
const OPTIONS = constants.SSL_OP_NO_RENEGOTIATION

interface Handshake {
  readonly done: (result: TLSSocket | string) => void
  why: string | null
}

/** TLS in both directions, with material that can be exchanged while connections are open: those stay as they are. */
export class TlsContexts {
  #material: TlsMaterial
  #server: Server | null = null
  #exact = new Map<string, SecureContext>()
  /** By the part behind the asterisk. */
  #wildcards = new Map<string, SecureContext>()
  /** By the peer's address and port: `tls.Server` tells no other way which socket a TLS socket is on. */
  readonly #handshakes = new Map<string, Handshake>()

  /** @throws when the material does not fit together */
  constructor(material: TlsMaterial = clientOnly) {
    this.#material = material
    this.use(material)
  }

  /** From now on handshakes are made with this. @throws when it does not fit together; then the old one stays */
  use(material: TlsMaterial): void {
    const exact = new Map<string, SecureContext>()
    const wildcards = new Map<string, SecureContext>()
    for (const entry of material.named) {
      const context = createSecureContext(contextOptions(material, entry))
      for (const name of entry.names) {
        if (name.startsWith('*.')) wildcards.set(name.slice(1), context)
        else exact.set(name, context)
      }
    }
    if (material.standard !== null) {
      const options = contextOptions(material, material.standard)
      createSecureContext(options)
      if (this.#server === null) this.#server = this.#createServer(material, options)
      else this.#server.setSecureContext(options)
    }
    this.#material = material
    this.#exact = exact
    this.#wildcards = wildcards
  }

  /** Takes an accepted socket through the handshake. Calls back once, with the TLS socket or with why there is none. */
  accept(socket: Socket, then: (result: TLSSocket | string) => void): void {
    const server = this.#server
    if (server === null) return then('there is no certificate')
    const key = peerKey(socket)
    const handshake: Handshake = { done: then, why: null }
    this.#handshakes.set(key, handshake)
    socket.once('close', () => {
      if (this.#handshakes.get(key) !== handshake) return
      this.#handshakes.delete(key)
      then(handshake.why ?? 'closed in the handshake')
    })
    server.emit('connection', socket)
    return undefined
  }

  /** Connects within 5 s. @param name what the certificate must be for; null: the address */
  connect(
    to: Address,
    name: string | null,
    listener: ConnectionListener,
    then: (opened: Opened) => void,
  ): void {
    const { client, ca, verifyServer, minVersion } = this.#material
    let socket: TLSSocket
    try {
      socket = connect({
        host: to.host,
        port: to.port,
        minVersion,
        rejectUnauthorized: verifyServer,
        // An address is no server name (RFC 6066 §3).
        ...(name !== null && isIP(name) === 0 ? { servername: name } : {}),
        checkServerIdentity: (_host, certificate) => checkServerIdentity(name ?? to.host, certificate),
        ...(ca === null ? {} : { ca }),
        ...(client === null ? {} : { cert: client.certificate, key: client.privateKey }),
      })
    } catch (error) {
      then({ failed: textOf(error) })
      return
    }
    // Unverified, it is good for what it was opened for and nothing else.
    const asked = name ?? to.host
    const proves = remember((other) => other === asked || (verifyServer && isFor(socket, other)))
    const proof: Proof = { authenticated: verifyServer, proves }
    settleOnce(socket, 'secureConnect', then, () => new StreamConnection(socket, listener, to, proof))
  }

  #createServer(material: TlsMaterial, options: ReturnType<typeof contextOptions>): Server {
    const server = createServer({
      ...options,
      requestCert: material.clientCa !== null,
      rejectUnauthorized: material.verifyClient,
      SNICallback: (name, done) => done(null, this.#contextFor(name.toLowerCase())),
    })
    server.on('secureConnection', (socket) => {
      const key = peerKey(socket)
      const handshake = this.#handshakes.get(key)
      this.#handshakes.delete(key)
      if (handshake === undefined) socket.destroy()
      else handshake.done(socket)
    })
    server.on('tlsClientError', (error, socket) => {
      const handshake = this.#handshakes.get(peerKey(socket))
      if (handshake !== undefined) handshake.why ??= error.message
      socket.destroy()
    })
    return server
  }

  #contextFor(name: string): SecureContext | undefined {
    const dot = name.indexOf('.')
    return this.#exact.get(name) ?? (dot > 0 ? this.#wildcards.get(name.slice(dot)) : undefined)
  }
}

/** What a client has proven to us. */
export function proofOf(socket: TLSSocket): Proof {
  const { authorized } = socket
  return { authenticated: authorized, proves: remember((name) => authorized && isFor(socket, name)) }
}

function isFor(socket: TLSSocket, name: string): boolean {
  const certificate = socket.getPeerCertificate()
  if (Object.keys(certificate).length === 0) return false
  return checkServerIdentity(name, certificate) === undefined
}

/** A certificate is read once for each name, not once a request. */
function remember(ask: (name: string) => boolean): (name: string) => boolean {
  const known = new Map<string, boolean>()
  return (name) => {
    let answer = known.get(name)
    if (answer === undefined) {
      if (known.size >= 32) known.clear()
      known.set(name, (answer = ask(name)))
    }
    return answer
  }
}

function contextOptions(material: TlsMaterial, pair: KeyPair) {
  return {
    cert: pair.certificate,
    key: pair.privateKey,
    minVersion: material.minVersion,
    secureOptions: OPTIONS,
    honorCipherOrder: true,
    ...(material.clientCa === null ? {} : { ca: material.clientCa }),
  }
}

function peerKey(socket: Socket): string {
  return `${socket.localPort}|${socket.remoteAddress}|${socket.remotePort}`
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
