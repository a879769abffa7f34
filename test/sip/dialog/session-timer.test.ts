import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  accept,
  agreed,
  DEFAULT_TIMER,
  expireAfterMs,
  minSe,
  refreshAfterMs,
  sessionExpires,
  tooSmall,
} from '../../../src/sip/dialog/session-timer.ts'
import { buildResponse } from '../../../src/sip/message/build.ts'
import { request } from '../../core/lab.ts'

const asking = (...headers: string[]) => request('INVITE', { headers })

describe('session timers (RFC 4028)', () => {
  it('reads Session-Expires and Min-SE', () => {
    assert.deepEqual(sessionExpires(asking('Session-Expires: 1800;refresher=UAS')), {
      seconds: 1800,
      refresher: 'uas',
    })
    assert.deepEqual(sessionExpires(asking('x: 120')), { seconds: 120, refresher: null })
    assert.equal(sessionExpires(asking('Session-Expires: soon')), null)
    assert.equal(minSe(asking('Min-SE: 300')), 300)
    assert.equal(minSe(asking('Min-SE: 20')), 90)
  })

  it('an interval under the least is too small; the least itself is not', () => {
    assert.equal(tooSmall(asking('Session-Expires: 89'), DEFAULT_TIMER), 90)
    assert.equal(tooSmall(asking('Session-Expires: 90'), DEFAULT_TIMER), null)
    assert.equal(tooSmall(asking(), DEFAULT_TIMER), null)
  })

  const policy = { expires: 600, minSe: 90, refresher: 'uac' as const }
  for (const [name, headers, its, expected] of [
    ['nobody asks', [], DEFAULT_TIMER, null],
    [
      'the caller asks and refreshes',
      ['Supported: timer', 'Session-Expires: 300;refresher=uac'],
      DEFAULT_TIMER,
      ['300;refresher=uac', false, true],
    ],
    [
      'the caller wants us to',
      ['Supported: timer', 'Session-Expires: 300;refresher=uas'],
      DEFAULT_TIMER,
      ['300;refresher=uas', true, false],
    ],
    ['the caller knows no timers: we do it ourselves', [], policy, ['600;refresher=uas', true, false]],
    [
      'ours is shorter',
      ['Supported: timer', 'Session-Expires: 1800'],
      policy,
      ['600;refresher=uac', false, true],
    ],
    [
      'but not shorter than the caller allows',
      ['Supported: timer', 'Session-Expires: 1800', 'Min-SE: 900'],
      policy,
      ['900;refresher=uac', false, true],
    ],
  ] as const) {
    it(`as the callee: ${name}`, () => {
      const made = accept(asking(...headers), its)
      assert.deepEqual(made && [made.header, made.negotiated.ours, made.require], expected)
    })
  }

  it('as the caller: what the 2xx says', () => {
    const answer = (text: string) =>
      agreed(buildResponse(asking(), 200, { headers: [['Session-Expires', text]] }))
    assert.deepEqual(answer('90;refresher=uas'), { expires: 90, ours: false })
    assert.deepEqual(answer('90;refresher=uac'), { expires: 90, ours: true })
    assert.equal(agreed(buildResponse(asking(), 200)), null)
  })

  it('is refreshed at half time, and given up 32 s or a third before its end (§10)', () => {
    assert.equal(refreshAfterMs({ expires: 1800, ours: true }), 900_000)
    assert.equal(expireAfterMs({ expires: 1800, ours: true }), 1_768_000)
    assert.equal(expireAfterMs({ expires: 90, ours: true }), 60_000)
  })
})
