import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Decision } from '../../../src/core/verdict.ts'
import type { AgentCall } from '../../support/agent.ts'
import { b2buaLab, decision, dial, type Script, uriOf } from '../../support/b2bua-lab.ts'

const US = '192.0.2.254:5060'

/** Sends the call to this URI and stays on its path, as `call.proxy()` and a handler for requests would. */
const proxyTo = (uri: string): Decision =>
  decision({ do: 'fork', targets: [uri], strategy: 'parallel' }, { recordRoute: true })

/** What is within a dialog follows its route. */
const request = (): Decision => decision({ do: 'relay', target: null })

/** A call from Alice to Bob of which both the proxy and the back-to-back user agent are parts, up for a second. */
function upCall(script: Script) {
  const room = b2buaLab({ latencyMs: 10, script })
  const { alice, bob, clock } = room
  const a = alice.call('sip:first@example.com')
  clock.advance(60)
  const b = bob.calls[0] as AgentCall
  b.answer(200, { sdp: 'v=0\r\n' })
  clock.advance(100)
  a.ack()
  clock.advance(1_000)
  assert.equal(bob.got().at(-1), 'ACK')
  room.clearLadder()
  const ended = () => room.records.map((r) => [r.kind, r.responseCode, r.disconnectInitiator]).toSorted()
  return { ...room, a, b, ended }
}

describe('a call that the script proxies to the back-to-back user agent of the same server', () => {
  const script: Script = {
    request,
    invite: (job) => (job.request.uri.includes('first') ? proxyTo(`sip:second@${US}`) : dial(['bob'])()),
  }

  it('is hung up by the caller past the proxy, and both have their record', () => {
    const { a, b, bob, clock, ...room } = upCall(script)
    a.bye()
    clock.advance(50)
    b.answer(200, {}, bob.lastRequest('BYE'))
    clock.advance(50)
    room.assertLadder(`
      1160  alice  → siphon  BYE
      1170  siphon → siphon  BYE
      1180  siphon → siphon  200 BYE
      1180  siphon → bob     BYE
      1190  siphon → alice   200 BYE
      1210  bob    → siphon  200 BYE`)
    room.assertEmpty()
    assert.deepEqual(room.ended(), [
      ['b2bua', 200, 'caller'],
      ['proxy', 200, 'caller'],
    ])
  })

  it('is hung up by the callee past the proxy, and both have their record', () => {
    const { a, b, alice, clock, ...room } = upCall(script)
    b.bye()
    clock.advance(50)
    a.answer(200, {}, alice.lastRequest('BYE'))
    clock.advance(50)
    room.assertLadder(`
      1160  bob    → siphon  BYE
      1170  siphon → bob     200 BYE
      1170  siphon → siphon  BYE
      1180  siphon → alice   BYE
      1210  alice  → siphon  200 BYE
      1220  siphon → siphon  200 BYE`)
    room.assertEmpty()
    assert.deepEqual(room.ended(), [
      ['b2bua', 200, 'callee'],
      ['proxy', 200, 'callee'],
    ])
  })
})

describe('a call that the back-to-back user agent makes through the proxy of the same server', () => {
  const script: Script = {
    request,
    invite: (job) =>
      job.request.uri.includes('first')
        ? dial([], { targets: [{ uri: `sip:second@${US}`, nextHop: null }] })()
        : proxyTo(uriOf('bob')),
  }

  it('is hung up by the caller', () => {
    const { a, b, bob, clock, ...room } = upCall(script)
    a.bye()
    clock.advance(50)
    b.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
    assert.deepEqual(room.ended(), [
      ['b2bua', 200, 'caller'],
      ['proxy', 200, 'caller'],
    ])
  })

  it('is hung up by the callee, whose BYE passes the proxy first', () => {
    const { a, b, alice, clock, ...room } = upCall(script)
    b.bye()
    clock.advance(50)
    a.answer(200, {}, alice.lastRequest('BYE'))
    room.assertEmpty()
    assert.deepEqual(room.ended(), [
      ['b2bua', 200, 'callee'],
      ['proxy', 200, 'callee'],
    ])
  })
})
