import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { Protocol } from '../../../src/base/address.ts'
import { decodeHep, HepFramer } from '../../../src/observe/hep/decode.ts'
import {
  addressChunks,
  HepEncoder,
  hepIdentity,
  parseIp,
  type HepIdentity,
} from '../../../src/observe/hep/encode.ts'

interface Given {
  protocol?: Protocol
  source?: string
  destination?: string
  correlation?: string
  payload?: Buffer
  identity?: HepIdentity
  originalLength?: number
}

function encode(given: Given = {}): Buffer {
  const source = { host: given.source ?? '10.0.0.1', port: 5060 }
  const addresses = addressChunks(given.protocol ?? 'udp', source, {
    host: given.destination ?? '10.0.0.2',
    port: 5062,
  })
  assert.ok(addresses)
  const correlation = Buffer.from(given.correlation ?? 'abc@host', 'latin1')
  const payload = given.payload ?? Buffer.from('OPTIONS sip:a@b SIP/2.0\r\n\r\n')
  const fields = {
    from: Buffer.concat([addresses, correlation, payload]),
    seconds: 1_700_000_000,
    microseconds: 123_456,
    addressStart: 0,
    correlationStart: addresses.length,
    payloadStart: addresses.length + correlation.length,
    payloadEnd: addresses.length + correlation.length + payload.length,
    originalLength: given.originalLength ?? payload.length,
  }
  const encoder = new HepEncoder(given.identity ?? hepIdentity('siphon-sbc'))
  const out = Buffer.alloc(70_000, 0xee)
  const end = encoder.encode(out, 3, fields)
  assert.ok(end - 3 <= encoder.maxLength(fields) || given.originalLength !== undefined)
  return out.subarray(3, end)
}

function decode(given: Given = {}) {
  const decoded = decodeHep(encode(given))
  assert.ok(decoded.ok, decoded.ok ? '' : decoded.what)
  return decoded.packet
}

describe('a HEP packet', () => {
  it('has the chunks of the contract, each byte of them', () => {
    const payload = Buffer.from('X')
    const hex = encode({ payload, correlation: 'c', identity: hepIdentity('n', 7, 'k') }).toString('hex')
    const chunks = [
      '48455033 0071',
      '0000 0001 0007 02',
      '0000 0002 0007 11',
      '0000 0003 000a 0a000001',
      '0000 0004 000a 0a000002',
      '0000 0007 0008 13c4',
      '0000 0008 0008 13c6',
      '0000 0009 000a 6553f100',
      '0000 000a 000a 0001e240',
      '0000 000b 0007 01',
      '0000 000c 000a 00000007',
      '0000 000e 0007 6b',
      '0000 0013 0007 6e',
      '0000 0011 0007 63',
      '0000 000f 0007 58',
    ]
    const expected = chunks.join('').replaceAll(' ', '')
    assert.equal(hex, expected.replace('0071', (expected.length / 2).toString(16).padStart(4, '0')))
  })

  it('comes back as it went, for any bytes, addresses and ids', () => {
    const v4 = fc.ipV4()
    const v6 = fc.ipV6().filter((text) => parseIp(text) !== null)
    const bytes = fc.uint8Array({ maxLength: 2000 }).map((a) => Buffer.from(a))
    const id = fc.string({ maxLength: 60 }).map((s) => Buffer.from(s).toString('latin1'))
    fc.assert(
      fc.property(
        fc.oneof(v4, v6),
        fc.oneof(v4, v6),
        bytes,
        id,
        (source, destination, payload, correlation) => {
          const packet = decode({ source, destination, payload, correlation })
          const mixed = source.includes(':') !== destination.includes(':')
          assert.equal(packet.family, mixed || source.includes(':') ? 6 : 4)
          const host = packet.source.host
          assert.deepEqual(parseIp(host)?.slice(-4), parseIp(source)?.slice(-4))
          assert.deepEqual(packet.payload, payload)
          assert.equal(packet.correlation ?? '', correlation.slice(0, 512))
          assert.equal(packet.at, 1_700_000_000_123.456)
          assert.equal(packet.cutFrom, null)
        },
      ),
    )
  })

  it('maps an IPv4 address into IPv6 when the other one is IPv6, with a right total length', () => {
    const packet = decode({ source: '192.0.2.1', destination: '2001:db8::2' })
    assert.equal(packet.family, 6)
    assert.equal(packet.source.host, '0:0:0:0:0:ffff:c000:201')
    assert.equal(packet.destination.host, '2001:db8:0:0:0:0:0:2')
  })

  it('says 17 for UDP and 6 for everything that runs over TCP', () => {
    const protocols: Protocol[] = ['udp', 'tcp', 'tls', 'ws', 'wss']
    assert.deepEqual(
      protocols.map((protocol) => decode({ protocol }).ipProtocol),
      [17, 6, 6, 6, 6],
    )
  })

  it('cuts a payload that would not fit a datagram, and says so in its last line', () => {
    const bytes = encode({ payload: Buffer.alloc(65_535, 'a') })
    assert.equal(bytes.length, 65_507)
    const decoded = decodeHep(bytes)
    assert.ok(decoded.ok)
    assert.equal(decoded.packet.cutFrom, 65_535)
    assert.match(decoded.packet.payload.toString(), /a\r\n\[cut by siphon: the message had 65535 bytes\]$/)
  })

  it('marks a payload that was cut before it came here', () => {
    assert.equal(decode({ payload: Buffer.alloc(100), originalLength: 100_000 }).cutFrom, 100_000)
  })

  it('leaves out key, name and correlation when there are none', () => {
    const packet = decode({ correlation: '', identity: { captureId: 1, nodeName: '', authKey: null } })
    assert.deepEqual(packet.chunks, [1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 15])
  })
})

describe('the identity', () => {
  it('takes a numeric agent_id as capture id and as name, any other text as name of id 1', () => {
    assert.deepEqual(hepIdentity('2001'), { captureId: 2001, nodeName: '2001', authKey: null })
    assert.deepEqual(hepIdentity('siphon-sbc'), { captureId: 1, nodeName: 'siphon-sbc', authKey: null })
    assert.deepEqual(hepIdentity('99999999999', 5, 'k'), {
      captureId: 5,
      nodeName: '99999999999',
      authKey: 'k',
    })
  })
})

describe('addresses', () => {
  it('are parsed as RFC 4291 writes them, and nothing else is', () => {
    assert.equal(Buffer.from(parseIp('::1') ?? []).toString('hex'), `${'0'.repeat(31)}1`)
    assert.equal(Buffer.from(parseIp('fe80::1%eth0') ?? []).toString('hex'), `fe80${'0'.repeat(27)}1`)
    assert.equal(
      Buffer.from(parseIp('::ffff:1.2.3.4') ?? []).toString('hex'),
      `${'0'.repeat(20)}ffff01020304`,
    )
    for (const bad of [
      '',
      'host',
      '1.2.3',
      '1.2.3.256',
      '1::2::3',
      '1:2:3',
      '12345::',
      '::1.2.3.4:1',
      '1:2:3:4:5:6:7:8:9',
    ]) {
      assert.equal(parseIp(bad), null, bad)
    }
  })
})

describe('the decoder', () => {
  it('refuses lengths that do not agree, and never throws', () => {
    const good = encode()
    for (let i = 0; i < good.length; i++) assert.equal(decodeHep(good.subarray(0, i)).ok, false)
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void decodeHep(bytes)))
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, value) => {
        const bad = Buffer.from(good)
        bad[at] = value
        decodeHep(bad)
      }),
    )
  })

  it('finds packets in a stream, however it is cut', () => {
    const all = Buffer.concat([
      encode(),
      encode({ correlation: 'two' }),
      encode({ payload: Buffer.alloc(3000) }),
    ])
    for (const step of [1, 7, 100, 5000]) {
      const framer = new HepFramer()
      let count = 0
      for (let i = 0; i < all.length; i += step) count += framer.push(all.subarray(i, i + step)).length
      assert.equal(count, 3)
    }
    const framer = new HepFramer()
    framer.push(Buffer.from('HTTP/1.1 200 OK'))
    assert.equal(framer.broken, true)
  })
})
