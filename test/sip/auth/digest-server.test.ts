import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestHash, keyedHash } from '../../../src/base/digest-hash.ts'
import type { DigestAlgorithm, HashName } from '../../../src/sip/auth/algorithm.ts'
import { digestUriFits } from '../../../src/sip/auth/digest-uri.ts'
import { challenges, countOf, proves, readClaim } from '../../../src/sip/auth/digest-server.ts'
import { digestResponse, hashA1, type Qop, type Secret } from '../../../src/sip/auth/digest.ts'
import { quoted } from '../../../src/sip/auth/fields.ts'
import { namesUser } from '../../../src/sip/auth/identity.ts'
import { NonceMint } from '../../../src/sip/auth/nonce.ts'

const mint = new NonceMint(keyedHash('key'), 1000)
const realm = 'example.com'
const uri = 'sip:example.com'
const ALL: readonly DigestAlgorithm[] = ['SHA-512-256', 'SHA-256', 'MD5', 'MD5-sess']

interface Sent {
  user?: string
  /** What is hashed for the user, when not the name. */
  hashed?: string
  password?: string
  algorithm?: DigestAlgorithm
  qop?: Qop | null
  nonce?: string
  uri?: string
  body?: string
  nc?: string
}

function credentials(sent: Sent = {}): string {
  const { user = 'alice', password = 'secret', algorithm = 'MD5', qop = 'auth', nc = '00000001' } = sent
  const nonce = sent.nonce ?? mint.make(realm, 100, '0123456789abcdef')
  const name = algorithm.replace('-sess', '') as HashName
  const input = {
    algorithm,
    nonce,
    qop,
    nc,
    cnonce: 'c',
    method: 'REGISTER',
    uri: sent.uri ?? uri,
    body: sent.body ?? '',
  }
  const ha1 = hashA1(digestHash, name, sent.hashed ?? user, realm, password)
  const response = digestResponse(digestHash, { ...input, ha1 })
  const counted = qop === null ? '' : `, qop=${qop}, nc=${nc}, cnonce="c"`
  const given = `username=${quoted(user)}, realm="${realm}", nonce="${nonce}", uri="${input.uri}", response="${response}"`
  return `Digest ${given}, algorithm=${algorithm}${counted}`
}

const claim = (...fields: string[]) =>
  readClaim(fields, { realm, algorithms: ALL, mint, now: 100, requestUri: uri })
const why = (...fields: string[]) => {
  const made = claim(...fields)
  return made.ok ? 'ok' : made.reason
}
const right = (field: string, secret: Secret | null = { password: 'secret' }, body = '') => {
  const made = claim(field)
  assert.ok(made.ok, made.ok ? '' : made.reason)
  return proves(digestHash, made.claim, secret, { method: 'REGISTER', body })
}

describe('challenges', () => {
  it('one for each algorithm, in order, with one nonce', () => {
    const made = challenges({
      realm: 'a"b',
      nonce: 'n',
      algorithms: ['SHA-256', 'MD5'],
      qop: ['auth', 'auth-int'],
      stale: true,
    })
    assert.deepEqual(made, [
      'Digest realm="a\\"b", nonce="n", algorithm=SHA-256, qop="auth,auth-int", stale=true',
      'Digest realm="a\\"b", nonce="n", algorithm=MD5, qop="auth,auth-int", stale=true',
    ])
    assert.doesNotMatch(
      challenges({ realm, nonce: 'n', algorithms: ['MD5'], qop: ['auth'], stale: false })[0] ?? '',
      /stale/,
    )
  })
})

describe('what a request claims', () => {
  it('is found among other fields', () => {
    assert.equal(why(), 'none')
    assert.equal(why('NoOne x="y"', 'Basic QQ=='), 'none')
    assert.equal(why('Digest realm="other"', credentials()), 'ok')
    const made = claim(credentials({ nc: '0000000A' }))
    assert.ok(made.ok)
    assert.equal(countOf(made.claim), 10)
    const old = claim(credentials({ qop: null }))
    assert.ok(old.ok)
    assert.equal(countOf(old.claim), 1)
  })

  it('twice, broken or incomplete: 400 whoever it is', () => {
    const good = credentials()
    assert.equal(why(good, good), 'malformed')
    assert.equal(why(good, credentials({ user: 'bob' })), 'malformed')
    assert.equal(why('Digest "'), 'malformed')
    for (const key of ['username', 'nonce', 'uri', 'response']) {
      assert.equal(why(good.replace(new RegExp(`${key}="[^"]*", `), '')), 'malformed', key)
    }
    assert.equal(why(good.replace('nc=00000001', 'nc=1')), 'malformed')
    assert.equal(why(good.replace(', cnonce="c"', '')), 'malformed')
    assert.equal(why(good.replace('qop=auth', 'qop=other')), 'malformed')
    assert.equal(why(credentials({ uri: 'sip:elsewhere.example' })), 'malformed')
  })

  it('with an algorithm that was not offered proves nothing', () => {
    assert.equal(why(credentials().replace('algorithm=MD5', 'algorithm=none')), 'wrong')
    const options = { realm, algorithms: ['SHA-256'], mint, now: 100, requestUri: uri } as const
    assert.deepEqual(readClaim([credentials()], options), { ok: false, reason: 'wrong' })
    const silent = credentials().replace(', algorithm=MD5', '')
    assert.deepEqual(readClaim([silent], options), { ok: false, reason: 'wrong' })
    assert.equal(why(silent), 'ok')
  })

  it('for a nonce that is not ours, or was', () => {
    assert.equal(why(credentials({ nonce: '0'.repeat(60) })), 'forged_nonce')
    assert.equal(why(credentials({ nonce: '' })), 'forged_nonce')
    assert.equal(why(credentials({ nonce: mint.make('other', 100, '0123456789abcdef') })), 'forged_nonce')
    const late = readClaim([credentials()], { realm, algorithms: ALL, mint, now: 1100, requestUri: uri })
    assert.deepEqual(late, { ok: false, reason: 'stale' })
  })

  it('a response of the wrong form is wrong', () => {
    assert.equal(why(credentials().replace(/response="[^"]*"/, 'response=""')), 'wrong')
    assert.equal(why(credentials().replace(/response="[^"]*"/, `response="${'z'.repeat(32)}"`)), 'wrong')
    assert.equal(
      why(credentials({ algorithm: 'SHA-256' }).replace(/response="[^"]{32}/, 'response="')),
      'wrong',
    )
  })
})

describe('a proof', () => {
  it('by every algorithm, from the password or its hash', () => {
    for (const algorithm of ALL) {
      const field = credentials({ algorithm })
      const name = algorithm.replace('-sess', '') as HashName
      assert.equal(right(field), true, algorithm)
      assert.equal(
        right(field, { ha1: { [name]: hashA1(digestHash, name, 'alice', realm, 'secret') } }),
        true,
      )
      assert.equal(right(field, { password: 'Secret' }), false)
      assert.equal(right(field, { ha1: {} }), false, 'no hash for this algorithm')
      assert.equal(right(field, { ha1: { [name]: '' } }), false)
      assert.equal(right(field, null), false)
    }
    assert.equal(right(credentials({ qop: null })), true)
    assert.equal(
      right(credentials().replace(/response="([^"]*)"/, (_, r: string) => `response="${r.toUpperCase()}"`)),
      true,
    )
  })

  it('of nobody is none, even with the password that stands for them', () => {
    assert.equal(right(credentials({ user: 'nobody', password: '' }), null), false)
  })

  it('auth-int covers the body', () => {
    const field = credentials({ qop: 'auth-int', body: 'v=0' })
    assert.equal(right(field, { password: 'secret' }, 'v=0'), true)
    assert.equal(right(field, { password: 'secret' }, 'v=1'), false)
  })

  it('of names with quotes and backslashes, hashed either way', () => {
    const user = 'DOM\\al"ice'
    assert.equal(right(credentials({ user })), true)
    assert.equal(right(credentials({ user, hashed: 'DOM\\\\al\\"ice' })), true)
    assert.equal(right(credentials({ user, hashed: 'alice' })), false)
    assert.equal(right(credentials({ user: 'a:b@c', hashed: 'a:b@c' })), true)
  })

  it('with one character of any part changed is none', () => {
    const field = credentials()
    for (const [from, to] of [
      ['alice', 'alicf'],
      ['cnonce="c"', 'cnonce="d"'],
      ['nc=00000001', 'nc=00000002'],
      ['qop=auth', 'qop=auth-int'],
    ] as const) {
      assert.equal(right(field.replace(from, to)), false, from)
    }
  })

  it('costs the same hashes for known and unknown users', () => {
    const counted = (secret: Secret | null, field: string): string[] => {
      const made = claim(field)
      assert.ok(made.ok)
      const asked: string[] = []
      const hash = (name: HashName, text: string): string => {
        asked.push(name)
        return digestHash(name, text)
      }
      proves(hash, made.claim, secret, { method: 'REGISTER', body: '' })
      return asked
    }
    for (const field of [
      credentials(),
      credentials({ algorithm: 'MD5-sess' }),
      credentials({ user: 'a\\b' }),
    ]) {
      const known = counted({ password: 'secret' }, field)
      assert.deepEqual(counted(null, field), known)
      assert.deepEqual(counted({ ha1: { MD5: '0'.repeat(32) } }, field), known)
    }
  })
})

describe('the digest-uri', () => {
  it('fits the Request-URI, as tolerantly as phones need', () => {
    for (const [signed, asked] of [
      ['sip:example.com', 'sip:example.com'],
      ['sip:Example.COM', 'sip:example.com;transport=udp'],
      ['sip:example.com:5060', 'sip:example.com'],
      ['sips:bob@example.com', 'sip:bob@example.com'],
      ['sip:%62ob@example.com', 'sip:bob@example.com;user=phone'],
      ['sip:127.0.0.1:5060', 'sip:service@127.0.0.1:5060'],
      ['tel:+1', 'tel:+1'],
      ['sip:192.0.2.1:5060', 'sip:bob@example.com'],
      ['sip:[2001:db8::1]', 'sip:bob@example.com'],
    ] as const) {
      assert.equal(digestUriFits(signed, asked), true, `${signed} ${asked}`)
    }
    for (const [signed, asked] of [
      ['sip:example.org', 'sip:example.com'],
      ['sip:bob@example.com', 'sip:carol@example.com'],
      ['sip:bob@example.com', 'sip:example.com'],
      ['sip:Bob@example.com', 'sip:bob@example.com'],
      ['sip:example.com:5070', 'sip:example.com:5060'],
      ['sip:bob@192.0.2.1', 'sip:bob@example.com'],
      ['tel:+1', 'tel:+2'],
      ['x', 'sip:example.com'],
      ['', 'sip:example.com'],
      ['sip:carol@ours.example', 'sip:bob@example.com'],
    ] as const) {
      assert.equal(digestUriFits(signed, asked), false, `${signed} ${asked}`)
    }
  })

  it('may name the server, as one of our domains', () => {
    const ours = (host: string): boolean => host === 'ours.example'
    assert.equal(digestUriFits('sip:ours.example', 'sip:bob@example.com', ours), true)
    assert.equal(digestUriFits('sip:bob@ours.example', 'sip:bob@example.com', ours), false)
    assert.equal(digestUriFits('sip:theirs.example', 'sip:bob@example.com', ours), false)
  })
})

describe('an identity', () => {
  const ours = (host: string): boolean => host === 'example.com'
  it('is the user of a domain of ours, or the whole address', () => {
    assert.equal(namesUser('sip:alice@example.com', 'alice', ours), true)
    assert.equal(namesUser('sips:%61lice@EXAMPLE.com:5061', 'alice', ours), true)
    assert.equal(namesUser('sip:alice@other.example', 'alice@Other.example', ours), true)
    for (const [uri, user] of [
      ['sip:alice@evil.example', 'alice'],
      ['sip:Alice@example.com', 'alice'],
      ['sip:bob@example.com', 'alice'],
      ['sip:example.com', ''],
      ['sip:alice@example.com', 'alice@other.example'],
      ['tel:+1', '+1'],
    ] as const) {
      assert.equal(namesUser(uri, user, ours), false, `${uri} ${user}`)
    }
  })
})
