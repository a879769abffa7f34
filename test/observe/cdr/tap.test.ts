import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CdrTap, type CdrPolicy } from '../../../src/observe/cdr/tap.ts'
import type { CallRecord, RegistrationChanged } from '../../../src/spine/facts.ts'
import { createSpine } from '../../../src/spine/spine.ts'
import { callRecord } from '../../support/call-record.ts'
import { somePath } from '../../support/messages-crossed.ts'

function setUp(policy: Partial<CdrPolicy>) {
  const spine = createSpine((_, error) => {
    throw error
  })
  const out: CallRecord[] = []
  let n = 0
  const text = (): string => `id-${n++}`
  const tap = new CdrTap({
    spine,
    identifiers: { branch: text, tag: text, callId: text, recordId: text },
    policy: { autoEmit: true, includeRegister: false, includeChallenges: false, ...policy },
    push: (record) => void out.push(record),
  })
  return { spine, out, tap }
}

const registration: RegistrationChanged = {
  aor: 'sip:alice@example.com',
  event: 'registered',
  reason: 'request',
  contact: 'sip:alice@10.0.0.5:5062',
  callId: 'reg-1',
  at: 1_700_000_000_000,
  path: somePath,
  userAgent: 'phone',
  fromUri: 'sip:alice@example.com',
  ruri: 'sip:example.com',
}

describe('the CDR tap', () => {
  it('with auto_emit takes every call', () => {
    const { spine, out } = setUp({})
    spine.callEnded.publish(callRecord())
    spine.callEnded.publish(callRecord({ requested: true }))
    assert.equal(out.length, 2)
  })

  it('without auto_emit takes exactly those a script wrote for', () => {
    const { spine, out, tap } = setUp({ autoEmit: false, includeRegister: true })
    spine.callEnded.publish(callRecord({ id: 'a' }))
    spine.callEnded.publish(callRecord({ id: 'b', requested: true }))
    spine.registrationChanged.publish(registration)
    assert.deepEqual(
      out.map((r) => r.id),
      ['b'],
    )
    assert.deepEqual([tap.emitted, tap.withheld], [1, 1])
  })

  it('takes a challenge only when asked to', () => {
    const without = setUp({})
    without.spine.callEnded.publish(callRecord({ challenged: true, responseCode: 407, requested: true }))
    assert.equal(without.out.length, 0)
    const withThem = setUp({ includeChallenges: true })
    withThem.spine.callEnded.publish(callRecord({ challenged: true, responseCode: 407 }))
    assert.equal(withThem.out.length, 1)
  })

  it('makes a record of a registration when asked to', () => {
    const { spine, out } = setUp({ includeRegister: true })
    spine.registrationChanged.publish(registration)
    spine.registrationChanged.publish({
      ...registration,
      event: 'expired',
      path: null,
      userAgent: null,
      fromUri: '',
      ruri: '',
    })
    assert.equal(out.length, 2)
    const [first, second] = out
    assert.equal(first?.kind, 'register')
    assert.equal(first?.method, 'REGISTER')
    assert.equal(first?.callId, 'reg-1')
    assert.equal(first?.sourceIp, '127.0.0.1')
    assert.equal(first?.extra, '{"reg_event":"registered","contact":"sip:alice@10.0.0.5:5062"}')
    assert.equal(second?.fromUri, 'sip:alice@example.com')
    assert.notEqual(first?.id, second?.id)
  })

  it('hears nothing after close', () => {
    const { spine, out, tap } = setUp({ includeRegister: true })
    tap.close()
    spine.callEnded.publish(callRecord())
    spine.registrationChanged.publish(registration)
    assert.equal(out.length, 0)
  })
})
