import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CallTracker } from '../../src/core/calls.ts'
import { ProxyDialogs } from '../../src/core/proxy-dialogs.ts'
import { randomIdentifiers } from '../../src/base/identifiers.ts'
import { buildResponse } from '../../src/sip/message/build.ts'
import type { CallRecord } from '../../src/spine/facts.ts'
import { createSpine } from '../../src/spine/spine.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { request } from './lab.ts'

const path = { protocol: 'udp', local: { host: 'a', port: 1 }, remote: { host: 'b', port: 2 } } as const

function followed(maxAgeMs = 3_600_000) {
  const clock = new FakeClock()
  const spine = createSpine((_channel, error) => assert.fail(String(error)))
  const records: CallRecord[] = []
  spine.callEnded.subscribe((record) => records.push(record))
  const calls = new CallTracker({ clock, identifiers: randomIdentifiers(), spine })
  const dialogs = new ProxyDialogs({ clock, maxAgeMs })
  const invite = request('INVITE')
  const call = calls.begin(invite, path)
  const answer = (status: number, toTag: string) => buildResponse(invite, status, { toTag })
  return { clock, records, calls, dialogs, call, answer }
}

describe('record-routed dialogs', () => {
  it('rise at the early dialog, stay one at its 2xx, and are found from both sides', () => {
    const { dialogs, call, answer } = followed()
    const early = dialogs.early(answer(180, 'b'), call)
    assert.equal(dialogs.confirm(answer(200, 'b'), call), early)
    assert.equal(dialogs.size, 1)
    assert.equal(dialogs.find(request('BYE', { fromTag: 'a', toTag: 'b' })), early)
    assert.equal(dialogs.find(request('BYE', { fromTag: 'b', toTag: 'a' })), early)
    assert.equal(dialogs.find(request('BYE', { fromTag: 'c', toTag: 'a' })), undefined)
  })

  it('are none without a To tag', () => {
    const { dialogs, call } = followed()
    assert.equal(dialogs.early(buildResponse(request('INVITE'), 180), call), null)
    assert.equal(dialogs.size, 0)
  })

  it('leave an early dialog without a timer, and let it go with its INVITE', () => {
    const { clock, dialogs, call, answer } = followed()
    const early = dialogs.early(answer(180, 'b'), call)
    assert.equal(clock.pendingTimers, 0)
    assert.ok(early)
    dialogs.abandon(early)
    assert.equal(dialogs.size, 0)
  })

  it('end the call with the last of them when two branches answered', () => {
    const { dialogs, call, answer, records } = followed()
    call.answer(200)
    const one = dialogs.confirm(answer(200, 'b'), call)
    const two = dialogs.confirm(answer(200, 'c'), call)
    assert.ok(one && two)
    dialogs.end(one, { initiator: 'caller', reason: null, seen: true })
    dialogs.end(one, { initiator: 'caller', reason: null, seen: true })
    assert.equal(records.length, 0)
    dialogs.end(two, { initiator: 'callee', reason: null, seen: true })
    assert.deepEqual(
      records.map((record) => record.disconnectInitiator),
      ['callee'],
    )
  })

  it('expire after the greatest age when nobody says BYE', () => {
    const { clock, dialogs, call, calls, answer, records } = followed(1_000)
    call.answer(200)
    dialogs.confirm(answer(200, 'b'), call)
    clock.advance(1_000)
    assert.deepEqual([dialogs.size, calls.active, clock.pendingTimers], [0, 0, 0])
    assert.equal(records[0]?.disconnectInitiator, 'timeout')
  })
})
