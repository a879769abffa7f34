import { createCipheriv, createDecipheriv, createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { type Gruu, publicGruu, temporaryGruu } from '../sip/registrar/gruu.ts'
import type { StoredBinding } from './location-store.ts'

/** Devices that are gone and still known: their GRUUs are answered with 480 rather than 404 (RFC 5627 §5.4). */
const GONE_REMEMBERED = 10_000
const MAC_BYTES = 8

/** One device of one user, as long as it is registered with GRUUs. */
interface Device {
  readonly number: number
  readonly aor: string
  readonly instance: string
  /** Temporary GRUUs live as long as the registration has this Call-ID (RFC 5627 §3.1.2). */
  readonly callId: string
  /** Counts the temporary GRUUs of this Call-ID. */
  made: number
}

/** Whose contacts a GRUU leads to. */
export type GruuOwner =
  | { readonly known: true; readonly aor: string; readonly instance: string }
  /** 480: it was a device's, and that has gone. 404: it never was. */
  | { readonly known: false; readonly status: 404 | 480 }

/**
 * Makes the GRUUs of registered devices and finds the device of a GRUU (RFC 5627).
 *
 * A temporary GRUU is one encrypted block with a signature: number of the device, hash of its Call-ID, a counter. Two of
 * them show nothing of the user nor of each other; each stays good until the device goes or comes with a new Call-ID.
 */
export class Gruus {
  readonly #key: Uint8Array
  readonly #cipherKey: Buffer
  readonly #byNumber = new Map<number, Device>()
  readonly #byName = new Map<string, Device>()
  /** In the order in which they went. */
  readonly #gone = new Set<string>()
  #last = 0

  /** @param key 16 bytes or more, secret */
  constructor(key: Uint8Array) {
    this.#key = key
    this.#cipherKey = createHmac('sha256', key).update('gruu cipher').digest().subarray(0, 16)
  }

  /** Registered devices that have been given GRUUs. */
  get size(): number {
    return this.#byNumber.size
  }

  /** The parameters for a contact of an answer: `;pub-gruu="…";temp-gruu="…"`; '' for one without an instance. */
  params(binding: StoredBinding): string {
    const { instance, source, callId } = binding
    if (instance === null) return ''
    const device = this.#device(source.aor, instance, callId)
    const host = source.aor.slice(source.aor.indexOf('@') + 1).replace(/^\[|\]$/g, '')
    const temporary = temporaryGruu(this.#token(device), host)
    return `;pub-gruu="${publicGruu(source.aor, instance)}";temp-gruu="${temporary}"`
  }

  owner(gruu: Gruu, isRegistered: (aor: string, instance: string) => boolean): GruuOwner {
    const device = gruu.what === 'public' ? gruu : this.#read(gruu.token)
    if (device === null) return { known: false, status: 404 }
    const { aor, instance } = device
    if (isRegistered(aor, instance)) return { known: true, aor, instance }
    return { known: false, status: this.#gone.has(nameOf(aor, instance)) ? 480 : 404 }
  }

  /** The last binding of a device has ended. */
  ended(aor: string, instance: string): void {
    const name = nameOf(aor, instance)
    const device = this.#byName.get(name)
    if (device !== undefined) this.#byNumber.delete(device.number)
    this.#byName.delete(name)
    this.#gone.delete(name)
    this.#gone.add(name)
    if (this.#gone.size <= GONE_REMEMBERED) return
    const [oldest] = this.#gone
    if (oldest !== undefined) this.#gone.delete(oldest)
  }

  #device(aor: string, instance: string, callId: string): Device {
    const name = nameOf(aor, instance)
    const known = this.#byName.get(name)
    if (known?.callId === callId) return known
    if (known !== undefined) this.#byNumber.delete(known.number)
    const device = { number: ++this.#last, aor, instance, callId, made: 0 }
    this.#byName.set(name, device)
    this.#byNumber.set(device.number, device)
    this.#gone.delete(name)
    return device
  }

  #token(device: Device): string {
    const block = Buffer.alloc(16)
    block.writeUIntBE(device.number, 0, 6)
    callIdHash(device.callId).copy(block, 6)
    block.writeUInt32BE(++device.made >>> 0, 12)
    const cipher = createCipheriv('aes-128-ecb', this.#cipherKey, null).setAutoPadding(false)
    const sealed = Buffer.concat([cipher.update(block), cipher.final()])
    return Buffer.concat([sealed, this.#mac(sealed)]).toString('base64url')
  }

  #read(token: string): Device | null {
    const bytes = Buffer.from(token, 'base64url')
    if (bytes.length !== 16 + MAC_BYTES) return null
    const sealed = bytes.subarray(0, 16)
    if (!timingSafeEqual(this.#mac(sealed), bytes.subarray(16))) return null
    const decipher = createDecipheriv('aes-128-ecb', this.#cipherKey, null).setAutoPadding(false)
    const block = Buffer.concat([decipher.update(sealed), decipher.final()])
    const device = this.#byNumber.get(block.readUIntBE(0, 6))
    return device !== undefined && callIdHash(device.callId).equals(block.subarray(6, 12)) ? device : null
  }

  #mac(sealed: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update('gruu ').update(sealed).digest().subarray(0, MAC_BYTES)
  }
}

function nameOf(aor: string, instance: string): string {
  return `${aor} ${instance}`
}

function callIdHash(callId: string): Buffer {
  return createHash('sha256').update(callId).digest().subarray(0, 6)
}
