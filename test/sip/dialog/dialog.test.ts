import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Dialog } from '../../../src/sip/dialog/dialog.ts'
import { buildResponse } from '../../../src/sip/message/build.ts'
import type { Request, Response } from '../../../src/sip/message/message.ts'
import { parsed } from '../../core/lab.ts'

function invite(more: readonly string[] = []): Request {
  const message = parsed(
    [
      'INVITE sip:bob@b.example SIP/2.0',
      'Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1',
      'From: "A" <sip:a@a.example>;tag=at',
      'To: <sip:bob@b.example>',
      'Call-ID: c1',
      'CSeq: 7 INVITE',
      'Contact: <sip:a@10.0.0.1:5061>',
      ...more,
    ].join('\n'),
  )
  if (message.kind !== 'request') throw new Error('no request')
  return message
}

function ok(more: readonly (readonly [string, string])[]): Response {
  return buildResponse(invite(), 200, { toTag: 'bt', headers: more })
}

describe('a dialog (RFC 3261 §12)', () => {
  it('as the caller keeps it: route set reversed, target from the Contact, CSeq going on', () => {
    const dialog = Dialog.uac(
      invite(),
      ok([
        ['Record-Route', '<sip:p2;lr>'],
        ['Record-Route', '<sip:p1;lr>'],
        ['Contact', '<sip:bob@10.0.0.2>'],
      ]),
    )
    const { request, nextHop } = dialog.request('BYE')
    assert.equal(request.uri, 'sip:bob@10.0.0.2')
    assert.deepEqual(request.headers.all('route'), ['<sip:p1;lr>', '<sip:p2;lr>'])
    assert.equal(nextHop, 'sip:p1;lr')
    assert.equal(request.headers.first('cseq'), '8 BYE')
    assert.equal(request.headers.first('from'), '"A" <sip:a@a.example>;tag=at')
    assert.equal(request.headers.first('to'), '<sip:bob@b.example>;tag=bt')
    assert.equal(dialog.ack(7).request.headers.first('cseq'), '7 ACK')
    assert.equal(dialog.request('INFO').request.headers.first('cseq'), '9 INFO')
  })

  it('as the callee keeps it: route set in order, From and To exchanged, own CSeq', () => {
    const dialog = Dialog.uas(invite(['Record-Route: <sip:p1;lr>, <sip:p2;lr>']), 'bt')
    const { request } = dialog.request('BYE')
    assert.equal(request.uri, 'sip:a@10.0.0.1:5061')
    assert.deepEqual(request.headers.all('route'), ['<sip:p1;lr>', '<sip:p2;lr>'])
    assert.equal(request.headers.first('cseq'), '1 BYE')
    assert.equal(request.headers.first('from'), '<sip:bob@b.example>;tag=bt')
    assert.equal(request.headers.first('to'), '"A" <sip:a@a.example>;tag=at')
  })

  it('a strict router gets its own URI, and the target comes last (§12.2.1.1)', () => {
    const dialog = Dialog.uas(invite(['Record-Route: <sip:p1>, <sip:p2;lr>']), 'bt')
    const { request, nextHop } = dialog.request('BYE')
    assert.equal(request.uri, 'sip:p1')
    assert.equal(nextHop, 'sip:p1')
    assert.deepEqual(request.headers.all('route'), ['<sip:p2;lr>', '<sip:a@10.0.0.1:5061>'])
  })

  it('admits requests in order only, with gaps (§12.2.2)', () => {
    const dialog = Dialog.uas(invite(), 'bt')
    const bye = (cseq: number): Request => {
      const request = invite()
      request.headers.set('CSeq', `${cseq} BYE`)
      return request
    }
    assert.equal(dialog.admits(bye(7)), false)
    assert.equal(dialog.admits(bye(9)), true)
    assert.equal(dialog.admits(bye(8)), false)
    assert.equal(dialog.admits(bye(10)), true)
  })

  it('the target moves with a refresh, and stays without a Contact that can be read', () => {
    const dialog = Dialog.uas(invite(), 'bt')
    dialog.refresh(ok([['Contact', '<sip:a@10.0.0.9>']]))
    assert.equal(dialog.target, 'sip:a@10.0.0.9')
    dialog.refresh(ok([]))
    assert.equal(dialog.target, 'sip:a@10.0.0.9')
  })

  it('the 2xx that confirms it has the route set (§13.2.2.4)', () => {
    const dialog = Dialog.uac(invite(), ok([['Contact', '<sip:b@1.1.1.1>']]))
    dialog.confirm(
      ok([
        ['Record-Route', '<sip:p9;lr>'],
        ['Contact', '<sip:b@2.2.2.2>'],
      ]),
    )
    assert.deepEqual(dialog.routes, ['<sip:p9;lr>'])
    assert.equal(dialog.target, 'sip:b@2.2.2.2')
  })
})
