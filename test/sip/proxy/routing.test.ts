import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { HeaderFields } from '../../../src/sip/message/header-fields.ts'
import { Request, Response } from '../../../src/sip/message/message.ts'
import {
  aggregateChallenges,
  chooseBest,
  type Failure,
  upstreamOf,
} from '../../../src/sip/proxy/best-response.ts'
import { advance, forward, stamp } from '../../../src/sip/proxy/forward.ts'
import { cookieBranch, isLoop, loopCookie } from '../../../src/sip/proxy/loop.ts'
import { preprocess } from '../../../src/sip/proxy/preprocess.ts'
import { hopsLeft, validateRequest } from '../../../src/sip/proxy/validate.ts'

const own = {
  isOurs: (host: string, port: number | null) => host === '192.0.2.1' && (port ?? 5060) === 5060,
  isLocalDomain: (host: string) => host === 'ours.example',
}

function request(uri: string, fields: readonly (readonly [string, string])[] = []): Request {
  const headers = new HeaderFields()
  for (const [name, value] of [
    ['Via', 'SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa'],
    ['From', '<sip:a@b>;tag=1'],
    ['To', '<sip:b@c>'],
    ['Call-ID', 'x'],
    ['CSeq', '1 INVITE'],
    ...fields,
  ] as const) {
    headers.append(name, value)
  }
  return new Request('INVITE', uri, headers)
}

const failure = (status: number, headers: readonly (readonly [string, string])[] = []): Failure => {
  const fields = new HeaderFields()
  for (const [name, value] of headers) fields.append(name, value)
  return { branch: 0, status, response: new Response(status, 'x', fields), local: null }
}

describe('RFC 3261 §16.3 validation', () => {
  it('takes sip, sips and tel in any case, and answers 416 to others', () => {
    for (const uri of ['sip:a@b', 'SIPS:a@b', 'tel:+1'])
      assert.equal(validateRequest(request(uri), false), null)
    assert.equal(validateRequest(request('http://x'), false)?.status, 416)
  })

  it('minds hops only for what it would forward', () => {
    const last = request('sip:b', [['Max-Forwards', '0']])
    assert.equal(validateRequest(last, false)?.status, 483)
    assert.equal(validateRequest(last, true), null)
    assert.equal(hopsLeft(request('sip:b')), 71)
  })
})

describe('RFC 3261 §16.4 preprocessing', () => {
  const cases = [
    [
      'pops a Route of ours',
      'sip:b@c',
      ['<sip:192.0.2.1:5060;lr>', '<sip:p2;lr>'],
      true,
      'sip:b@c',
      ['<sip:p2;lr>'],
    ],
    ['pops one that names our domain', 'sip:b@c', ['<sip:ours.example;lr>'], true, 'sip:b@c', []],
    [
      'pops the pair of a change of transport',
      'sip:b@c',
      ['<sip:192.0.2.1;transport=tcp;lr;r2=on>', '<sip:192.0.2.1;lr;r2=on>'],
      true,
      'sip:b@c',
      [],
    ],
    [
      'pops only one of two passes',
      'sip:b@c',
      ['<sip:192.0.2.1;lr>', '<sip:192.0.2.1;lr>'],
      true,
      'sip:b@c',
      ['<sip:192.0.2.1;lr>'],
    ],
    [
      "leaves others' Routes",
      'sip:b@c',
      ['<sip:192.0.2.1:5070;lr>'],
      false,
      'sip:b@c',
      ['<sip:192.0.2.1:5070;lr>'],
    ],
    [
      'undoes a strict router',
      'sip:192.0.2.1;lr',
      ['<sip:p2;lr>', '<sip:bob@10.0.0.2>'],
      true,
      'sip:bob@10.0.0.2',
      ['<sip:p2;lr>'],
    ],
    ['takes off a maddr that is ours', 'sip:b@c;maddr=192.0.2.1', [], false, 'sip:b@c', []],
    ["leaves another's maddr", 'sip:b@c;maddr=10.9.9.9', [], false, 'sip:b@c;maddr=10.9.9.9', []],
  ] as const
  for (const [name, uri, routes, consumed, resultUri, left] of cases) {
    it(name, () => {
      const message = request(
        uri,
        routes.map((route) => ['Route', route] as const),
      )
      assert.equal(preprocess(message, own).consumed, consumed)
      assert.equal(message.uri, resultUri)
      assert.deepEqual(message.headers.all('route'), [...left])
    })
  }
})

describe('RFC 3261 §16.6 forwarding', () => {
  it('copies, counts a hop, and follows Route before the Request-URI', () => {
    const original = request('sip:b@c', [
      ['Route', '<sip:p2;lr>'],
      ['Max-Forwards', '10'],
    ])
    const { request: copy, nextHop } = forward(original, null, null)
    assert.equal(nextHop, 'sip:p2;lr')
    assert.equal(copy.headers.first('max-forwards'), '9')
    assert.equal(original.headers.first('max-forwards'), '10')
    assert.equal(forward(original, 'sip:new@d', null).request.uri, 'sip:new@d')
    assert.equal(forward(original, null, 'sip:hop').nextHop, 'sip:hop')
  })

  it('adds Max-Forwards 70 where there is none', () => {
    assert.equal(forward(request('sip:b@c'), null, null).request.headers.first('max-forwards'), '70')
  })

  it('adds it where a script has put what is no number', () => {
    const edited = request('sip:b@c', [['Max-Forwards', 'many']])
    assert.equal(forward(edited, null, null).request.headers.first('max-forwards'), '70')
  })

  it('rewrites for a strict router (step 6)', () => {
    const message = request('sip:b@c', [
      ['Route', '<sip:strict.example>'],
      ['Route', '<sip:p3;lr>'],
    ])
    assert.equal(advance(message), 'sip:strict.example')
    assert.equal(message.uri, 'sip:strict.example')
    assert.deepEqual(message.headers.all('route'), ['<sip:p3;lr>', '<sip:b@c>'])
  })

  it("drops what may not stand in a Request-URI from a contact's URI", () => {
    const { request: copy } = forward(request('sip:b@c'), '<sip:u@h;method=INVITE;transport=tcp?A=b>', null)
    assert.equal(copy.uri, 'sip:u@h;transport=tcp')
  })

  it('puts Via and Record-Route on top', () => {
    const message = request('sip:b@c', [['Record-Route', '<sip:p0;lr>']])
    stamp(message, 'SIP/2.0/UDP us;branch=z9hG4bKz', ['<sip:in;lr>', '<sip:out;lr>'])
    assert.deepEqual(message.headers.all('record-route'), ['<sip:out;lr>', '<sip:in;lr>', '<sip:p0;lr>'])
    assert.equal(message.headers.first('via'), 'SIP/2.0/UDP us;branch=z9hG4bKz')
  })
})

describe('RFC 5393 §4.2 loop detection', () => {
  it('knows its own cookie under its own sent-by, and no other', () => {
    const message = request('sip:b@c')
    const cookie = loopCookie(message)
    assert.equal(isLoop(message, cookie, own), false)
    message.headers.prepend('Via', `SIP/2.0/UDP 10.9.9.9;branch=${cookieBranch('z9hG4bKq', cookie)}`)
    assert.equal(isLoop(message, cookie, own), false)
    message.headers.prepend('Via', `SIP/2.0/UDP 192.0.2.1:5060;branch=${cookieBranch('z9hG4bKq', cookie)}`)
    assert.equal(isLoop(message, cookie, own), true)
  })

  it('changes with everything that routing depends on', () => {
    const cookies = [
      request('sip:b@c'),
      request('sip:b@d'),
      request('sip:b@c', [['Route', '<sip:p;lr>']]),
    ].map(loopCookie)
    assert.equal(new Set(cookies).size, 3)
    assert.equal(loopCookie(request('sip:b@c', [['Max-Forwards', '3']])), cookies[0])
  })
})

describe('RFC 3261 §16.7 steps 6 and 7', () => {
  for (const [statuses, best] of [
    [[503, 486], 486],
    [[404, 302], 302],
    [[486, 603, 302], 603],
    [[404, 401], 401],
    [[408, 404], 404],
    [[503, 500], 500],
    [[486, 404], 486],
  ] as const) {
    it(`chooses ${best} of ${statuses.join(', ')}`, () => {
      assert.equal(chooseBest(statuses.map((status) => failure(status)))?.status, best)
    })
  }

  it('sends every challenge with a challenge', () => {
    const one = failure(407, [['Proxy-Authenticate', 'one']])
    const all = [one, failure(486, [['WWW-Authenticate', 'no']]), failure(401, [['WWW-Authenticate', 'two']])]
    assert.ok(one.response)
    aggregateChallenges(one.response, all)
    assert.deepEqual(
      [one.response.headers.all('proxy-authenticate'), one.response.headers.all('www-authenticate')],
      [['one'], ['two']],
    )
  })

  it('makes a 500 of a 503', () => {
    const { response } = failure(503, [
      ['Retry-After', '9'],
      ['X-Why', 'a'],
    ])
    assert.ok(response)
    const up = upstreamOf(response)
    assert.deepEqual([up.status, up.headers.has('retry-after'), up.headers.first('x-why')], [500, false, 'a'])
  })
})
