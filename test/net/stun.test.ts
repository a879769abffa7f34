import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { answerStun } from '../../src/net/stun.ts'

const TRANSACTION = 'b7e7a701bc34d686fa87dfae'

function request(attributes = '', type = '0001'): Buffer {
  const length = (attributes.length / 2).toString(16).padStart(4, '0')
  return Buffer.from(`${type}${length}2112a442${TRANSACTION}${attributes}`, 'hex')
}

const answer = (bytes: Buffer, host = '192.0.2.1', port = 32853): string | null => {
  const text = answerStun(bytes, { host, port })
  return text === null ? null : Buffer.from(text, 'latin1').toString('hex')
}

describe('STUN', () => {
  it('tells the address as RFC 5769 §2.2 and §2.3 have it', () => {
    const head = `0101000c2112a442${TRANSACTION}002000080001a147`
    assert.equal(answer(request()), `${head}e112a643`)
    const v6 = `010100182112a442${TRANSACTION}002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9`
    assert.equal(answer(request(), '2001:db8:1234:5678:11:2233:4455:6677'), v6)
  })

  it('bears what asks nothing of it, and refuses what it must understand', () => {
    assert.match(answer(request('8022000461626364')) ?? '', /^0101/)
    assert.match(answer(request('0006000361626300')) ?? '', /^0101/)
    assert.match(answer(request('7777000461626364')) ?? '', /^0111.*0009000400000414000a000277770000$/)
  })

  it('is silent to everything else', () => {
    assert.equal(answer(request('', '0101')), null)
    assert.equal(answer(request('', '0011')), null)
    assert.equal(answer(request().subarray(0, 19)), null)
    assert.equal(answer(Buffer.concat([request(), Buffer.alloc(4)])), null)
    assert.equal(answer(request('80220008616263')), null)
    const cookieless = request()
    cookieless.writeUInt32BE(1, 4)
    assert.equal(answer(cookieless), null)
  })
})
