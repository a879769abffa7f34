import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { attachLogTap } from '../../../src/observe/log/tap.ts'
import { createSpine } from '../../../src/spine/spine.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function setup() {
  const spine = createSpine((channel, error) => assert.fail(`${channel}: ${String(error)}`))
  const lines: string[] = []
  attachLogTap(spine, new FakeClock(), ({ level, text }) => void lines.push(`${level} ${text}`))
  const unhandled = (method: string): void =>
    spine.scriptFailed.publish({
      handler: 'onRequest',
      reason: 'no_handler',
      where: null,
      what: `the script has no handler for ${method}`,
      callId: 'a',
    })
  return { spine, lines, unhandled }
}

describe('failures of the script in the log', () => {
  it('are told each, with their place', () => {
    const { spine, lines } = setup()
    const failure = { handler: 'onRequest(INVITE)', reason: 'exception', where: 'script.ts:3:9' } as const
    for (let i = 0; i < 2; i++) spine.scriptFailed.publish({ ...failure, what: 'Error: x', callId: 'a' })
    assert.deepEqual(lines, Array(2).fill('error script.ts:3:9: onRequest(INVITE): exception: Error: x'))
  })

  it('tell a method without a handler once a script: whoever can send a request could fill the log', () => {
    const { spine, lines, unhandled } = setup()
    for (const method of ['SUBSCRIBE', 'MESSAGE', 'SUBSCRIBE']) unhandled(method)
    assert.deepEqual(
      lines,
      ['SUBSCRIBE', 'MESSAGE'].map(
        (method) => `error script: onRequest: no_handler: the script has no handler for ${method}`,
      ),
    )
    for (let i = 0; i < 1000; i++) unhandled(`X${i}`)
    assert.equal(lines.length, 20)
    spine.scriptServes.publish({ handlers: [] })
    unhandled('SUBSCRIBE')
    assert.equal(lines.length, 21)
  })
})
