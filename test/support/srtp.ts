import { createCipheriv, createHmac } from 'node:crypto'

/** AES_CM_128_HMAC_SHA1_80 of RFC 3711 for one stream that does not wrap: enough to talk with a real engine. */
export class Srtp {
  readonly #key: Buffer
  readonly #salt: Buffer
  readonly #auth: Buffer

  /** @param inline master key and salt, 30 bytes in base64, as `a=crypto` has them */
  constructor(inline: string) {
    const master = Buffer.from(inline, 'base64')
    const derive = (label: number, length: number): Buffer => {
      const iv = Buffer.concat([master.subarray(16, 30), Buffer.alloc(2)])
      iv[7] = (iv[7] ?? 0) ^ label
      return createCipheriv('aes-128-ctr', master.subarray(0, 16), iv).update(Buffer.alloc(length))
    }
    this.#key = derive(0, 16)
    this.#auth = derive(1, 20)
    this.#salt = derive(2, 14)
  }

  protect(rtp: Buffer): Buffer {
    const sealed = this.#crypt(rtp)
    return Buffer.concat([sealed, this.#tag(sealed)])
  }

  /** Null when it is not of this key. */
  unprotect(srtp: Buffer): Buffer | null {
    const sealed = srtp.subarray(0, -10)
    return this.#tag(sealed).equals(srtp.subarray(-10)) ? this.#crypt(sealed) : null
  }

  #crypt(packet: Buffer): Buffer {
    const iv = Buffer.concat([this.#salt, Buffer.alloc(2)])
    for (let i = 0; i < 4; i++) iv[4 + i] = (iv[4 + i] ?? 0) ^ (packet[8 + i] ?? 0)
    for (let i = 0; i < 2; i++) iv[12 + i] = (iv[12 + i] ?? 0) ^ (packet[2 + i] ?? 0)
    const payload = createCipheriv('aes-128-ctr', this.#key, iv).update(packet.subarray(12))
    return Buffer.concat([packet.subarray(0, 12), payload])
  }

  #tag(sealed: Buffer): Buffer {
    return createHmac('sha1', this.#auth).update(sealed).update(Buffer.alloc(4)).digest().subarray(0, 10)
  }
}
