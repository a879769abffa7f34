import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ShedMemory } from '../../src/core/shed-memory.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { request } from './lab.ts'

const path = { protocol: 'udp', local: { host: 'a', port: 1 }, remote: { host: 'b', port: 2 } } as const

function memory(capacity?: number) {
  const clock = new FakeClock()
  const given: string[] = []
  const shed = new ShedMemory(clock, (invite) => given.push(invite.callId), capacity)
  const drop = (callId: string): void => shed.remember(request('INVITE', { callId }), path)
  return { clock, given, shed, drop }
}

describe('INVITEs that were dropped for want of room', () => {
  it('are given up once each, 32 s after the first of their repetitions', () => {
    const { clock, given, shed, drop } = memory()
    drop('one')
    clock.advance(1_000)
    drop('one')
    drop('two')
    clock.advance(31_000)
    assert.deepEqual(given, ['one'])
    clock.advance(1_000)
    assert.deepEqual(given, ['one', 'two'])
    assert.deepEqual([shed.size, clock.pendingTimers], [0, 0])
  })

  it('are forgotten when one repetition is admitted', () => {
    const { clock, given, shed, drop } = memory()
    drop('one')
    shed.admitted(request('INVITE', { callId: 'one' }))
    assert.deepEqual([given.length, shed.size, clock.pendingTimers], [0, 0, 0])
  })

  it('make room for newer ones, the oldest first, and all at the end', () => {
    const { clock, given, shed, drop } = memory(2)
    for (const callId of ['one', 'two', 'three']) drop(callId)
    assert.deepEqual(given, ['one'])
    shed.close()
    assert.deepEqual(given, ['one', 'two', 'three'])
    assert.equal(clock.pendingTimers, 0)
  })
})
