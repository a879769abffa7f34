import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { decodeBencode, encodeBencode, type Bencode } from '../../src/base/bencode.ts'

const bytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((n) => String.fromCharCode(n)) })
const value: fc.Arbitrary<Bencode> = fc.letrec<{ value: Bencode }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    bytes,
    fc.maxSafeInteger(),
    fc.array(tie('value')),
    fc.dictionary(bytes, tie('value'), { noNullPrototype: false }),
  ),
})).value

describe('bencode', () => {
  it('is what rtpengine writes', () => {
    assert.equal(
      encodeBencode({ command: 'ping', n: -3, l: ['a', ''] }),
      'd7:command4:ping1:ni-3e1:ll1:a0:ee',
    )
    const answer = decodeBencode('d6:result4:pong5:statsd1:ai0eee')
    assert.deepEqual(JSON.parse(JSON.stringify(answer)), { result: 'pong', stats: { a: 0 } })
  })

  it('gives back what it was given, every byte of it', () => {
    fc.assert(
      fc.property(value, (given) => {
        const plain = (v: unknown): unknown => JSON.parse(JSON.stringify(v))
        assert.deepEqual(plain(decodeBencode(encodeBencode(given))), plain(given))
      }),
    )
  })

  it('refuses what is not exactly one value', () => {
    const wrong = [
      ...[
        '',
        'i',
        'ie',
        'i1',
        'i01e',
        'i-0e',
        'i1.5e',
        '5:four',
        '01:a',
        '-1:a',
        'x',
        'l',
        'li1e',
        'd',
        'd1:a',
      ],
      ...[
        'd1:ae',
        'di1ei2ee',
        'i1ei2e',
        'i1e ',
        `${'l'.repeat(100_000)}`,
        `${'l'.repeat(40)}${'e'.repeat(40)}`,
      ],
      ...['99999999999:a', `i${'9'.repeat(400)}e`],
    ]
    for (const text of wrong) assert.equal(decodeBencode(text), undefined, text.slice(0, 20))
  })

  it('survives any text', () => {
    fc.assert(fc.property(bytes, (text) => void decodeBencode(text)))
    fc.assert(
      fc.property(value, fc.nat(), fc.nat({ max: 255 }), (given, at, byte) => {
        const text = encodeBencode(given)
        const i = at % text.length
        decodeBencode(text.slice(0, i) + String.fromCharCode(byte) + text.slice(i + 1))
        if (i < text.length) assert.equal(decodeBencode(text.slice(0, i)), undefined)
      }),
    )
  })

  it('lets a key touch no prototype', () => {
    const answer = decodeBencode('d9:__proto__d1:ai1eee') as Record<string, unknown>
    assert.deepEqual(Object.keys(answer), ['__proto__'])
    assert.equal(({} as Record<string, unknown>)['a'], undefined)
  })
})
