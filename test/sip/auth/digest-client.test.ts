import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestHash, keyedHash } from '../../../src/base/digest-hash.ts'
import { DigestClient, type DigestAccount } from '../../../src/sip/auth/digest-client.ts'
import { challenges, countOf, proves, readClaim } from '../../../src/sip/auth/digest-server.ts'
import { hashA1 } from '../../../src/sip/auth/digest.ts'
import { NonceMint } from '../../../src/sip/auth/nonce.ts'
import { parseDigestFields } from '../../../src/sip/auth/fields.ts'
import { HeaderFields } from '../../../src/sip/message/header-fields.ts'
import { Request, Response } from '../../../src/sip/message/message.ts'

const ACCOUNT: DigestAccount = { user: 'trunk"1', secret: { password: 'secret' }, realm: null }
const client = (account: Partial<DigestAccount> = {}, algorithms?: readonly 'MD5'[]): DigestClient => {
  let count = 0
  return new DigestClient({
    account: { ...ACCOUNT, ...account },
    hash: digestHash,
    chance: () => `c${++count}`,
    ...(algorithms === undefined ? {} : { algorithms }),
  })
}
const invite = (): Request => new Request('INVITE', 'sip:bob@carrier.example', new HeaderFields(), 'v=0')
const asks = (status: 401 | 407, ...values: string[]): Response => {
  const headers = new HeaderFields()
  for (const value of values)
    headers.append(status === 401 ? 'WWW-Authenticate' : 'Proxy-Authenticate', value)
  return new Response(status, 'x', headers)
}
const sent = (request: Request | null, name = 'authorization') => {
  assert.ok(request)
  return request.headers.all(name).map((text) => {
    const parsed = parseDigestFields(text)
    assert.ok(parsed.ok)
    const [fields] = parsed.value
    assert.ok(fields)
    return fields
  })
}
const CHALLENGE = 'Digest realm="r", nonce="n1", qop="auth", algorithm=MD5'

describe('a digest client', () => {
  it('proves itself to our own server, by each algorithm and qop', () => {
    const mint = new NonceMint(keyedHash('k'), 1000)
    for (const algorithm of ['MD5', 'SHA-256', 'SHA-512-256', 'MD5-sess', 'SHA-256-sess'] as const) {
      for (const qop of [['auth'], ['auth-int'], ['auth', 'auth-int']] as const) {
        const mine = client()
        const nonce = mint.make('r', 1, '0123456789abcdef')
        const asked = asks(
          401,
          ...challenges({ realm: 'r', nonce, algorithms: [algorithm], qop, stale: false }),
        )
        for (let request = mine.retry(asked, invite(), 0), i = 1; i < 4; i++, request = mine.sign(invite())) {
          assert.ok(request)
          const options = { realm: 'r', algorithms: [algorithm], mint, now: 2, requestUri: request.uri }
          const made = readClaim(request.headers.all('authorization'), options)
          assert.ok(made.ok, made.ok ? '' : made.reason)
          assert.equal(proves(digestHash, made.claim, ACCOUNT.secret, request), true, algorithm)
          assert.equal(countOf(made.claim), i)
          assert.equal(made.claim.qop, qop[0])
        }
      }
    }
  })

  it('takes the topmost algorithm it knows and can serve', () => {
    const both = asks(
      407,
      'Digest realm="r", nonce="1", qop="auth", algorithm=X-9',
      'Digest realm="r", nonce="2", qop="auth", algorithm=sha-256',
      CHALLENGE,
    )
    const [sha] = sent(client().retry(both, invite(), 0), 'proxy-authorization')
    assert.equal(sha?.get('algorithm'), 'sha-256')
    assert.equal(sha?.get('nonce'), '2')
    assert.equal(
      sent(client({}, ['MD5']).retry(both, invite(), 0), 'proxy-authorization')[0]?.get('algorithm'),
      'MD5',
    )
    const ha1 = { MD5: hashA1(digestHash, 'MD5', 'u', 'r', 'p') }
    assert.equal(
      sent(client({ secret: { ha1 } }).retry(both, invite(), 0), 'proxy-authorization')[0]?.get('algorithm'),
      'MD5',
    )
    assert.equal(
      client().retry(asks(401, 'Digest realm="r", nonce="1", algorithm=AKAv1-MD5'), invite(), 0),
      null,
    )
    assert.equal(client().retry(asks(401, 'Digest realm="r", nonce="1", qop="other"'), invite(), 0), null)
  })

  it('echoes opaque, and speaks RFC 2069 to who knows no better', () => {
    const [fields] = sent(
      client().retry(asks(401, 'Digest realm="r", nonce="n", opaque="o\\"x"'), invite(), 0),
    )
    assert.equal(fields?.get('opaque'), 'o"x')
    assert.equal(fields?.get('username'), 'trunk"1')
    assert.equal(fields?.get('algorithm'), undefined)
    assert.equal(fields?.get('nc'), undefined)
    assert.equal(fields?.get('cnonce'), undefined)
  })

  it('gives up on a wrong password, and forgets the nonce', () => {
    const mine = client()
    const second = mine.retry(asks(401, CHALLENGE), invite(), 0)
    assert.ok(second)
    assert.equal(mine.retry(asks(401, CHALLENGE.replace('n1', 'n2')), second, 1), null)
    assert.deepEqual(mine.sign(invite()).headers.all('authorization'), [])
  })

  it('goes on with a new nonce when the old one is stale, and never for ever', () => {
    const mine = client()
    let request: Request | null = invite()
    let tries = 0
    for (; request !== null && tries < 20; tries++) {
      request = mine.retry(asks(401, CHALLENGE.replace('n1', `n${tries}`) + ', stale=TRUE'), request, tries)
    }
    assert.equal(tries, 3)
  })

  it('a remembered nonce that was refused without a word is tried anew once', () => {
    const mine = client()
    mine.retry(asks(401, CHALLENGE), invite(), 0)
    const later = mine.sign(invite())
    assert.equal(sent(later)[0]?.get('nc'), '00000002')
    const again = mine.retry(asks(401, CHALLENGE.replace('n1', 'n2')), later, 0)
    assert.equal(sent(again)[0]?.get('nonce'), 'n2')
    assert.equal(sent(again).length, 1, 'in place of the old ones')
    assert.ok(again)
    assert.equal(mine.retry(asks(401, CHALLENGE.replace('n1', 'n3')), again, 1), null)
    const same = client()
    same.retry(asks(401, CHALLENGE), invite(), 0)
    assert.equal(same.retry(asks(401, CHALLENGE), same.sign(invite()), 0), null, 'the same nonce, refused')
  })

  it('answers several realms, and proxies beside servers, but only its own', () => {
    const mine = client()
    const two = mine.retry(asks(407, CHALLENGE, CHALLENGE.replace('"r"', '"s"')), invite(), 0)
    assert.deepEqual(
      sent(two, 'proxy-authorization').map((f) => f.get('realm')),
      ['r', 's'],
    )
    assert.ok(two)
    const three = mine.retry(asks(401, CHALLENGE), two, 1)
    assert.equal(sent(three, 'proxy-authorization').length, 2)
    assert.equal(sent(three).length, 1)
    // The proxies that let the request through take no count of their nonces twice.
    assert.deepEqual(
      sent(three, 'proxy-authorization').map((f) => f.get('nc')),
      ['00000002', '00000002'],
    )
    assert.equal(client({ realm: 'trunk' }).retry(asks(407, CHALLENGE), invite(), 0), null)
    assert.equal(client().retry(asks(401), invite(), 0), null)
    assert.equal(client().retry(asks(401, 'Digest "', 'Basic realm="r"'), invite(), 0), null)
    assert.equal(client().retry(new Response(403, 'x', new HeaderFields()), invite(), 0), null)
  })

  it('remembers no more realms than there can sensibly be', () => {
    const mine = client()
    for (let i = 0; i < 100; i++) mine.retry(asks(401, CHALLENGE.replace('"r"', `"r${i}"`)), invite(), 0)
    assert.equal(mine.sign(invite()).headers.count('authorization'), 16)
  })

  it('leaves the request it was given alone', () => {
    const request = invite()
    client().retry(asks(401, CHALLENGE), request, 0)
    assert.deepEqual(request.headers.fields, [])
  })
})
