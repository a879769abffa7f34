import assert from 'node:assert/strict'
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import { after, beforeEach, describe, it, mock } from 'node:test'
import { HostResolver } from '../../src/net/resolve.ts'

type Answer = (error: Error | null, found: { address: string; family: number }[]) => void

/** Questions to the system that have not been answered. */
let asked: { host: string; answer: Answer }[] = []
mock.method(
  dns,
  'lookup',
  (host: string, _options: unknown, answer: Answer) => void asked.push({ host, answer }),
)
syncBuiltinESMExports()

describe('host names to addresses', () => {
  beforeEach(() => (asked = []))
  after(() => {
    mock.restoreAll()
    syncBuiltinESMExports()
  })

  function lab() {
    let now = 0
    const resolver = new HostResolver(() => now)
    const got: string[] = []
    return {
      got,
      ask: (host: string) => resolver.resolve(host, (addresses) => void got.push(addresses.join(' '))),
      pass: (ms: number) => (now += ms),
    }
  }

  it('answers IP addresses at once without asking anybody', () => {
    const { got, ask } = lab()
    ask('192.0.2.1')
    ask('2001:db8::1')
    assert.deepEqual(got, ['192.0.2.1', '2001:db8::1'])
    assert.equal(asked.length, 0)
  })

  it('asks once for all who wait, and remembers for 30 s', () => {
    const { got, ask, pass } = lab()
    ask('gw.example')
    ask('gw.example')
    assert.equal(asked.length, 1)
    asked[0]?.answer(null, [
      { address: '192.0.2.1', family: 4 },
      { address: '192.0.2.2', family: 4 },
    ])
    pass(29_000)
    ask('gw.example')
    assert.deepEqual(got, Array(3).fill('192.0.2.1 192.0.2.2'))
    assert.equal(asked.length, 1)
    pass(2_000)
    ask('gw.example')
    assert.equal(asked.length, 2)
  })

  it('answers a name that has none with an empty list, remembered for 5 s', () => {
    const { got, ask, pass } = lab()
    ask('nowhere.example')
    asked[0]?.answer(new Error('ENOTFOUND'), [])
    pass(4_000)
    ask('nowhere.example')
    assert.deepEqual(got, ['', ''])
    pass(2_000)
    ask('nowhere.example')
    assert.equal(asked.length, 2)
  })
})
