import { createHmac, hash as hashOnce, randomBytes } from 'node:crypto'

const NAMES = { MD5: 'md5', 'SHA-256': 'sha256', 'SHA-512-256': 'sha512-256' } as const

/** The hash of binary text (a character a byte) by its name in RFC 7616, in lower-case hexadecimal. */
export function digestHash(name: keyof typeof NAMES, text: string): string {
  return hashOnce(NAMES[name], Buffer.from(text, 'latin1'), 'hex')
}

/** A keyed hash (HMAC-SHA-256) of binary text, in lower-case hexadecimal. */
export function keyedHash(key: string): (text: string) => string {
  return (text) => createHmac('sha256', key).update(text, 'latin1').digest('hex')
}

/** So many hexadecimal digits that nobody can foretell; an even number. */
export function randomHex(digits: number): string {
  return randomBytes(digits / 2).toString('hex')
}
