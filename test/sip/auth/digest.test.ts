import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestHash as hash } from '../../../src/base/digest-hash.ts'
import { digestResponse, hashA1, sameSecret } from '../../../src/sip/auth/digest.ts'

describe('the response of a digest', () => {
  // RFC 2617 §3.5
  it('MD5, qop auth', () => {
    const ha1 = hashA1(hash, 'MD5', 'Mufasa', 'testrealm@host.com', 'Circle Of Life')
    assert.equal(ha1, '939e7578ed9e3c518a452acee763bce9')
    const input = {
      algorithm: 'MD5',
      ha1,
      nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093',
      qop: 'auth',
      nc: '00000001',
      cnonce: '0a4f113b',
      method: 'GET',
      uri: '/dir/index.html',
      body: '',
    } as const
    assert.equal(digestResponse(hash, input), '6629fae49393a05397450978507c4ef1')
    // RFC 2069's form of the same.
    assert.equal(digestResponse(hash, { ...input, qop: null }), '670fd8c2df070c60b045671b8b24ff02')
  })

  // RFC 7616 §3.9.1
  it('MD5 and SHA-256 of RFC 7616', () => {
    const input = {
      nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
      qop: 'auth',
      nc: '00000001',
      cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
      method: 'GET',
      uri: '/dir/index.html',
      body: '',
    } as const
    const of = (name: 'MD5' | 'SHA-256') =>
      digestResponse(hash, {
        ...input,
        algorithm: name,
        ha1: hashA1(hash, name, 'Mufasa', 'http-auth@example.org', 'Circle of Life'),
      })
    assert.equal(of('MD5'), '8ca523f5e9506fed4657c9700eebdbec')
    assert.equal(of('SHA-256'), '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1')
  })

  // Computed with python3 hashlib by hand from RFC 7616 §3.4.2 and §3.4.3.
  it('sessions and bodies', () => {
    const input = { nonce: 'n', nc: '00000001', cnonce: 'c', method: 'INVITE', uri: 'sip:b@x', body: 'v=0' }
    const sess = digestResponse(hash, {
      ...input,
      algorithm: 'SHA-512-256-sess',
      qop: 'auth-int',
      ha1: hashA1(hash, 'SHA-512-256', 'a', 'r', 'p'),
    })
    const h = (text: string): string => hash('SHA-512-256', text)
    assert.equal(
      sess,
      h(`${h(`${h('a:r:p')}:n:c`)}:n:00000001:c:auth-int:${h(`INVITE:sip:b@x:${h('v=0')}`)}`),
    )
    assert.equal(
      hash('SHA-512-256', 'abc'),
      '53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23',
    )
  })

  it('bytes, not characters: UTF-8 in names and passwords', () => {
    const binary = Buffer.from('Jürgen:r:naïve', 'utf8').toString('latin1')
    const [user = '', realm = '', password = ''] = binary.split(':')
    assert.equal(hashA1(hash, 'MD5', user, realm, password), hash('MD5', binary))
    assert.notEqual(hash('MD5', binary), hash('MD5', 'J\xfcrgen:r:na\xefve'))
  })

  it('compares secrets as a whole', () => {
    assert.equal(sameSecret('abc', 'abc'), true)
    for (const [a, b] of [
      ['abc', 'abd'],
      ['abc', 'ab'],
      ['ab', 'abc'],
      ['', 'a'],
      ['a', ''],
      ['aa', 'a'],
    ] as const) {
      assert.equal(sameSecret(a, b), false, `${a} ${b}`)
    }
  })
})
