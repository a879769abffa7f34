import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { decodeReply, encodeQuery } from '../../../src/net/dns/message.ts'
import { decodeName, encodeName } from '../../../src/net/dns/name.ts'
import type { Question } from '../../../src/net/dns/records.ts'
import { a, cname, naptr, reply, soa, srv, TRUNCATED } from '../../support/dns-message.ts'

const SRV: Question = { name: '_sip._udp.b.example', type: 'SRV' }
const A: Question = { name: 'gw.b.example', type: 'A' }

function query(question: Question): Buffer {
  const bytes = encodeQuery(7, question, true)
  assert.ok(bytes !== null)
  return bytes
}

describe('RFC 1035 §3.1 names', () => {
  it('are octets and back again', () => {
    for (const name of ['', 'b.example', '_sip._udp.b.example', `${'x'.repeat(63)}.y`]) {
      const bytes = encodeName(name)
      assert.ok(bytes !== null)
      assert.deepEqual(decodeName(bytes, 0), { name, end: bytes.length })
    }
  })

  it('cannot be sent with an empty or an overlong label, or when they are too long', () => {
    for (const name of ['a..b', '.a', 'x'.repeat(64), Array(130).fill('x').join('.')]) {
      assert.equal(encodeName(name), null)
    }
  })

  it('may point back, and never in a circle, forward or out of the message', () => {
    const bytes = Buffer.from('\x01a\x01b\x00\x01c\xc0\x02', 'latin1')
    assert.deepEqual(decodeName(bytes, 5), { name: 'c.b', end: 9 })
    for (const wrong of ['\xc0\x00', '\x01a\xc0\x00', '\xc0\x02\x00', '\x05ab', '\x80a', '']) {
      assert.equal(decodeName(Buffer.from(wrong, 'latin1'), 0), null)
    }
  })

  it('keep a dot within a label apart from one between labels', () => {
    assert.equal(decodeName(Buffer.from('\x03a.b\x00', 'latin1'), 0)?.name, 'a\\.b')
  })
})

describe('RFC 1035 §4 answers', () => {
  it('hold the records asked for, with the least TTL', () => {
    const bytes = reply(query(SRV), [
      srv(SRV.name, 1, 60, 5060, 'GW1.b.example', 300),
      srv(SRV.name, 2, 0, 5070, '.', 120),
      a('gw1.b.example', '192.0.2.1', 5),
    ])
    assert.deepEqual(decodeReply(bytes, 7, SRV), {
      rcode: 0,
      truncated: false,
      competent: true,
      ttl: 120,
      records: [
        { type: 'SRV', priority: 1, weight: 60, port: 5060, target: 'gw1.b.example' },
        { type: 'SRV', priority: 2, weight: 0, port: 5070, target: '' },
      ],
    })
  })

  it('hold NAPTR records', () => {
    const question: Question = { name: 'b.example', type: 'NAPTR' }
    const bytes = reply(query(question), [naptr('b.example', 10, 20, 's', 'SIP+D2U', '_sip._udp.b.example')])
    assert.deepEqual(decodeReply(bytes, 7, question)?.records, [
      {
        type: 'NAPTR',
        order: 10,
        preference: 20,
        flags: 's',
        service: 'SIP+D2U',
        replacement: '_sip._udp.b.example',
      },
    ])
  })

  it('hold IPv6 addresses as RFC 5952 writes them', () => {
    const question: Question = { name: 'gw.b.example', type: 'AAAA' }
    const data = Buffer.from('20010db8000000000000000000000001', 'hex')
    const bytes = reply(query(question), [{ name: question.name, type: 'AAAA', ttl: 1, data }])
    assert.deepEqual(decodeReply(bytes, 7, question)?.records, [{ type: 'AAAA', address: '2001:db8::1' }])
  })

  it('are followed through aliases, and not in a circle', () => {
    const chain = [
      cname(A.name, 'x.example', 30),
      cname('x.example', 'y.example'),
      a('y.example', '192.0.2.9'),
    ]
    const told = decodeReply(reply(query(A), chain), 7, A)
    assert.deepEqual([told?.records, told?.ttl], [[{ type: 'A', address: '192.0.2.9' }], 30])
    const circle = [cname(A.name, 'x.example'), cname('x.example', A.name)]
    assert.deepEqual(decodeReply(reply(query(A), circle), 7, A)?.records, [])
  })

  it("do not hold another name's records", () => {
    assert.deepEqual(decodeReply(reply(query(A), [a('evil.example', '192.0.2.66')]), 7, A)?.records, [])
  })

  it('say how long to believe that there is nothing: the lesser of the SOA and its minimum (RFC 2308 §5)', () => {
    for (const [ttl, minimum, told] of [
      [900, 60, 60],
      [30, 60, 30],
    ] as const) {
      const bytes = reply(query(A), [], { rcode: 3, authority: [soa('b.example', ttl, minimum)] })
      assert.equal(decodeReply(bytes, 7, A)?.ttl, told)
    }
    assert.equal(decodeReply(reply(query(A), [], { rcode: 3 }), 7, A)?.ttl, null)
  })

  it('are none to another question or id, or when they are a query', () => {
    const good = reply(query(A), [a(A.name, '192.0.2.1')])
    assert.equal(decodeReply(good, 8, A), null)
    assert.equal(decodeReply(good, 7, { ...A, type: 'AAAA' }), null)
    assert.equal(decodeReply(good, 7, { ...A, name: 'gx.b.example' }), null)
    assert.equal(decodeReply(query(A), 7, A), null)
  })

  it('that are truncated say so, wherever they end', () => {
    const bytes = reply(query(A), [a(A.name, '192.0.2.1')], { flags: 0x8180 | TRUNCATED })
    const told = decodeReply(bytes.subarray(0, bytes.length - 3), 7, A)
    assert.deepEqual([told?.truncated, told?.records], [true, []])
  })

  it('leave out a record whose data is not of its form', () => {
    const bytes = reply(query(A), [
      { ...a(A.name, '192.0.2.1'), data: Buffer.of(1, 2, 3) },
      a(A.name, '192.0.2.2'),
    ])
    assert.deepEqual(decodeReply(bytes, 7, A)?.records, [{ type: 'A', address: '192.0.2.2' }])
  })

  it('of any bytes are an answer or null, never an exception', () => {
    const good = [
      { question: SRV, bytes: reply(query(SRV), [srv(SRV.name, 1, 2, 3, 'a.b')]) },
      {
        question: A,
        bytes: reply(query(A), [cname(A.name, 'x'), a('x', '1.2.3.4')], { authority: [soa('b', 1, 2)] }),
      },
    ]
    fc.assert(
      fc.property(
        fc.constantFrom(...good),
        fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 12 }),
        fc.nat(200),
        ({ question, bytes }, changes, cut) => {
          const broken = Buffer.from(bytes)
          // The id and the flags stay, or most would end at the first look.
          for (const [at, value] of changes) broken[4 + (at % (broken.length - 4))] = value
          const length = cut > bytes.length ? bytes.length : Math.max(12, cut)
          const told = decodeReply(broken.subarray(0, length), 7, question)
          assert.ok(told === null || Array.isArray(told.records))
        },
      ),
      { numRuns: 20_000 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        decodeReply(Buffer.from(bytes), 7, A)
      }),
      { numRuns: 5_000 },
    )
  })
})
