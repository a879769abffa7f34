import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startTimer } from '../../../src/sip/transaction/types.ts'

describe('the effect that starts a timer', () => {
  it('is for the time that is asked for, whatever was asked for before', () => {
    for (const ms of [500, 1_000, 1_000, 500]) {
      assert.deepEqual(startTimer('G', ms), { do: 'startTimer', timer: 'G', ms })
    }
    assert.deepEqual(startTimer('A', 500), { do: 'startTimer', timer: 'A', ms: 500 })
  })
})
