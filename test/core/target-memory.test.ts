import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TargetMemory } from '../../src/core/target-memory.ts'
import type { Target } from '../../src/stack/transport.ts'
import { FakeClock } from '../support/fake-clock.ts'

const target = (host: string): Target => ({ protocol: 'udp', host, port: 5060 })
const [A, B, C] = [target('10.0.0.1'), target('10.0.0.2'), target('10.0.0.3')]

describe('targets that failed', () => {
  it('come last, in their order, until their time is over or they answer', () => {
    const clock = new FakeClock()
    const memory = new TargetMemory(clock, 30_000)
    memory.failed(A)
    memory.failed(B)
    assert.deepEqual(memory.order([A, B, C]), [C, A, B])
    memory.alive(A)
    assert.deepEqual(memory.order([A, B, C]), [A, C, B])
    clock.advance(30_000)
    assert.deepEqual(memory.order([A, B, C]), [A, B, C])
    assert.equal(memory.size, 0)
  })

  it('are never left out, and not told apart by their name alone', () => {
    const memory = new TargetMemory(new FakeClock(), 30_000)
    memory.failed(A)
    assert.deepEqual(memory.order([A]), [A])
    assert.deepEqual(memory.order([{ ...A, protocol: 'tcp' }, B]), [{ ...A, protocol: 'tcp' }, B])
  })

  it('may ask for more time with Retry-After, up to ten minutes', () => {
    const clock = new FakeClock()
    const memory = new TargetMemory(clock, 30_000)
    memory.failed(A, 60_000)
    memory.failed(B, 1e12)
    clock.advance(60_000)
    assert.deepEqual(memory.order([A, B, C]), [A, C, B])
    clock.advance(540_000)
    assert.deepEqual(memory.order([A, B, C]), [A, B, C])
  })

  it('are bounded', () => {
    const memory = new TargetMemory(new FakeClock(), 30_000)
    for (let i = 0; i < 5_000; i++) memory.failed({ ...A, port: i + 1 })
    assert.equal(memory.size, 4_096)
  })

  it('are forgotten at once with 0', () => {
    const memory = new TargetMemory(new FakeClock(), 0)
    memory.failed(A)
    assert.deepEqual(memory.order([A, B]), [A, B])
  })
})
