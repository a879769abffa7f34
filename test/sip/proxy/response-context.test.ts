import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { HeaderFields } from '../../../src/sip/message/header-fields.ts'
import { Response } from '../../../src/sip/message/message.ts'
import { type ContextEffect, ResponseContext } from '../../../src/sip/proxy/response-context.ts'

const response = (status: number): Response => new Response(status, 'x', new HeaderFields())

/** 'try 0', 'respond 1 180', 'settle 486' … without timer C. */
function words(effects: readonly ContextEffect[]): string[] {
  return effects
    .filter(({ do: what }) => !what.endsWith('TimerC'))
    .map((effect) => {
      if (effect.do === 'settle') return `settle ${effect.best.status} ${effect.best.local ?? 'received'}`
      return effect.do === 'respond'
        ? `respond ${effect.branch} ${effect.response.status}`
        : `${effect.do} ${effect.branch}`
    })
}

function invite(count: number, strategy: 'parallel' | 'sequential' = 'parallel'): ResponseContext {
  const context = new ResponseContext('INVITE')
  context.add(count, strategy)
  return context
}

describe('RFC 3261 §16.7 response context', () => {
  it('tries all in parallel, or the first of a sequence, each with timer C', () => {
    assert.deepEqual(new ResponseContext('INVITE').add(2, 'parallel'), [
      { do: 'startTimerC', branch: 0 },
      { do: 'try', branch: 0 },
      { do: 'startTimerC', branch: 1 },
      { do: 'try', branch: 1 },
    ])
    assert.deepEqual(words(new ResponseContext('INVITE').add(2, 'sequential')), ['try 0'])
  })

  it('passes provisional responses and restarts timer C, but not for a 100', () => {
    const context = invite(1)
    assert.deepEqual(context.receive(0, response(100)), [])
    const ringing = response(180)
    assert.deepEqual(context.receive(0, ringing), [
      { do: 'startTimerC', branch: 0 },
      { do: 'respond', branch: 0, response: ringing },
    ])
  })

  it('passes every 2xx, cancels the others once, and no provisional response after it', () => {
    const context = invite(3)
    assert.deepEqual(words(context.receive(1, response(200))), ['respond 1 200', 'cancel 0', 'cancel 2'])
    assert.deepEqual(words(context.receive(0, response(180))), [])
    assert.deepEqual(words(context.receive(0, response(200))), ['respond 0 200'])
    assert.deepEqual(words(context.receive(1, response(200))), ['respond 1 200'])
    assert.deepEqual(words(context.receive(2, response(487))), [])
  })

  it('waits for every branch, then settles on the best', () => {
    const context = invite(3)
    assert.deepEqual(words(context.receive(0, response(503))), [])
    assert.deepEqual(words(context.failed(1, 'timeout')), [])
    assert.deepEqual(words(context.receive(2, response(486))), ['settle 486 received'])
  })

  it('asks nobody else after a 6xx, and prefers it', () => {
    const context = invite(2)
    assert.deepEqual(words(context.receive(0, response(603))), ['cancel 1'])
    assert.deepEqual(words(context.receive(1, response(487))), ['settle 603 received'])
    const sequence = invite(2, 'sequential')
    assert.deepEqual(words(sequence.receive(0, response(600))), ['settle 600 received'])
  })

  it('goes on to the next of a sequence, and not after a CANCEL', () => {
    const context = invite(3, 'sequential')
    assert.deepEqual(words(context.receive(0, response(486))), ['try 1'])
    assert.deepEqual(words(context.cancel()), ['cancel 1'])
    assert.deepEqual(words(context.receive(1, response(487))), ['settle 486 received'])
  })

  it('takes more targets after it has settled', () => {
    const context = invite(1)
    context.receive(0, response(486))
    assert.deepEqual(words(context.add(1, 'parallel')), ['try 1'])
    assert.deepEqual(words(context.failed(1, 'transport')), ['settle 503 transport'])
  })

  it('makes a 487 of a branch that never answered the CANCEL', () => {
    const context = invite(1)
    context.cancel()
    assert.deepEqual(words(context.failed(0, 'timeout')), ['settle 487 cancelled'])
  })

  it('gives up nobody twice', () => {
    const context = invite(2)
    assert.deepEqual(words(context.cancel()), ['cancel 0', 'cancel 1'])
    assert.deepEqual(words(context.cancel()), [])
    assert.deepEqual(words(context.close()), [])
  })
})

describe('RFC 3261 §16.8 timer C', () => {
  it('cancels a branch that rings, whose 487 then means 408', () => {
    const context = invite(1)
    context.receive(0, response(180))
    assert.deepEqual(words(context.timerC(0)), ['cancel 0'])
    assert.deepEqual(words(context.receive(0, response(487))), ['settle 408 no-answer'])
  })

  it('lets a 2xx that crosses the CANCEL win', () => {
    const context = invite(1)
    context.receive(0, response(180))
    context.timerC(0)
    assert.deepEqual(words(context.receive(0, response(200))), ['respond 0 200'])
  })

  it('acts as a 408 when nothing was heard', () => {
    assert.deepEqual(words(invite(1).timerC(0)), ['settle 408 timeout'])
  })
})

describe('requests other than INVITE', () => {
  it('have no timer C, no provisional response (RFC 4320 §4.1), no CANCEL, and one final response', () => {
    const context = new ResponseContext('MESSAGE')
    assert.deepEqual(context.add(2, 'parallel'), [
      { do: 'try', branch: 0 },
      { do: 'try', branch: 1 },
    ])
    assert.deepEqual(context.receive(0, response(183)), [])
    assert.deepEqual(words(context.receive(0, response(200))), ['respond 0 200'])
    assert.deepEqual(words(context.receive(1, response(202))), [])
    assert.deepEqual(words(context.cancel()), [])
  })
})
