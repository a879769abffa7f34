import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { breadthOf, shareBreadth } from '../../../src/sip/proxy/max-breadth.ts'
import { cookieBranch, isLoop, loopCookie } from '../../../src/sip/proxy/loop.ts'
import { request, type RequestOptions } from '../../core/lab.ts'

const own = {
  isOurs: (host: string, port: number | null) => host === '192.0.2.1' && (port ?? 5060) === 5060,
  isLocalDomain: () => false,
}
const FIELDS = ['Max-Forwards: 70', 'Route: <sip:p2;lr>', 'Proxy-Authorization: Digest username="a"']

describe('RFC 5393 §4.2 the loop cookie', () => {
  const cookie = (method: string, options: RequestOptions = {}): string =>
    loopCookie(request(method, { headers: FIELDS, ...options }))
  const plain = cookie('INVITE')

  it('is the same for the same routing: whatever the method, the Via and the hops left', () => {
    assert.equal(cookie('INVITE', { branch: 'z9hG4bKother' }), plain)
    assert.equal(cookie('CANCEL'), plain)
    assert.equal(cookie('ACK'), plain)
    assert.equal(cookie('INVITE', { headers: FIELDS.map((h) => h.replace('70', '9')) }), plain)
  })

  for (const [what, options] of [
    ['the Request-URI', { uri: 'sip:carol@10.0.0.2' }],
    ['the Call-ID', { callId: 'call-2' }],
    ['the From tag', { fromTag: 'b' }],
    ['the To tag', { toTag: 'b' }],
    ['the CSeq number', { cseq: 2 }],
    ['a Route', { headers: [...FIELDS, 'Route: <sip:p3;lr>'] }],
    [
      'credentials',
      { headers: [FIELDS[0] ?? '', FIELDS[1] ?? '', 'Proxy-Authorization: Digest username="b"'] },
    ],
    ['Proxy-Require', { headers: [...FIELDS, 'Proxy-Require: x'] }],
  ] as const) {
    it(`differs with ${what}`, () => assert.notEqual(cookie('INVITE', options), plain))
  }

  it('is a loop in a Via of ours, in another one it is not', () => {
    const branch = cookieBranch('z9hG4bKours', plain)
    for (const [host, loops] of [
      ['192.0.2.1', true],
      ['192.0.2.9', false],
    ] as const) {
      const back = request('INVITE', {
        headers: [...FIELDS, `Via: SIP/2.0/UDP ${host}:5060;branch=${branch}`],
      })
      assert.equal(isLoop(back, loopCookie(back), own), loops)
    }
  })
})

describe('RFC 5393 §5.3.3 the breadth of a request', () => {
  it('is what it says up to 1,000, and 60 when it says nothing that can be read', () => {
    for (const [value, breadth] of [
      ['0', 0],
      ['7', 7],
      ['999999999', 1_000],
      ['-1', 60],
      ['many', 60],
      ['99999999999999999999', 60],
    ] as const) {
      assert.equal(breadthOf(request('INVITE', { headers: [`Max-Breadth: ${value}`] })), breadth)
    }
    assert.equal(breadthOf(request('INVITE')), 60)
  })

  it('is shared without a rest, at least 1 each', () => {
    for (let breadth = 0; breadth <= 12; breadth++) {
      for (let branches = 1; branches <= 12; branches++) {
        const shares = shareBreadth(breadth, branches)
        if (breadth < branches) assert.equal(shares, null)
        else {
          assert.equal(shares?.length, branches)
          assert.equal(
            shares?.reduce((sum, share) => sum + share, 0),
            breadth,
          )
          assert.ok(shares?.every((share) => share >= 1))
        }
      }
    }
  })
})
