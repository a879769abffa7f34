import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { buildAck, buildCancel, buildResponse } from '../../../src/sip/message/build.ts'
import { parseMessage } from '../../../src/sip/message/parse.ts'
import { serialize } from '../../../src/sip/message/serialize.ts'
import { reasonPhrase } from '../../../src/sip/message/status.ts'

function request(method = 'INVITE', toTag = '') {
  const lines = [
    `${method} sip:b@example.com SIP/2.0`,
    'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2',
    'Record-Route: <sip:p2;lr>, <sip:p1;lr>',
    'Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1',
    'Route: <sip:r1;lr>',
    'Route: <sip:r2;lr>',
    'From: <sip:a@example.com>;tag=1',
    `To: <sip:b@example.com>${toTag}`,
    'Call-ID: 1',
    `CSeq: 7 ${method}`,
    'Timestamp: 54.2',
  ]
  const parsed = parseMessage(`${lines.join('\r\n')}\r\n\r\n`)
  assert.ok(parsed.ok && parsed.message.kind === 'request')
  return parsed.message
}

describe('RFC 3261 §8.2.6 generating a response', () => {
  it('copies what identifies the request, in order, and adds a tag', () => {
    assert.deepEqual(serialize(buildResponse(request(), 486, { toTag: 'x' })).split('\r\n'), [
      'SIP/2.0 486 Busy Here',
      'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2',
      'Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1',
      'From: <sip:a@example.com>;tag=1',
      'To: <sip:b@example.com>;tag=x',
      'Call-ID: 1',
      'CSeq: 7 INVITE',
      'Content-Length: 0',
      '',
      '',
    ])
  })

  it('adds no tag to a 100 and none to a To that has one', () => {
    const trying = buildResponse(request(), 100, { toTag: 'x' })
    assert.equal(trying.toTag, undefined)
    assert.equal(trying.headers.first('timestamp'), '54.2')
    assert.equal(buildResponse(request('BYE', ';tag=2'), 200, { toTag: 'x' }).toTag, '2')
  })

  it('copies Record-Route into what makes a dialog (§12.1.1)', () => {
    const routes = ['<sip:p2;lr>', '<sip:p1;lr>']
    assert.deepEqual(buildResponse(request(), 180).headers.all('record-route'), routes)
    assert.deepEqual(buildResponse(request('SUBSCRIBE'), 200).headers.all('record-route'), routes)
    assert.deepEqual(buildResponse(request(), 100).headers.all('record-route'), [])
    assert.deepEqual(buildResponse(request(), 404).headers.all('record-route'), [])
    assert.deepEqual(buildResponse(request('OPTIONS'), 200).headers.all('record-route'), [])
  })

  it('takes a reason, fields and a body', () => {
    const text = serialize(
      buildResponse(request('OPTIONS'), 200, {
        reason: 'Fine',
        headers: [['Accept', 'application/sdp']],
        body: 'hello',
        contentType: 'text/plain',
      }),
    )
    assert.ok(text.startsWith('SIP/2.0 200 Fine\r\n'))
    assert.ok(
      text.endsWith(
        '\r\nAccept: application/sdp\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello',
      ),
    )
  })

  it('lets nobody put in a line', () => {
    assert.throws(() => buildResponse(request(), 200, { reason: 'OK\r\nX: y' }), TypeError)
    assert.throws(() => buildResponse(request(), 200, { headers: [['X', 'a\r\nX: y']] }), TypeError)
    assert.throws(() => buildResponse(request(), 200, { toTag: '\n' }), TypeError)
    assert.throws(() => buildResponse(request(), 99), RangeError)
  })
})

describe('requests of the INVITE transaction', () => {
  it('§17.1.1.3: the ACK has the INVITE’s Via, Route and CSeq number, and the To of the response', () => {
    const invite = request()
    const response = buildResponse(invite, 486, { toTag: 'x' })
    assert.deepEqual(serialize(buildAck(invite, response)).split('\r\n'), [
      'ACK sip:b@example.com SIP/2.0',
      'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2',
      'Route: <sip:r1;lr>',
      'Route: <sip:r2;lr>',
      'Max-Forwards: 70',
      'From: <sip:a@example.com>;tag=1',
      'To: <sip:b@example.com>;tag=x',
      'Call-ID: 1',
      'CSeq: 7 ACK',
      'Content-Length: 0',
      '',
      '',
    ])
  })

  it('§9.1: the CANCEL has the To of the INVITE', () => {
    const cancel = buildCancel(request())
    assert.equal(cancel.method, 'CANCEL')
    assert.equal(cancel.headers.first('to'), '<sip:b@example.com>')
    assert.deepEqual(cancel.cseq, { number: 7, method: 'CANCEL' })
    assert.equal(cancel.headers.count('via'), 1)
    assert.ok(parseMessage(serialize(cancel)).ok)
  })
})

describe('RFC 3261 §21 reason phrases', () => {
  it('has one for each status, of its class when it is unknown', () => {
    assert.equal(reasonPhrase(416), 'Unsupported URI Scheme')
    assert.equal(reasonPhrase(513), 'Message Too Large')
    assert.equal(reasonPhrase(599), 'Server Failure')
    for (let code = 100; code < 700; code++) assert.notEqual(reasonPhrase(code), '')
  })
})
