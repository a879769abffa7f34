import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { buildResponse } from '../../../src/sip/message/build.ts'
import { HeaderFields } from '../../../src/sip/message/header-fields.ts'
import { type Message, Request, Response } from '../../../src/sip/message/message.ts'
import { defaultLimits, parseMessage } from '../../../src/sip/message/parse.ts'
import { serialize } from '../../../src/sip/message/serialize.ts'

const mandatory = [
  'Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1',
  'From: "A. Bell" <sip:a@example.com>;tag=1',
  'To: <sip:b@example.com>',
  'Call-ID: 1@192.0.2.1',
  'CSeq: 7 INVITE',
]

function invite(...extra: string[]): string {
  return ['INVITE sip:b@example.com SIP/2.0', ...mandatory, ...extra, '', ''].join('\r\n')
}

function taken(text: string): Message {
  const result = parseMessage(text)
  assert.ok(result.ok, result.ok ? '' : result.fault.what)
  return result.message
}

function refused(text: string, status = 400): Request | null {
  const result = parseMessage(text)
  assert.ok(!result.ok, 'the message was taken')
  assert.equal(result.fault.status, status, result.fault.what)
  return result.answerable
}

function response(statusLine: string): string {
  return invite().replace('INVITE sip:b@example.com SIP/2.0', statusLine)
}

function headers(method: string, extra: readonly (readonly [string, string])[]): HeaderFields {
  const fields = new HeaderFields()
  for (const line of mandatory.slice(0, -1))
    fields.append(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2))
  fields.append('CSeq', `7 ${method}`)
  for (const [name, text] of extra) fields.append(name, text)
  return fields
}

describe('RFC 3261 §7.1 request line', () => {
  it('takes any token for a method and any scheme in the Request-URI', () => {
    const request = taken(
      invite().replaceAll('INVITE', "x-.!%*_+`'~").replace('sip:b@example.com SIP', 'isbn:1 sip'),
    )
    assert.equal(request.kind, 'request')
    assert.equal(request.kind === 'request' && request.method, "x-.!%*_+`'~")
    assert.equal(request.kind === 'request' && request.uri, 'isbn:1')
  })

  it('ignores empty lines before it (§7.5)', () => {
    assert.equal(taken(`\r\n\r\n${invite()}`).kind, 'request')
  })

  for (const version of ['SIP/1.0', 'SIP/3.0', 'SIP/2.1', 'sip/7.0', 'SIP/20.0']) {
    it(`answers 505 to ${version}`, () => {
      assert.ok(refused(invite().replace(' SIP/2.0', ` ${version}`), 505))
    })
  }

  for (const line of [
    'INVITE sip:b@h',
    'INVITE  sip:b@h SIP/2.0',
    'INVITE sip:b@h SIP/2.0 ',
    'INVITE sip:b@h HTTP/1.1',
    'INVITE sip:b@h SIP/2.',
    'INV(TE sip:b@h SIP/2.0',
    'INVITE sip:b@h?x=y SIP/2.0',
    'INVITE\tsip:b@h SIP/2.0',
    'INVITE sip:b@h\nX SIP/2.0',
  ]) {
    it(`refuses ${JSON.stringify(line)}`, () =>
      void refused(invite().replace('INVITE sip:b@example.com SIP/2.0', line)))
  }
})

describe('RFC 3261 §7.2 status line', () => {
  it('takes 100 to 699 with any phrase or none', () => {
    for (const [line, status, reason] of [
      ['SIP/2.0 180 Ringing', 180, 'Ringing'],
      ['SIP/2.0 699 ', 699, ''],
      ['sip/2.0 100', 100, ''],
      ['SIP/2.0 200 \xd0\xbd (ok) ', 200, '\xd0\xbd (ok) '],
    ] as const) {
      const message = taken(response(line))
      assert.ok(message.kind === 'response')
      assert.deepEqual([message.status, message.reason], [status, reason])
    }
  })

  for (const line of [
    'SIP/2.0',
    'SIP/2.0 ',
    'SIP/2.0 99 x',
    'SIP/2.0 099 x',
    'SIP/2.0 700 x',
    'SIP/2.0 2000 x',
    'SIP/2.0  200 x',
    'SIP/2.0 4294967301 x',
    'SIP/2.0 2e2 x',
  ]) {
    it(`refuses ${JSON.stringify(line)} without an answer`, () => assert.equal(refused(response(line)), null))
  }

  it('never answers a response, nor an ACK', () => {
    assert.equal(refused(response('SIP/3.0 200 OK'), 505), null)
    assert.equal(refused(invite('Max-Forwards: x').replaceAll('INVITE', 'ACK')), null)
  })
})

describe('RFC 3261 §7.3 header lines', () => {
  it('keeps unknown fields: spelling, order, value', () => {
    const message = taken(invite('x-Second:  a , b;;"  ', 'X-first:', 'x-second: \xff'))
    assert.deepEqual(
      message.headers.fields.slice(-3).map(({ name, value }) => [name, value]),
      [
        ['x-Second', 'a , b;;"'],
        ['X-first', ''],
        ['x-second', '\xff'],
      ],
    )
  })

  it('unfolds to one space, and takes the space before a colon off the name', () => {
    const message = taken(invite('X-Foo\t :\r\n one \r\n\t \r\n \t two', 'Subject : x'))
    assert.equal(message.headers.first('x-foo'), 'one two')
    assert.equal(message.headers.first('subject'), 'x')
  })

  it('makes one field of each value of a Via, Route, Record-Route, Path or Service-Route', () => {
    const message = taken(
      invite(
        'Route: <sip:a,b@h;lr>, "x,y" <sip:c>',
        'v: SIP/2.0/UDP h2 , SIP/2.0/TCP h3',
        'Contact: <sip:a>, <sip:b>',
      ),
    )
    assert.deepEqual(message.headers.all('route'), ['<sip:a,b@h;lr>', '"x,y" <sip:c>'])
    assert.equal(message.headers.count('via'), 3)
    assert.equal(message.headers.count('contact'), 1)
  })

  const broken = [
    'no colon',
    ': no name',
    'X Y: 1',
    'X\0: 1',
    'X-Foo\x0b: 1',
    'X-Foo\xa0: 1',
    'X: a\nY: b',
    'X: a\rY: b',
    'X: a\0b',
    'Route:',
    'Route: <sip:a>,,<sip:b>',
    'Route: "<sip:a>,',
  ]
  for (const line of broken) {
    it(`refuses ${JSON.stringify(line)} with an answer`, () => {
      const answerable = refused(invite(line))
      assert.equal(answerable?.via?.host, '192.0.2.1')
    })
  }

  it('refuses a head without its empty line', () => {
    assert.ok(refused(invite().slice(0, -2)))
    refused('INVITE sip:b@example.com SIP/2.0\r\n')
    for (const text of ['', '\r\n', '\r\n\r\n', '\0', 'x', '\n', '\r']) assert.equal(refused(text), null)
  })

  it('refuses what is too much with a 513', () => {
    assert.ok(refused(invite(...Array(300).fill('Accept: a')), 513))
    assert.ok(refused(invite(`Route: ${Array(300).fill('<sip:a>').join(',')}`), 513))
    assert.ok(refused(invite(`X: ${'a'.repeat(defaultLimits.maxFieldBytes)}`), 513))
    assert.ok(refused(invite(...Array(3).fill(`X: ${'a'.repeat(12_000)}`)), 513))
    assert.ok(refused(invite() + 'a'.repeat(65_536), 513))
  })
})

describe('RFC 3261 §8.1.1 the fields of every message', () => {
  for (const line of mandatory) {
    const name = line.slice(0, line.indexOf(':'))
    it(`refuses a message without ${name}`, () =>
      assert.equal(refused(invite().replace(`${line}\r\n`, '')), null))
    if (name !== 'Via') it(`refuses a message with two ${name}`, () => assert.ok(refused(invite(line))))
  }

  for (const value of [
    '2147483648 INVITE',
    '36893488147419103232 INVITE',
    '-1 INVITE',
    '1e3 INVITE',
    '7',
    'INVITE',
    '7 ACK',
    '7 invite',
    '7 INVITE x',
    '7INVITE',
  ]) {
    it(`refuses CSeq: ${value}`, () => assert.ok(refused(invite().replace('7 INVITE', value))))
  }
  it('takes CSeq up to 2^31-1, with leading zeros', () => {
    assert.equal(taken(invite().replace('7 INVITE', '0002147483647  INVITE')).cseq.number, 2_147_483_647)
  })

  for (const value of ['256', '-1', 'x', '', '1.0', '99999999999999999999']) {
    it(`refuses Max-Forwards: ${value}`, () => assert.ok(refused(invite(`Max-Forwards: ${value}`))))
  }
  it('takes Max-Forwards 0 to 255, or none as in RFC 2543', () => {
    for (const value of ['0', '255', '0068']) taken(invite(`Max-Forwards: ${value}`))
    taken(invite())
  })

  it('refuses a tag without a value, and takes a From without a tag as in RFC 2543', () => {
    for (const tag of [';tag', ';tag=', ';TAG=""']) {
      const result = parseMessage(invite().replace(';tag=1', tag))
      assert.equal(result.ok, tag.endsWith('"'))
      assert.equal(
        parseMessage(invite().replace('<sip:b@example.com>', `<sip:b@example.com>${tag}`)).ok,
        tag.endsWith('"'),
      )
    }
    assert.equal(taken(invite().replace(';tag=1', '')).fromTag, undefined)
  })

  it('refuses a Call-ID that is empty or not one word', () => {
    refused(invite().replace('1@192.0.2.1', 'a b'))
    refused(invite().replace('1@192.0.2.1', ''))
  })

  it('refuses a broken Contact of a REGISTER only; others are read by whom they concern', () => {
    for (const contact of ['sip:a@h?b', '%', '<sip:a>,,']) {
      taken(invite(`Contact: ${contact}`))
      assert.ok(refused(invite(`Contact: ${contact}`).replaceAll('INVITE', 'REGISTER')))
    }
    taken(invite('m: *', 'Contact: <sip:a>, "x" <sip:b>;q=1').replaceAll('INVITE', 'REGISTER'))
  })
})

describe('RFC 3261 §18.3 the body of a datagram', () => {
  it('ends at Content-Length, or with the datagram', () => {
    assert.equal(taken(`${invite('l: 2')}abc`).body, 'ab')
    assert.equal(taken(`${invite()}abc`).body, 'abc')
    assert.equal(taken(`${invite('Content-Length: 003')}a\0\r\n`).body, 'a\0\r')
  })

  it('is refused when it is shorter, or its length is ambiguous', () => {
    for (const value of ['4', '-1', '+3', '3,3', '0x3', '', '3 3', '4294967296', '9'.repeat(400)]) {
      assert.ok(refused(`${invite(`Content-Length: ${value}`)}abc`), value)
    }
    assert.ok(refused(`${invite('l: 3', 'Content-Length: 3')}abc`))
  })
})

describe('what is left of a broken request to answer', () => {
  it('has a Via without the parameters that broke it, and one line a field whatever came', () => {
    const text = invite('X: a\nTo: <sip:evil>').replace(';branch=z9hG4bK1', ';branch=z9hG4bK1;;,;,,')
    const answerable = refused(text)
    assert.ok(answerable)
    assert.deepEqual(answerable.headers.all('via'), ['SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1'])
    const answer = buildResponse(answerable, 400, { toTag: 't' })
    assert.equal(
      serialize(answer),
      [
        'SIP/2.0 400 Bad Request',
        'Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1',
        ...mandatory.slice(1, 2),
        'To: <sip:b@example.com>;tag=t',
        ...mandatory.slice(3),
        'Content-Length: 0',
        '',
        '',
      ].join('\r\n'),
    )
  })

  it('is nothing when the top Via cannot be read, though one below can', () => {
    assert.equal(
      refused(
        invite('Max-Forwards: x')
          .replace('SIP/2.0/UDP 192.0.2.1:5060', 'x')
          .replace('From', 'Via: SIP/2.0/UDP h\r\nFrom'),
      ),
      null,
    )
  })
})

describe('parse and serialize', () => {
  const word = fc.string({ unit: fc.constantFrom(...'abcXYZ019-.!%*_+`~'), minLength: 1, maxLength: 12 })
  const value = fc
    .string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)), maxLength: 40 })
    .map((text) => text.replaceAll(/[\0\r\n]/g, '').replaceAll(/^[ \t]+|[ \t]+$/g, ''))
  const body = fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)), maxLength: 80 })
  const extra = fc.array(
    fc.tuple(
      word.map((name) => `X-${name}`),
      value,
    ),
    { maxLength: 6 },
  )

  it('are inverse: what is written is read as it was, byte for byte', () => {
    fc.assert(
      fc.property(
        word,
        extra,
        body,
        fc.integer({ min: 100, max: 699 }),
        value,
        (method, extra, body, status, reason) => {
          for (const message of [
            new Request(method, 'sip:b@h', headers(method, extra), body),
            new Response(status, reason, headers(method, extra), body),
          ]) {
            const text = serialize(message)
            const again = taken(text)
            assert.equal(serialize(again), text)
            assert.equal(again.body, body)
            again.headers.remove('content-length')
            const said = ({ headers: { fields } }: Message): unknown =>
              fields.map(({ name, key, value }) => ({ name, key, value }))
            assert.deepEqual(said(again), said(message))
            assert.equal(
              again.kind === 'response' ? again.reason : again.method,
              again.kind === 'response' ? reason : method,
            )
          }
        },
      ),
    )
  })

  it('never throw and never answer with another message, whatever bytes come', () => {
    const bytes = fc.string({
      unit: fc.constantFrom(
        '\r\n',
        '\r',
        '\n',
        '\0',
        ':',
        ';',
        ',',
        '"',
        '\\',
        '<',
        '>',
        ' ',
        '=',
        '%',
        '@',
        'a',
        '0',
        'Via',
        '\xff',
      ),
      maxLength: 30,
    })
    fc.assert(
      fc.property(fc.nat(invite('l: 3').length), bytes, fc.nat(20), (at, junk, cut) => {
        const text = `${invite('l: 3')}abc`
        const result = parseMessage(text.slice(0, at) + junk + text.slice(at + cut))
        if (result.ok) taken(serialize(result.message))
        else if (result.answerable !== null) {
          const answer = serialize(buildResponse(result.answerable, result.fault.status, { toTag: 't' }))
          assert.match(answer, /^SIP\/2\.0 \d{3} [^\r\n\0]*\r\n([^\r\n\0]+\r\n)+\r\n$/)
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('put Content-Length where it was, or last, and once', () => {
    const message = taken(invite('l: 0', 'X-A: b'))
    message.body = 'four'
    assert.ok(serialize(message).endsWith('\r\nl: 4\r\nX-A: b\r\n\r\nfour'))
    message.headers.append('Content-Length', '99')
    assert.equal(serialize(message).match(/(l|Content-Length): /g)?.length, 1)
    message.headers.remove('content-length')
    assert.ok(serialize(message).endsWith('\r\nX-A: b\r\nContent-Length: 4\r\n\r\nfour'))
  })

  it('refuse to write a start line of two lines', () => {
    const request = taken(invite())
    assert.ok(request.kind === 'request')
    for (const uri of ['sip:a@h SIP/2.0\r\nX: y', 'sip:\u010a']) {
      request.uri = uri
      assert.throws(() => serialize(request), TypeError)
    }
  })
})
