import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { formatDigest, parseDigestFields } from '../../../src/sip/auth/fields.ts'

const read = (text: string) => {
  const parsed = parseDigestFields(text)
  assert.ok(parsed.ok, text)
  return parsed.value
}

describe('fields of credentials and challenges', () => {
  it('in any order, quoted or not, with escapes', () => {
    const [one] = read(
      'DIGEST  nc=00000001 , username="al\\"ice\\\\", Realm = "a,b=c" ,qop="auth",stale=FALSE',
    )
    assert.equal(one?.get('username'), 'al"ice\\')
    assert.equal(one?.raw('username'), 'al\\"ice\\\\')
    assert.equal(one?.get('realm'), 'a,b=c')
    assert.equal(one?.raw('realm'), 'a,b=c')
    assert.equal(one?.get('qop'), 'auth')
    assert.equal(one?.get('nc'), '00000001')
    assert.equal(one?.get('missing'), undefined)
  })

  it('lists of challenges in one field, other schemes between them', () => {
    const listed = read('Basic realm="x", Digest realm="a", nonce="1",, AKA x="y", Digest realm="b"')
    assert.deepEqual(
      listed.map((f) => f.get('realm')),
      ['a', 'b'],
    )
    assert.equal(read('Digest realm="a", nonce="1", Digest realm="b", nonce="2"').length, 2)
    assert.deepEqual(read('Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='), [])
    assert.deepEqual(read('NoOne x="y"'), [])
    assert.deepEqual(read('AKA a="open'), [])
  })

  it('names no property of objects', () => {
    const [one] = read('Digest __proto__="x", constructor=y')
    assert.equal(one?.get('__proto__'), 'x')
    assert.equal(one?.get('toString'), undefined)
  })

  it('what is no list of parameters is a fault', () => {
    for (const text of [
      'Digest "x"',
      'Digest a="open',
      'Digest a=b c=d',
      'Digest a=1, a=2',
      'realm="x"',
      '"',
      'Digest =x',
      'Digest a=1;b=2',
    ]) {
      assert.equal(parseDigestFields(text).ok, false, text)
    }
    const many = Array.from({ length: 60 }, (_, i) => `p${i}=1`).join(', ')
    assert.equal(parseDigestFields(`Digest ${many}`).ok, false)
  })

  it('what is written is read again', () => {
    const text = fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((c) => String.fromCharCode(c)) })
    fc.assert(
      fc.property(text, text, (username, realm) => {
        const [one] = read(formatDigest({ username, realm, nc: '00000001', opaque: undefined }, ['nc']))
        assert.deepEqual(
          [one?.get('username'), one?.get('realm'), one?.get('nc')],
          [username, realm, '00000001'],
        )
        assert.equal(one?.get('opaque'), undefined)
      }),
    )
  })

  it('never throws, in linear time', () => {
    fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => void parseDigestFields(`Digest ${text}`)))
    for (const piece of ['"', '\\', ',', ' ', '=', 'a=', 'a="', 'a,', 'Digest ']) {
      const start = performance.now()
      parseDigestFields(`Digest ${piece.repeat(300_000)}`)
      assert.ok(performance.now() - start < 2_000, `300,000 times ${piece}`)
    }
  })
})
