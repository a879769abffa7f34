import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Located, locate, type Resolver } from '../../src/core/target.ts'

const never: Resolver = { resolve: () => assert.fail('no name to resolve') }

function at(text: string, resolver = never): Located | undefined {
  let found: Located | undefined
  locate(text, resolver, (located) => (found = located))
  return found
}

describe('RFC 3263 §4 where a URI leads', () => {
  const cases = [
    ['sip:bob@10.0.0.2', 'udp', '10.0.0.2', 5060],
    ['sip:10.0.0.2:5080;transport=TCP', 'tcp', '10.0.0.2', 5080],
    ['sips:bob@10.0.0.2', 'tls', '10.0.0.2', 5061],
    ['sip:bob@[2001:db8::1]:5062', 'udp', '2001:db8::1', 5062],
    ['sip:b@10.0.0.2;transport=ws', 'ws', '10.0.0.2', 5060],
    ['sips:b@10.0.0.2;transport=ws', 'wss', '10.0.0.2', 5061],
    ['sip:bob@example.com;maddr=10.0.0.3', 'udp', '10.0.0.3', 5060],
    ['10.0.0.2:5070', 'udp', '10.0.0.2', 5070],
  ] as const
  for (const [text, protocol, host, port] of cases) {
    it(`finds ${text} at once`, () => {
      // Whose certificate it must be.
      const name = protocol === 'tls' ? { name: host } : {}
      assert.deepEqual(at(text), { ok: true, target: { protocol, host, port, ...name } })
    })
  }

  it('asks for the address of a name', () => {
    const asked: string[] = []
    const resolver: Resolver = {
      resolve: (host, then) => {
        asked.push(host)
        then(host === 'gw.example' ? ['10.0.0.9', '10.0.0.8'] : [])
      },
    }
    assert.deepEqual(at('sip:gw.example:5070', resolver), {
      ok: true,
      target: { protocol: 'udp', host: '10.0.0.9', port: 5070 },
    })
    assert.equal(at('gw.example:5070', resolver)?.ok, true)
    const missing = at('sip:nowhere.example', resolver)
    assert.equal(missing?.ok === false && missing.status, 404)
    assert.deepEqual(asked, ['gw.example', 'gw.example', 'nowhere.example'])
  })

  it('answers 416 for what is no SIP URI or an unknown transport, 400 for no URI', () => {
    for (const [text, status] of [
      ['tel:+1', 416],
      ['sip:b@10.0.0.1;transport=sctp', 416],
      ['sip:', 400],
    ] as const) {
      const located = at(text)
      assert.equal(located?.ok === false && located.status, status, text)
    }
  })
})
