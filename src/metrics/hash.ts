/** Two words drawn at start, so that no peer can choose label values that collide. */
export type Seed = readonly [number, number]

/** A 64-bit hash of the text's UTF-16 units, never 0 (0 marks a free place in the tables). */
export function hash64(text: string, seed: Seed): bigint {
  let a = seed[0] | 0
  let b = seed[1] | 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, 0x9e3779b1)
    b = Math.imul(b ^ unit, 0x5f356495)
    a ^= a >>> 15
    b ^= b >>> 13
  }
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35)
  b = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2ae35)
  const hash = (BigInt(b) << 32n) | BigInt(a >>> 0)
  return hash === 0n ? 1n : hash
}
