import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Worker } from 'node:worker_threads'
import * as fc from 'fast-check'
import { ByteRingReader, ByteRingWriter, createByteRing } from '../../src/base/byte-ring.ts'

function write(ring: ByteRingWriter, bytes: Uint8Array): boolean {
  const at = ring.reserve(bytes.length)
  if (at < 0) return false
  ring.bytes.set(bytes, at)
  ring.commit()
  return true
}

function read(ring: ByteRingReader, max = 1000): Buffer[] {
  const out: Buffer[] = []
  ring.drain(max, (start, end) => {
    out.push(Buffer.from(ring.bytes.subarray(start, end)))
    return true
  })
  return out
}

describe('the byte ring', () => {
  it('gives records back whole and in order, whatever their sizes, over many wraps', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 600 }), fc.boolean()), { maxLength: 300 }),
        (steps) => {
          const shared = createByteRing(2048)
          const writer = new ByteRingWriter(shared)
          const reader = new ByteRingReader(shared)
          const expected: Buffer[] = []
          let refused = 0
          for (const [i, [length, drain]] of steps.entries()) {
            const bytes = Buffer.alloc(length, i)
            if (write(writer, bytes)) expected.push(bytes)
            else refused++
            assert.equal(reader.queued, expected.length)
            if (drain) assert.deepEqual(read(reader), expected.splice(0))
          }
          assert.deepEqual(read(reader), expected)
          assert.equal(reader.refused, refused)
          assert.equal(reader.usedBytes, 0)
          assert.equal(reader.taken + refused, steps.length)
        },
      ),
    )
  })

  it('refuses and counts when full, and takes again after a drain', () => {
    const shared = createByteRing(1024)
    const writer = new ByteRingWriter(shared)
    const reader = new ByteRingReader(shared)
    let taken = 0
    while (write(writer, Buffer.alloc(96))) taken++
    assert.equal(taken, 10)
    assert.equal(reader.refused, 1)
    assert.equal(read(reader, 1).length, 1)
    assert.equal(write(writer, Buffer.alloc(96)), true)
    assert.equal(reader.queued, 10)
  })

  it('refuses a record that could never fit, empty or not', () => {
    const writer = new ByteRingWriter(createByteRing(1024))
    assert.equal(writer.reserve(1024), -1)
    assert.equal(writer.reserve(509), -1)
    assert.equal(writer.refused, 2)
    assert.notEqual(writer.reserve(508), -1)
  })

  it('leaves a record for later when the reader does not take it', () => {
    const shared = createByteRing(1024)
    const writer = new ByteRingWriter(shared)
    const reader = new ByteRingReader(shared)
    write(writer, Buffer.from('a'))
    write(writer, Buffer.from('b'))
    let calls = 0
    assert.equal(
      reader.drain(10, () => ++calls === 1),
      1,
    )
    assert.deepEqual(read(reader).map(String), ['b'])
  })

  it('shows nothing before commit', () => {
    const shared = createByteRing(1024)
    const writer = new ByteRingWriter(shared)
    const reader = new ByteRingReader(shared)
    writer.reserve(10)
    assert.equal(reader.queued, 0)
    assert.equal(read(reader).length, 0)
  })

  it('carries 30,000 records from one thread to another without loss, change or disorder', async () => {
    const shared = createByteRing(64 * 1024)
    const source = `
      import { workerData, parentPort } from 'node:worker_threads'
      const { ByteRingWriter } = await import(workerData.module)
      const ring = new ByteRingWriter(workerData.shared)
      for (let i = 0; i < workerData.count; ) {
        const length = 4 + (i % 700)
        const at = ring.reserve(length)
        if (at < 0) continue
        ring.words[at >> 2] = i
        ring.bytes.fill(i & 255, at + 4, at + length)
        ring.commit()
        i++
      }`
    const module = new URL('../../src/base/byte-ring.ts', import.meta.url).href
    const count = 30_000
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
      workerData: { shared, module, count },
    })
    const reader = new ByteRingReader(shared)
    let next = 0
    while (next < count) {
      const n = reader.drain(1000, (start, end) => {
        assert.equal(reader.words[start >> 2], next)
        assert.equal(end - start, 4 + (next % 700))
        if (end - start > 4) {
          assert.equal(reader.bytes[start + 4], next & 255)
          assert.equal(reader.bytes[end - 1], next & 255)
        }
        next++
        return true
      })
      if (n === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    assert.equal(reader.taken, count)
    assert.equal(reader.queued, 0)
    await worker.terminate()
  })
})
