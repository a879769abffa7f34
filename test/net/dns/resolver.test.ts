import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Told } from '../../../src/net/dns/client.ts'
import type { Answer, Question } from '../../../src/net/dns/records.ts'
import { DnsResolver } from '../../../src/net/dns/resolver.ts'
import type { SystemNames } from '../../../src/net/dns/system.ts'

const LIMITS = { minTtlSecs: 2, maxTtlSecs: 100, maxNegativeTtlSecs: 20, maxStaleSecs: 1_000, size: 3 }

const found = (address: string, ttl: number | null): Told => ({
  outcome: 'found',
  records: [{ type: 'A', address }],
  ttl,
})
const none = (ttl: number | null): Told => ({ outcome: 'none', records: [], ttl })
const failed: Told = { outcome: 'failed', records: [], ttl: null }

/** A resolver whose servers answer when the test says so. */
function lab(names: Partial<SystemNames> = {}) {
  let now = 0
  const asked: { question: Question; tell: (told: Told) => void }[] = []
  const resolver = new DnsResolver({
    client: { ask: (question, then) => void asked.push({ question, tell: then }) },
    names: { search: [], ndots: 1, hosts: {}, ...names },
    limits: LIMITS,
    now: () => now,
  })
  const got: string[] = []
  return {
    resolver,
    got,
    asked,
    names: () => asked.map(({ question }) => `${question.type} ${question.name}`),
    ask: (name: string, type: Question['type'] = 'A') =>
      resolver.resolve({ name, type }, ({ outcome, records }: Answer) =>
        got.push(
          records.length > 0 ? records.map((r) => ('address' in r ? r.address : '?')).join(' ') : outcome,
        ),
      ),
    tell: (told: Told) => asked.at(-1)?.tell(told),
    pass: (secs: number) => (now += secs * 1000),
  }
}

describe('remembered answers', () => {
  it('are asked for once by all who wait, and are there for as long as they say', () => {
    const { ask, tell, got, asked, pass } = lab()
    ask('gw.example')
    ask('gw.example')
    ask('gw.example', 'AAAA')
    assert.equal(asked.length, 2)
    asked[0]?.tell(found('192.0.2.1', 30))
    tell(none(10))
    assert.deepEqual(got, ['192.0.2.1', '192.0.2.1', 'none'])
    pass(29)
    ask('gw.example')
    assert.equal(asked.length, 2)
    pass(1)
    ask('gw.example')
    assert.equal(asked.length, 3)
  })

  for (const [what, told, secs] of [
    ['a short TTL lasts the minimum', found('192.0.2.1', 0), 2],
    ['a long TTL lasts the maximum', found('192.0.2.1', 9_999), 100],
    ['"nothing" lasts as the SOA says (RFC 2308)', none(15), 15],
    ['"nothing" lasts the maximum for it', none(900), 20],
    ['"nothing" without SOA lasts 5 s', none(null), 5],
    ['that nobody could be asked lasts 5 s', failed, 5],
  ] as const) {
    it(what, () => {
      const { ask, tell, asked, pass } = lab()
      ask('gw.example')
      tell(told)
      pass(secs - 0.001)
      ask('gw.example')
      assert.equal(asked.length, 1)
      pass(0.001)
      ask('gw.example')
      assert.equal(asked.length, 2)
    })
  }

  it('serve past their end when no server answers, and are asked for again after 30 s (RFC 8767)', () => {
    const { ask, tell, got, asked, pass } = lab()
    ask('gw.example')
    tell(found('192.0.2.1', 30))
    pass(60)
    ask('gw.example')
    tell(failed)
    ask('gw.example')
    assert.equal(asked.length, 2)
    pass(31)
    ask('gw.example')
    assert.equal(asked.length, 3)
    tell(none(5))
    assert.deepEqual(got, ['192.0.2.1', '192.0.2.1', '192.0.2.1', 'none'])
  })

  it('serve no longer than they may', () => {
    const { ask, tell, got, pass } = lab()
    ask('gw.example')
    tell(found('192.0.2.1', 30))
    pass(1_031)
    ask('gw.example')
    tell(failed)
    assert.deepEqual(got, ['192.0.2.1', 'failed'])
  })

  it('are bounded: the longest unused one goes', () => {
    const { ask, tell, resolver, asked } = lab()
    for (const name of ['a.x', 'b.x', 'c.x']) {
      ask(name)
      tell(found('192.0.2.1', 50))
    }
    ask('a.x')
    ask('d.x')
    tell(found('192.0.2.1', 50))
    assert.equal(resolver.entries, 3)
    ask('a.x')
    assert.equal(asked.length, 4)
    ask('b.x')
    assert.equal(asked.length, 5)
  })
})

describe('questions', () => {
  it('are bounded: of more than 1,000 on their way the next one fails at once', () => {
    const { ask, got, asked } = lab()
    for (let i = 0; i < 1_001; i++) ask(`n${i}.example`)
    assert.equal(asked.length, 1_000)
    assert.deepEqual(got, ['failed'])
  })

  it('about names in /etc/hosts and localhost are answered here, whatever their type', () => {
    const { ask, got, asked } = lab({ hosts: { 'pbx.example': ['192.0.2.7', '2001:db8::7'] } })
    ask('pbx.example')
    ask('pbx.example', 'AAAA')
    ask('pbx.example', 'NAPTR')
    ask('localhost')
    ask('a.localhost', 'SRV')
    assert.deepEqual(got, ['192.0.2.7', '2001:db8::7', 'none', '127.0.0.1', 'none'])
    assert.equal(asked.length, 0)
  })

  it('about addresses of short names go through the search list, others do not', () => {
    const { ask, tell, names, got } = lab({ search: ['svc.local', 'local'], ndots: 2 })
    ask('pbx')
    tell(none(5))
    tell(found('192.0.2.1', 5))
    ask('pbx.ns')
    tell(none(5))
    tell(found('192.0.2.2', 5))
    ask('pbx', 'SRV')
    tell(none(5))
    ask('a.b.example')
    tell(none(5))
    assert.deepEqual(got, ['192.0.2.1', '192.0.2.2', 'none', 'none'])
    assert.deepEqual(names(), [
      'A pbx.svc.local',
      'A pbx.local',
      'A pbx.ns',
      'A pbx.ns.svc.local',
      'SRV pbx',
      'A a.b.example',
    ])
  })
})
