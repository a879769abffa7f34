import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { HeaderFields, headerKey } from '../../../src/sip/message/header-fields.ts'
import { splitList } from '../../../src/sip/message/list.ts'
import { Request } from '../../../src/sip/message/message.ts'
import {
  formatNameAddr,
  type NameAddr,
  parseNameAddr,
  parseNameAddrList,
  tagOf,
} from '../../../src/sip/message/name-addr.ts'
import { Parameters } from '../../../src/sip/message/parameters.ts'
import { formatVia, parseVia, salvageVia, type Via, viaBranch } from '../../../src/sip/message/via.ts'

function nameAddr(text: string): NameAddr {
  const parsed = parseNameAddr(text)
  assert.ok(parsed.ok, parsed.ok ? '' : `${text}: ${parsed.fault.what}`)
  return parsed.value
}

function via(text: string): Via {
  const parsed = parseVia(text)
  assert.ok(parsed.ok, parsed.ok ? '' : `${text}: ${parsed.fault.what}`)
  return parsed.value
}

describe('RFC 3261 §7.3 header fields', () => {
  it('has one key for every spelling, compact forms included (§7.3.3)', () => {
    for (const name of ['v', 'V', 'Via', 'VIA', 'vIa']) assert.equal(headerKey(name), 'via')
    for (const name of ['i', 'Call-ID', 'call-id', 'CALL-Id']) assert.equal(headerKey(name), 'call-id')
    assert.equal(headerKey('X-Foo'), 'x-foo')
    assert.equal(headerKey('__proto__'), '__proto__')
    assert.equal(headerKey('constructor'), 'constructor')
  })

  it('keeps order and spelling', () => {
    const fields = new HeaderFields()
    fields.append('v', 'one')
    fields.append('X-A', '1')
    fields.append('Via', 'two')
    assert.deepEqual(fields.all('via'), ['one', 'two'])
    assert.equal(fields.first('via'), 'one')
    assert.equal(fields.count('via'), 2)
    assert.deepEqual(
      fields.fields.map(({ name, key }) => [name, key]),
      [
        ['v', 'via'],
        ['X-A', 'x-a'],
        ['Via', 'via'],
      ],
    )
  })

  it('prepends before the first of the kind, or on top', () => {
    const fields = new HeaderFields()
    fields.append('To', 't')
    fields.append('Route', 'r1')
    fields.prepend('Route', 'r0')
    fields.prepend('Via', 'v')
    assert.deepEqual(
      fields.fields.map(({ value }) => value),
      ['v', 't', 'r0', 'r1'],
    )
    assert.equal(fields.removeFirst('route'), 'r0')
    assert.equal(fields.removeFirst('path'), undefined)
  })

  it('sets in the place of the first and removes the others', () => {
    const fields = new HeaderFields()
    for (const name of ['X-A', 'X-B', 'x-a', 'X-C', 'X-A']) fields.append(name, name)
    fields.set('X-a', 'new')
    assert.deepEqual(
      fields.fields.map(({ value }) => value),
      ['new', 'X-B', 'X-C'],
    )
    fields.set('X-D', 'd')
    fields.replaceFirst('x-b', 'b')
    fields.replaceFirst('x-e', 'e')
    assert.deepEqual(
      fields.fields.map(({ name, value }) => `${name}=${value}`),
      ['X-a=new', 'X-B=b', 'X-C=X-C', 'X-D=d', 'x-e=e'],
    )
    assert.equal(fields.remove('x-a'), 1)
    assert.equal(fields.remove('x-a'), 0)
    assert.equal(fields.has('x-a'), false)
  })

  it('has copies that do not touch one another', () => {
    const fields = new HeaderFields()
    fields.append('X-A', '1')
    const copy = fields.clone()
    copy.set('X-A', '2')
    assert.equal(fields.first('x-a'), '1')
  })

  it('lets nobody write a second line, not even with a character whose low byte is a line feed', () => {
    const fields = new HeaderFields()
    for (const value of ['a\r\nX: 1', 'a\nX: 1', 'a\r', '\u010aX: 1', '\u{1f600}']) {
      assert.throws(() => fields.append('X', value), TypeError)
      assert.throws(() => fields.set('X', value), TypeError)
      assert.throws(() => fields.prepend('X', value), TypeError)
      assert.throws(() => fields.replaceFirst('x', value), TypeError)
    }
    for (const name of ['', 'X Y', 'X:', 'X\r\nY', 'X\0', '\xc4'])
      assert.throws(() => fields.append(name, ''), TypeError)
    assert.equal(fields.fields.length, 0)
  })

  it('splits lists at commas outside quotes and angle brackets (§7.3.1)', () => {
    assert.deepEqual(splitList('"a,\\"b" <sip:x,y@h>;p="1,2" , <sip:z>'), {
      ok: true,
      value: ['"a,\\"b" <sip:x,y@h>;p="1,2"', '<sip:z>'],
    })
    for (const text of ['', 'a,', ',a', 'a,,b', 'a, ,b', '"a', 'a, <b'])
      assert.equal(splitList(text).ok, false, text)
  })
})

describe('parameters', () => {
  it('are found in any case and written as they came', () => {
    const params = nameAddr('<sip:a@h>;Tag=X;flag;q="a;\\"b"').params
    assert.equal(params.get('TAG'), 'X')
    assert.equal(params.get('flag'), '')
    assert.equal(params.get('q'), '"a;\\"b"')
    assert.equal(params.get('constructor'), undefined)
    params.set('tag', 'Y')
    params.set('new', null)
    assert.equal(params.delete('flag'), true)
    assert.equal(params.delete('flag'), false)
    assert.equal(params.toString(), ';Tag=Y;q="a;\\"b";new')
    assert.deepEqual(
      [...params.entries()],
      [
        ['Tag', 'Y'],
        ['q', '"a;\\"b"'],
        ['new', ''],
      ],
    )
    assert.equal(new Parameters().toString(), '')
  })

  for (const text of [
    ';',
    ';;a',
    ';a;',
    ';=x',
    ';a b',
    ';a="x',
    'x',
    ';a=b c',
    ';a=b,c',
    ';a<b',
    `${';a'.repeat(101)}`,
  ]) {
    it(`refuses ${text.slice(0, 10)}`, () => assert.equal(parseNameAddr(`<sip:a@h>${text}`).ok, false))
  }
})

describe('RFC 3261 §20.10 name-addr and addr-spec', () => {
  it('reads display names, quoted and not', () => {
    assert.equal(nameAddr('"J Rosenberg \\\\\\""  <sip:j@h> ; tag = 98').display, 'J Rosenberg \\"')
    assert.equal(nameAddr('caller<sip:caller@example.com>;tag=323').display, 'caller')
    assert.equal(nameAddr('T. Watson <sip:t@h>').display, 'T. Watson')
    assert.equal(nameAddr('"" <sip:t@h>').display, '')
    assert.equal(nameAddr('<sip:t@h>').display, null)
    assert.equal(nameAddr('J\xc3\xbcrgen <sip:t@h>').display, 'J\xc3\xbcrgen')
  })

  it('gives parameters to the URI inside brackets and to the field outside', () => {
    const inside = nameAddr('<sip:a@h;x;y=1>;z')
    assert.equal(inside.uri, 'sip:a@h;x;y=1')
    assert.equal(inside.params.toString(), ';z')
    const bare = nameAddr('sip:a@h;x;y=1')
    assert.equal(bare.uri, 'sip:a@h')
    assert.equal(bare.params.toString(), ';x;y=1')
  })

  it('reads lists', () => {
    const parsed = parseNameAddrList('"a,b" <sip:a@h>, sip:b@h;q=1')
    assert.deepEqual(parsed.ok && parsed.value.map(({ uri }) => uri), ['sip:a@h', 'sip:b@h'])
  })

  const broken = [
    '',
    '*',
    'alice',
    'sip:a@h?b=c',
    'sip:a@h,sip:b@h',
    '<sip:a@h',
    '< sip:a@h >',
    '<>',
    '"a <sip:a@h>',
    '"a" sip:a@h',
    'Bell, Alexander <sip:a@h>',
    '<sip:a@h> x',
    '<sip:a@h>, <sip:b@h>',
    '<sip:a@h>>',
    'a"b <sip:a@h>',
    '<sip:a\0b@h>',
  ]
  for (const text of broken) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.equal(parseNameAddr(text).ok, false)
    })
  }

  it('reads what it has written, whatever the display name', () => {
    const display = fc.option(fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)) }))
    fc.assert(
      fc.property(display, fc.array(fc.constantFrom('a', 'b=c', 'd="e\\",;<f"')), (display, params) => {
        const text = formatNameAddr({
          display,
          uri: 'sip:a@h',
          params: nameAddr(`<sip:a@h>${params.map((p) => `;${p}`).join('')}`).params,
        })
        const again = nameAddr(text)
        assert.equal(again.display, display?.replaceAll(/[\r\n]/g, ' ') ?? null)
        assert.equal(formatNameAddr(again), text)
      }),
    )
  })
})

describe('the tag of a From or To', () => {
  const tag = (text: string): unknown => {
    const parsed = parseNameAddr(text)
    return parsed.ok ? { ok: true, value: parsed.value.params.get('tag') } : parsed
  }

  it('is what the whole field says, in any case and place, and once', () => {
    for (const [text, value] of [
      ['<sip:a@h>;tag=1', '1'],
      ['sip:a@h;tag=1', '1'],
      ['"A" <sip:a@h;tag=no>;x="a;tag=2";TAG = 3 ;tag=4', '3'],
      ['<sip:a@h>;tags=1;ta=2;tag', ''],
      ['<sip:a@h>;tag=""', '""'],
      ['<sip:a@h;tag=no>', undefined],
    ] as const) {
      assert.deepEqual(tagOf(text), { ok: true, value }, text)
      assert.deepEqual(tag(text), { ok: true, value }, text)
    }
  })

  it('is refused for the same reason as the whole field', () => {
    const piece = fc.constantFrom(
      ...[
        '"',
        '\\',
        '<',
        '>',
        ';',
        '=',
        ' ',
        ',',
        '?',
        'sip:',
        'a',
        'tag',
        'TAG',
        'x',
        '@h',
        '\0',
        '\xff',
        ';tag=1',
      ],
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.boolean(), (pieces, whole) => {
        const text = (whole ? '<sip:a@h>' : '') + pieces.join('')
        assert.deepEqual(tagOf(text), tag(text))
      }),
      { numRuns: 5_000 },
    )
    const many = `<sip:a@h>${';x'.repeat(101)};tag=1`
    assert.equal(tagOf(many).ok, false)
    assert.deepEqual(tagOf(many), tag(many))
  })

  it('follows the text of its field, whatever was asked before', () => {
    const headers = new HeaderFields()
    headers.append('From', '<sip:a@h>;tag=1')
    headers.append('To', '<sip:b@h>')
    const request = new Request('INVITE', 'sip:b@h', headers)
    assert.equal(request.fromTag, '1')
    assert.equal(request.from.uri, 'sip:a@h')
    headers.set('From', '<sip:c@h>;tag=2')
    assert.equal(request.fromTag, '2')
    assert.equal(request.from.uri, 'sip:c@h')
    headers.set('From', '<sip:d@h>;tag=3')
    assert.equal(request.from.uri, 'sip:d@h')
    assert.equal(request.fromTag, '3')
    assert.equal(request.toTag, undefined)
    assert.equal(request.to.uri, 'sip:b@h')
    headers.set('To', '<sip:e@h>;tag=4')
    assert.equal(request.toTag, '4')
    assert.equal(request.to.uri, 'sip:e@h')
    headers.set('To', '<sip:f@h>;tag=5')
    assert.equal(request.to.uri, 'sip:f@h')
    assert.equal(request.toTag, '5')
    headers.set('To', 'nonsense')
    for (const ask of [() => request.toTag, () => request.toTag, () => request.to, () => request.to])
      assert.throws(ask, /did not check/)
  })
})

describe('RFC 3261 §20.42 Via', () => {
  it('reads transport, sent-by and parameters, with spaces around each', () => {
    const parsed = via(
      'SIP  / 2.0  / tcp     Spindle.example.com : 5061  ;  branch  =   z9hG4bK9ikj8  ;rport',
    )
    assert.equal(parsed.protocol, 'TCP')
    assert.equal(parsed.host, 'spindle.example.com')
    assert.equal(parsed.port, 5061)
    assert.equal(viaBranch(parsed), 'z9hG4bK9ikj8')
    assert.equal(parsed.params.get('rport'), '')
    assert.equal(formatVia(parsed), 'SIP/2.0/TCP spindle.example.com:5061;branch=z9hG4bK9ikj8;rport')
  })

  it('reads IPv6 with brackets, and without them in received (RFC 5118 §4.5)', () => {
    const parsed = via('SIP/2.0/UDP [2001:db8::9:1]:6050;received=2001:db8::9:255;branch=z')
    assert.equal(parsed.host, '2001:db8::9:1')
    assert.equal(parsed.params.get('received'), '2001:db8::9:255')
    assert.equal(formatVia(parsed), 'SIP/2.0/UDP [2001:db8::9:1]:6050;received=2001:db8::9:255;branch=z')
  })

  for (const text of [
    '',
    'SIP/2.0/UDP',
    'SIP/2.0 h',
    'SIP/2.0/UDP ;branch=x',
    'SIP/2.0/UDP h:0',
    'SIP/2.0/UDP h h',
    '/2.0/UDP h',
    'SIP/2.0/UDP 2001:db8::1',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseVia(text).ok, false))
  }

  it('salvages the way back out of a Via with broken parameters', () => {
    const text = 'SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKx;;'
    assert.equal(parseVia(text).ok, false)
    const salvaged = salvageVia(text)
    assert.equal(salvaged && formatVia(salvaged), 'SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKx')
    assert.equal(salvageVia('SIP/2.0/UDP'), null)
  })
})
