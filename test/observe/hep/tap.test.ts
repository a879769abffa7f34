import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ByteRingReader, ByteRingWriter, createByteRing } from '../../../src/base/byte-ring.ts'
import { HepTap, type HepTapOptions } from '../../../src/observe/hep/tap.ts'
import { createSpine } from '../../../src/spine/spine.ts'
import { crossed, somePath } from '../../support/messages-crossed.ts'

function setUp(options: Partial<HepTapOptions> = {}, capacity = 1 << 20) {
  const shared = createByteRing(capacity)
  const reader = new ByteRingReader(shared)
  const spine = createSpine((_, error) => {
    throw error
  })
  const tap = new HepTap({ spine, ring: new ByteRingWriter(shared), ...options })
  const records = () => {
    const out: { words: number[]; rest: Buffer; correlation: string; payload: string }[] = []
    reader.drain(100, (start, end) => {
      const words = [...reader.words.subarray(start >> 2, (start >> 2) + 4)]
      const lengths = words[3] ?? 0
      const rest = Buffer.from(reader.bytes.subarray(start + 16, end))
      const correlationAt = lengths >>> 16
      const payloadAt = correlationAt + (lengths & 0xffff)
      out.push({
        words,
        rest,
        correlation: rest.toString('latin1', correlationAt, payloadAt),
        payload: rest.toString('latin1', payloadAt),
      })
      return true
    })
    return out
  }
  return { spine, tap, reader, records }
}

describe('the HEP tap', () => {
  it('copies received and sent messages, with source and destination the right way round', () => {
    const { spine, records, tap } = setUp()
    spine.messageReceived.publish(crossed('in'))
    spine.messageSent.publish(crossed('out'))
    const [received, sent] = records()
    assert.equal(received?.correlation, 'in')
    assert.equal(sent?.correlation, 'out')
    assert.equal(received?.rest.readUInt16BE(7 + 7 + 20 + 6), 5062)
    assert.equal(sent?.rest.readUInt16BE(7 + 7 + 20 + 6), 5060)
    assert.equal(tap.produced, 2)
  })

  it('keeps the time to the microsecond', () => {
    const { spine, records } = setUp()
    spine.messageReceived.publish(crossed('t', 'x', somePath, 1_700_000_000_123.456))
    assert.deepEqual(records()[0]?.words.slice(0, 2), [1_700_000_000, 123_456])
  })

  it('takes bytes that are no message too, with the Call-ID found in them', () => {
    const { spine, records } = setUp()
    const fault = { path: somePath, what: 'bad', at: 1 }
    spine.messageFaulted.publish({ ...fault, bytes: Buffer.from('INVITE x\r\nCALL-id :  abc@x\r\n\r\n') })
    spine.messageFaulted.publish({ ...fault, bytes: Buffer.from([0, 1, 2, 255]) })
    // Too long to be read: there is nothing to be traced.
    spine.messageFaulted.publish({ ...fault, bytes: null })
    assert.deepEqual(
      records().map((r) => r.correlation),
      ['abc@x', ''],
    )
  })

  it('uses the A leg Call-ID when it is told', () => {
    const { spine, records } = setUp({ correlationOf: (m) => `a-leg-of-${m.callId}` })
    spine.messageSent.publish(crossed('b'))
    assert.equal(records()[0]?.correlation, 'a-leg-of-b')
  })

  it('never shows a wildcard as our own address', () => {
    for (const host of ['0.0.0.0', '::', 'sbc.example.com']) {
      const { spine, records } = setUp({ ownAddress: () => ({ host, port: 5060 }) })
      spine.messageReceived.publish(crossed('x'))
      const rest = records()[0]?.rest
      assert.equal(rest?.subarray(7 + 7 + 10 + 6, 7 + 7 + 20).join('.'), '127.0.0.1')
    }
  })

  it('cuts what could never be sent, and keeps the length it had', () => {
    const { spine, records } = setUp()
    spine.messageReceived.publish(crossed('c'.repeat(60_000), 'y'.repeat(200_000)))
    const [record] = records()
    assert.equal(record?.correlation.length, 512)
    assert.equal(record?.payload.length, 65_507)
    assert.equal(record?.words[2], 200_000)
  })

  it('refuses and counts when the ring is full, and stops after close', () => {
    const { spine, tap, reader } = setUp({}, 4096)
    for (let i = 0; i < 100; i++) spine.messageReceived.publish(crossed(`call-${i}`))
    assert.equal(tap.produced, 100)
    assert.equal(reader.queued + reader.refused, 100)
    assert.ok(reader.refused > 0)
    tap.close()
    assert.equal(spine.messageReceived.active, false)
  })
})
