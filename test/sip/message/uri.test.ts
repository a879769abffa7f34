import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import {
  addressOfRecord,
  formatUri,
  isSipUri,
  looksLikeUri,
  parseUri,
  type SipUri,
  uriEquals,
} from '../../../src/sip/message/uri.ts'

function sip(text: string): SipUri {
  const parsed = parseUri(text)
  assert.ok(parsed.ok, `${text}: ${parsed.ok ? '' : parsed.fault.what}`)
  assert.ok(isSipUri(parsed.value))
  return parsed.value
}

describe('RFC 3261 §19.1.1 SIP and SIPS URI components', () => {
  it('reads every part and writes it back', () => {
    const text = 'sips:alice:secret@Atlanta.Example.COM:5071;transport=TCP;lr?subject=x&priority=urgent'
    const uri = sip(text)
    assert.deepEqual(
      { ...uri, params: [...uri.params.entries()] },
      {
        scheme: 'sips',
        user: 'alice',
        password: 'secret',
        host: 'atlanta.example.com',
        port: 5071,
        params: [
          ['transport', 'TCP'],
          ['lr', ''],
        ],
        headers: 'subject=x&priority=urgent',
      },
    )
    assert.equal(formatUri(uri), text.replace('Atlanta.Example.COM', 'atlanta.example.com'))
  })

  it('needs brackets around an IPv6 address and gives the host without them (RFC 5118 §4.2)', () => {
    assert.equal(sip('sip:[2001:DB8::10]:5070').host, '2001:db8::10')
    assert.equal(sip('sip:[2001:db8::10]:5070').port, 5070)
    assert.equal(formatUri(sip('sip:a@[::ffff:192.0.2.10]')), 'sip:a@[::ffff:192.0.2.10]')
    assert.equal(parseUri('sip:2001:db8::10').ok, false)
  })

  it('takes user parts for what they are: semicolons, question marks, escapes', () => {
    assert.equal(sip('sip:user;par=u%40example.net@example.com').user, 'user;par=u%40example.net')
    assert.equal(sip('sip:sips%3Auser%40example.com@example.net').host, 'example.net')
    assert.equal(sip('sip:crazy?,/;;*:&it+has=1@example.com').password, '&it+has=1')
  })

  it('finds an escaped parameter by its name (RFC 4475 §3.1.1.3)', () => {
    const uri = sip('sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31')
    assert.ok(uri.params.has('lr'))
    assert.equal(uri.params.get('name'), 'v%61lue%25%34%31')
    assert.ok(formatUri(uri).endsWith(';%6C%72;n%61me=v%61lue%25%34%31'))
  })

  it('knows a scheme: a letter, then letters, digits, plus, hyphen and dot', () => {
    for (const scheme of ['h323', 'iris.beep', 'soap+x-y.2']) assert.ok(looksLikeUri(`${scheme}:a`), scheme)
    for (const scheme of ['1a', '+a', 'a_b', 'a~', 'a b']) assert.ok(!looksLikeUri(`${scheme}:a`), scheme)
  })

  it('keeps other schemes as they are', () => {
    assert.deepEqual(parseUri('TEL:+1-201-555-0123;phone-context=x'), {
      ok: true,
      value: { scheme: 'tel', opaque: '+1-201-555-0123;phone-context=x' },
    })
    assert.ok(parseUri('soap.beep://192.0.2.103:3002').ok)
  })

  const broken = [
    '',
    'sip',
    'sip:',
    ':x',
    'sip:@host',
    'sip:a@',
    'sip:a@b@c',
    'sip:a b@c',
    'sip:a@b c',
    'sip:a@host:',
    'sip:a@host:0',
    'sip:a@host:65536',
    'sip:a@host:99999999999',
    'sip:a@host:5o60',
    'sip:a@.host',
    'sip:a@ho..st',
    'sip:%@h',
    'sip:%4@h',
    'sip:%4g@h',
    'sip:a@h;',
    'sip:a@h;;lr',
    'sip:a@h;=x',
    'sip:a@h;x=%',
    'sip:a@h?',
    'sip:a@[::1',
    'sip:a@[::1]x',
    'sip:a@[1]',
    'sip:a@[::g]',
    '<sip:a@h>',
    '1x:y',
    'tel:',
    'tel:a b',
    'sip:a@h\0',
  ]
  for (const text of broken) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseUri(text).ok, false))
  }

  it('reads what it has written', () => {
    const part = fc.string({ unit: fc.constantFrom(...'aZ0-_.!~*()&=+$%41'), minLength: 1, maxLength: 8 })
    const good = part.filter((text) => !/%(?![0-9a-fA-F]{2})/.test(text))
    const host = fc.constantFrom('example.com', 'h', '192.0.2.1', '[2001:db8::1]')
    fc.assert(
      fc.property(
        fc.option(good),
        host,
        fc.option(fc.integer({ min: 1, max: 65_535 })),
        fc.array(good),
        (user, host, port, params) => {
          const names = params.map((name) => `;${name.replaceAll('=', '')}x`).join('')
          const text = `sip:${user === null ? '' : `${user}@`}${host}${port === null ? '' : `:${port}`}${names}`
          assert.equal(formatUri(sip(text)), text)
        },
      ),
    )
  })
})

describe('RFC 3261 §19.1.4 URI comparison', () => {
  const same: [string, string][] = [
    ['sip:%61lice@atlanta.com;transport=TCP', 'sip:alice@AtlanTa.CoM;Transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com;newparam=5'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com;security=on'],
    ['sip:carol@chicago.com;newparam=5', 'sip:carol@chicago.com;security=on'],
    [
      'sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com',
      'sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com',
    ],
    [
      'sip:alice@atlanta.com?subject=project%20x&priority=urgent',
      'sip:alice@atlanta.com?priority=urgent&subject=project%20x',
    ],
    ['sip:a%3b@h', 'sip:a%3B@h'],
  ]
  const different: [string, string][] = [
    ['SIP:ALICE@AtLanTa.CoM;Transport=udp', 'sip:alice@AtLanTa.CoM;Transport=UDP'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:5060'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com;transport=udp'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:6000;transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com?Subject=next%20meeting'],
    ['sip:bob@phone21.boxesbybob.com', 'sip:bob@192.0.2.4'],
    ['sip:carol@chicago.com;security=on', 'sip:carol@chicago.com;security=off'],
    ['sip:carol@chicago.com', 'sips:carol@chicago.com'],
    ['sip:carol@chicago.com', 'sip:chicago.com'],
    ['sip:carol@chicago.com', 'sip:carol:x@chicago.com'],
    ['sip:carol@chicago.com;ttl=1', 'sip:carol@chicago.com'],
    ['sip:carol@chicago.com;maddr=h', 'sip:carol@chicago.com'],
    ['sip:carol@chicago.com;user=ip', 'sip:carol@chicago.com'],
    ['sip:carol@chicago.com;method=INVITE', 'sip:carol@chicago.com'],
    ['sip:a%3Bb@h', 'sip:a;b@h'],
    ['sip:%00@host5.example.com', 'sip:%00%00@host5.example.com'],
  ]
  for (const [pairs, expected] of [
    [same, true],
    [different, false],
  ] as const) {
    for (const [a, b] of pairs) {
      it(`${a} and ${b} are ${expected ? 'equivalent' : 'different'}`, () => {
        assert.equal(uriEquals(sip(a), sip(b)), expected)
        assert.equal(uriEquals(sip(b), sip(a)), expected)
        assert.equal(uriEquals(sip(a), sip(a)), true)
      })
    }
  }
})

describe('a parameter that is there twice', () => {
  it('costs no more than one, however long the first is', () => {
    const text = `sip:a@h;a=${'%00'.repeat(7_000)}${';a=b'.repeat(99)}`
    const [one, other] = [sip(text), sip(text)]
    const begun = process.threadCpuUsage().user
    assert.equal(uriEquals(one, other), true)
    const ms = (process.threadCpuUsage().user - begun) / 1_000
    // It was a hundred times as much.
    assert.ok(ms < 50, `${ms} ms`)
  })

  it('counts as the first of its name, so that every URI equals itself', () => {
    for (const text of ['sip:a@h;maddr=a;maddr=b', 'sip:a@h;%78=1;x=2', 'sip:a@h;x;x=1;X=2']) {
      assert.equal(uriEquals(sip(text), sip(text)), true, text)
    }
    assert.equal(uriEquals(sip('sip:a@h;x=1;x=2'), sip('sip:a@h;x=1')), true)
    assert.equal(uriEquals(sip('sip:a@h;x=1;x=2'), sip('sip:a@h;x=2')), false)
  })
})

describe('RFC 3261 §10.3 step 5: the address-of-record as a key', () => {
  const keys: [string, string][] = [
    ['sip:alice@Example.COM', 'sip:alice@example.com'],
    ['sip:alice:pw@example.com:5060;transport=tcp;user=phone?subject=x', 'sip:alice@example.com'],
    ['sips:alice@example.com:5061', 'sip:alice@example.com'],
    ['sip:alice@example.com:5061', 'sip:alice@example.com'],
    ['sip:%75se%72@example.com', 'sip:user@example.com'],
    ['sip:a%40b@example.com', 'sip:a%40b@example.com'],
    ['sip:a%3ab@example.com', 'sip:a%3Ab@example.com'],
    ['sip:null-%00-null@example.com', 'sip:null-%00-null@example.com'],
    ['sip:a%2541@example.com', 'sip:a%2541@example.com'],
    ['sip:caf%c3%a9@example.com', 'sip:caf%C3%A9@example.com'],
    ['sip:caf\xc3\xa9@example.com', 'sip:caf%C3%A9@example.com'],
    ['sip:example.com', 'sip:example.com'],
    ['sip:a@[2001:DB8::1]', 'sip:a@[2001:db8::1]'],
    ['sip:__proto__@example.com', 'sip:__proto__@example.com'],
  ]
  for (const [text, key] of keys) {
    it(`${text} is ${key}`, () => {
      assert.equal(addressOfRecord(sip(text)), key)
      assert.equal(addressOfRecord(sip(key)), key)
    })
  }
})
