import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { randomIdentifiers } from '../../src/base/identifiers.ts'
import { CallTracker } from '../../src/core/calls.ts'
import { createSpine } from '../../src/spine/spine.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { request } from './lab.ts'

const path = { protocol: 'udp', local: { host: 'a', port: 1 }, remote: { host: 'b', port: 2 } } as const

describe('the list of live calls', () => {
  it('goes on where the page before ended, though its last call has ended meanwhile', () => {
    const spine = createSpine((_channel, error) => assert.fail(String(error)))
    const tracker = new CallTracker({ clock: new FakeClock(), identifiers: randomIdentifiers(), spine })
    const calls = Array.from({ length: 5 }, () => tracker.begin(request('INVITE'), path))
    const page = (cursor: string | null) => {
      const { views, next } = tracker.page(cursor, 2)
      return { at: views.map(({ id }) => calls.findIndex((call) => call.id === id)), next }
    }
    const first = page(null)
    assert.deepEqual(first.at, [0, 1])
    for (const call of calls.slice(1, 3)) call.end({ initiator: null, reason: null, seen: true })
    calls.push(tracker.begin(request('INVITE'), path))
    const second = page(first.next)
    assert.deepEqual(second.at, [3, 4])
    assert.deepEqual(page(second.next), { at: [5], next: null })
  })
})
