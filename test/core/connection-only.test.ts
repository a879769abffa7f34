import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { asRegistered, fits, needsItsConnection } from '../../src/core/connection-only.ts'
import type { Flow } from '../../src/stack/transport.ts'
import { fork, lab, relay, request } from './lab.ts'

describe('who listens nowhere (RFC 7118 §5)', () => {
  it('is known by his URI', () => {
    for (const uri of [
      'sip:x@abc.invalid;transport=ws',
      'sip:x@ABC.INVALID',
      'sip:x@abc.invalid:5060',
      'sip:x@192.0.2.1;transport=WSS;ob',
    ])
      assert.equal(needsItsConnection(uri), true, uri)
    for (const uri of [
      'sip:x@example.com',
      'sip:x@192.0.2.1;transport=tcp',
      'sip:x@my.invalid.example.com',
      'sip:x@example.com;user=wss',
    ])
      assert.equal(needsItsConnection(uri), false, uri)
    assert.equal(asRegistered('sip:x@abc.invalid;transport=ws;ob'), 'sip:x@abc.invalid;transport=ws')
    assert.equal(asRegistered('sip:x@abc.invalid'), null)
  })

  it('gets requests over his connection, and 480 at once when it is gone; nothing is resolved or dialled', () => {
    const l = lab()
    const contact = 'sip:x@abc.invalid;transport=ws'
    const flow = l.flowOf('10.0.0.7', 'ws', 40_000)
    l.registered.set(contact, flow)
    l.script.request.push(fork([contact]))
    l.receive(request('INVITE', { callId: 'c1', branch: 'z9hG4bKone' }), '10.0.0.1')
    assert.match(l.lastTo('10.0.0.7', 'INVITE').headers.first('via') ?? '', /^SIP\/2\.0\/WS /)
    l.answer('10.0.0.7', 'INVITE', 486)
    flow.closed = true
    l.script.request.push(fork([contact]))
    l.receive(request('INVITE', { callId: 'c2', branch: 'z9hG4bKtwo' }), '10.0.0.1')
    assert.equal(l.lastResponse().status, 480)
    l.script.request.push(relay(`sip:x@192.0.2.1;transport=wss`))
    l.receive(request('INVITE', { callId: 'c3', branch: 'z9hG4bKthree' }), '10.0.0.1')
    assert.equal(l.lastResponse().status, 480)
    assert.deepEqual(l.resolving, [])
  })
})

describe('sips (RFC 3261 §26.2.2)', () => {
  it('takes no connection without TLS', () => {
    const over = (protocol: string): Flow => ({ path: { protocol } }) as unknown as Flow
    for (const protocol of ['tls', 'wss']) assert.equal(fits('sips:a@b', over(protocol)), true)
    for (const protocol of ['udp', 'tcp', 'ws']) assert.equal(fits('sips:a@b', over(protocol)), false)
    assert.equal(fits('sip:a@b', over('tcp')), true)
  })

  it('is told in Record-Route', () => {
    const l = lab()
    l.script.request.push(relay('sip:10.0.0.2:5061;transport=tls', { recordRoute: true }))
    l.receive(request('INVITE', { uri: 'sips:bob@10.0.0.2' }), '10.0.0.1', 'tls')
    const routes = l.lastTo('10.0.0.2', 'INVITE').headers.all('record-route')
    assert.deepEqual(routes, ['<sips:192.0.2.1:5060;transport=tls;lr>'])
  })
})
