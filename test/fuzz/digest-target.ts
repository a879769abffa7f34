import assert from 'node:assert/strict'
import { digestUriFits } from '../../src/sip/auth/digest-uri.ts'
import { readClaim } from '../../src/sip/auth/digest-server.ts'
import { formatDigest, parseDigestFields } from '../../src/sip/auth/fields.ts'
import { NonceMint } from '../../src/sip/auth/nonce.ts'

const mint = new NonceMint((text) => text.length.toString(16).padStart(32, '0'), 30_000)
const options = {
  realm: 'example.com',
  algorithms: ['SHA-256', 'MD5'] as const,
  mint,
  now: 1_000_000,
  requestUri: 'sip:example.com',
}

/** Credentials: read without a throw, and what is written of them is read as the same. */
export function digest(input: Buffer): void {
  const text = input.toString('latin1')
  const claimed = readClaim([text], options)
  if (claimed.ok) assert.equal(claimed.claim.realm, options.realm)
  digestUriFits(text, options.requestUri)
  const parsed = parseDigestFields(text)
  if (!parsed.ok) return
  for (const fields of parsed.value) {
    const values = Object.fromEntries(
      ['username', 'realm', 'nonce', 'uri', 'response', 'cnonce', 'opaque'].map((name) => [
        name,
        fields.get(name),
      ]),
    )
    const written = formatDigest(values, [])
    const again = parseDigestFields(written)
    assert.ok(again.ok && again.value.length === 1, 'credentials that we wrote are refused')
    for (const [name, value] of Object.entries(values)) assert.equal(again.value[0]?.get(name), value)
  }
}
