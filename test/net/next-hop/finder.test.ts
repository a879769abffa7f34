import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Found, Hop } from '../../../src/base/next-hop.ts'
import type { Answer, Question } from '../../../src/net/dns/records.ts'
import { NextHopFinder } from '../../../src/net/next-hop/finder.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const GW: Hop = { host: 'gw.example', port: 5070, protocol: null, secure: false }
const DOMAIN: Hop = { ...GW, port: null }
const ADDRESS: Answer = { outcome: 'found', records: [{ type: 'A', address: '10.0.0.1' }] }
const TARGET: Found = { ok: true, targets: [{ protocol: 'udp', host: '10.0.0.1', port: 5070 }] }

function lab(dns: (question: Question, then: (answer: Answer) => void) => void) {
  const clock = new FakeClock()
  const finder = new NextHopFinder({
    clock,
    dns: { resolve: dns },
    policy: { supported: ['udp'], families: [4] },
    random: () => 0,
    deadlineMs: 4_000,
  })
  const found: Found[] = []
  return { clock, found, find: (hop: Hop) => finder.find(hop, (result) => void found.push(result)) }
}

describe('the search for a next hop', () => {
  it('ends at once for an address and for what is known, and leaves no timer', () => {
    const { find, found, clock } = lab((_question, then) => then(ADDRESS))
    find({ ...GW, host: '10.0.0.1' })
    find(GW)
    assert.deepEqual(found, [TARGET, TARGET])
    assert.equal(clock.pendingTimers, 0)
  })

  it('ends when the last answer is there, and only once', () => {
    const waiting: ((answer: Answer) => void)[] = []
    const { find, found, clock } = lab((_question, then) => void waiting.push(then))
    find(GW)
    assert.deepEqual(found, [])
    waiting[0]?.(ADDRESS)
    clock.advance(10_000)
    assert.deepEqual(found, [TARGET])
    assert.equal(clock.pendingTimers, 0)
  })

  it('ends at its deadline over all questions, with what it has: nothing', () => {
    const { find, found, clock } = lab(() => undefined)
    find(DOMAIN)
    clock.advance(3_999)
    assert.deepEqual(found, [])
    clock.advance(1)
    assert.deepEqual(found, [{ ok: false, why: 'failed' }])
  })

  it('tells a name that is not there from one that could not be asked for', () => {
    const nothing = lab((_question, then) => then({ outcome: 'none', records: [] }))
    nothing.find(DOMAIN)
    assert.deepEqual(nothing.found, [{ ok: false, why: 'none' }])
    const failing = lab((_question, then) => then({ outcome: 'failed', records: [] }))
    failing.find(DOMAIN)
    assert.deepEqual(failing.found, [{ ok: false, why: 'failed' }])
  })

  it('with an answer that comes after the deadline does nothing more', () => {
    const waiting: ((answer: Answer) => void)[] = []
    const { find, found, clock } = lab((_question, then) => void waiting.push(then))
    find(GW)
    clock.advance(4_000)
    waiting[0]?.(ADDRESS)
    assert.deepEqual(found, [{ ok: false, why: 'failed' }])
  })
})
