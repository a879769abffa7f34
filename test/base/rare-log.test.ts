import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RareLog } from '../../src/base/rare-log.ts'
import { FakeClock } from '../support/fake-clock.ts'

describe('the rare log', () => {
  it('says each cause once in ten seconds, and how often it kept silent', () => {
    const clock = new FakeClock()
    const lines: string[] = []
    const rare = new RareLog(clock, (level, text) => void lines.push(`${level} ${text}`))
    for (let i = 0; i < 1000; i++) rare.say('full', 'error', 'queue full')
    rare.say('other', 'warn', 'else')
    clock.advance(10_000)
    rare.say('full', 'error', 'queue full')
    assert.deepEqual(lines, [
      'error queue full',
      'warn else',
      'error queue full (and 999 more since the last line)',
    ])
  })
})
