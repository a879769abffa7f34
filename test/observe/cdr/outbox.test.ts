import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { Outbox, type Entry } from '../../../src/observe/cdr/outbox.ts'

const entry = (id: number): Entry => ({ id: String(id), line: '{}', at: 0, failures: 0 })

describe('the account of a sink', () => {
  it('adds up after any sequence of events', () => {
    const event = fc.constantFrom(
      'offer',
      'keep',
      'take',
      'delivered',
      'failed',
      'dead',
      'dropped',
      'spooled',
    )
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), (events) => {
        const outbox = new Outbox('x', 5)
        const held: Entry[] = []
        for (const [i, e] of events.entries()) {
          const [first] = held
          if (e === 'offer' || e === 'keep') outbox.offer(entry(i), e === 'keep')
          else if (e === 'take') {
            const taken = outbox.take()
            if (taken) held.push(taken)
          } else if (first && e === 'failed') outbox.failed(first)
          else if (first && e === 'delivered') outbox.delivered(first)
          else if (first && (e === 'dead' || e === 'dropped' || e === 'spooled')) outbox.settle(first, e)
          if (first && e !== 'failed' && e !== 'offer' && e !== 'keep' && e !== 'take') held.shift()
          const l = outbox.levels()
          assert.equal(l.enqueued, l.delivered + l.retried + l.dropped + l.dead + l.spooled + l.queued)
          assert.ok(l.queued >= 0)
        }
      }),
    )
  })

  it('bounds what waits and what is in flight together', () => {
    const outbox = new Outbox('x', 2)
    outbox.offer(entry(1))
    outbox.take()
    assert.equal(outbox.offer(entry(2)), true)
    assert.equal(outbox.offer(entry(3)), false)
    assert.equal(outbox.levels().dropped, 1)
  })

  it('says retried of what was delivered after a failure', () => {
    const outbox = new Outbox('x', 2)
    outbox.offer(entry(1))
    const taken = outbox.take()
    assert.ok(taken)
    outbox.failed(taken)
    outbox.failed(taken)
    outbox.delivered(taken)
    const { delivered, retried, retries } = outbox.levels()
    assert.deepEqual({ delivered, retried, retries }, { delivered: 0, retried: 1, retries: 2 })
  })
})
