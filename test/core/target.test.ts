import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Found, Hop, NextHops } from '../../src/base/next-hop.ts'
import { type Located, locate, protocolOf } from '../../src/core/target.ts'

/** What a text asks for, and what is made of the answer. */
function at(text: string, found: Found = { ok: false, why: 'none' }): { located: Located; hop: Hop | null } {
  let hop: Hop | null = null
  const resolver: NextHops = {
    find: (asked, then) => {
      hop = asked
      then(found)
    },
  }
  let located: Located | null = null
  locate(text, resolver, (result) => (located = result))
  assert.ok(located !== null)
  return { located, hop }
}

describe('RFC 3263 §4 what a URI asks for', () => {
  const cases = [
    ['sip:bob@10.0.0.2', '10.0.0.2', null, null, false],
    ['sip:10.0.0.2:5080;transport=TCP', '10.0.0.2', 5080, 'tcp', false],
    ['sips:bob@10.0.0.2', '10.0.0.2', null, null, true],
    ['sips:bob@b.example;transport=tcp', 'b.example', null, 'tls', true],
    ['sip:bob@[2001:db8::1]:5062', '2001:db8::1', 5062, null, false],
    ['sip:b@10.0.0.2;transport=ws', '10.0.0.2', null, 'ws', false],
    ['sips:b@10.0.0.2;transport=ws', '10.0.0.2', null, 'wss', true],
    ['sip:bob@example.com;maddr=10.0.0.3', '10.0.0.3', null, null, false],
    ['sip:bob@example.com;maddr=[2001:db8::3]', '2001:db8::3', null, null, false],
    ['sip:bob@Example.COM.', 'example.com', null, null, false],
    ['10.0.0.2:5070', '10.0.0.2', 5070, null, false],
    ['gw.example:5070', 'gw.example', 5070, null, false],
  ] as const
  for (const [text, host, port, protocol, secure] of cases) {
    it(text, () => assert.deepEqual(at(text).hop, { host, port, protocol, secure }))
  }

  it('gives every target, the first one apart as well', () => {
    const targets = [
      { protocol: 'udp', host: '10.0.0.9', port: 5070 },
      { protocol: 'tcp', host: '10.0.0.8', port: 5070 },
    ] as const
    const { located } = at('sip:gw.example', { ok: true, targets })
    assert.deepEqual(located, { ok: true, target: targets[0], targets })
  })

  it('answers 404 for a name without address, 503 when nobody could be asked', () => {
    const none = at('sip:nowhere.example').located
    assert.equal(!none.ok && none.status, 404)
    const failed = at('sip:nowhere.example', { ok: false, why: 'failed' }).located
    assert.equal(!failed.ok && failed.status, 503)
  })

  it('answers 416 for what is no SIP URI or an unknown transport, 400 for no URI', () => {
    for (const [text, status] of [
      ['tel:+1', 416],
      ['sip:b@10.0.0.1;transport=sctp', 416],
      ['sip:', 400],
    ] as const) {
      const { located, hop } = at(text)
      assert.equal(!located.ok && located.status, status, text)
      assert.equal(hop, null)
    }
  })
})

describe('RFC 3263 §4.1 the transport that a URI says', () => {
  const cases = [
    ['sip:10.0.0.2', 'udp'],
    ['sip:[2001:db8::1]', 'udp'],
    ['10.0.0.2:5070', 'udp'],
    ['sip:gw.example:5070', 'udp'],
    ['sip:gw.example', null],
    ['sip:gw.example;maddr=10.0.0.3', 'udp'],
    ['sip:gw.example;transport=TCP', 'tcp'],
    ['sips:gw.example', 'tls'],
    ['sips:10.0.0.2', 'tls'],
    ['sips:gw.example;transport=ws', 'wss'],
    ['sip:gw.example;transport=sctp', null],
    ['tel:+123', null],
  ] as const
  for (const [text, protocol] of cases) {
    it(`${text}: ${protocol ?? 'none'}`, () => assert.equal(protocolOf(text), protocol))
  }
})
