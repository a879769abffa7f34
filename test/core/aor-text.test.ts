import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { aorFromText } from '../../src/core/aor-text.ts'

describe('address-of-record from text', () => {
  for (const text of [
    'sip:alice@example.com',
    'alice@example.com',
    'SIP:alice@EXAMPLE.com',
    'sips:alice@example.com',
    'sip%3Aalice%40example.com',
    'alice%40example.com',
    'sip:alice@example.com:5060',
    '"A. Smith" <sip:alice@example.com;transport=tcp>;tag=1',
    '%3Csip%3Aalice%40example.com%3E',
    'sip:%61lice@example.com;user=phone?subject=x',
    ' alice@example.com ',
  ]) {
    it(`reads ${text}`, () => assert.equal(aorFromText(text), 'sip:alice@example.com'))
  }

  it('leaves the port away and keeps an IPv6 host', () => {
    assert.equal(aorFromText('alice@[2001:DB8::1]:5070'), 'sip:alice@[2001:db8::1]')
  })

  it('takes letters beyond ASCII for their UTF-8 bytes, however they are written', () => {
    const key = aorFromText('sip:j%C3%BCrgen@example.com')
    assert.ok(key)
    assert.equal(aorFromText('jürgen@example.com'), key)
    assert.equal(aorFromText('sip%3Aj%25C3%25BCrgen%40example.com'), key)
    assert.equal(aorFromText(key), key)
  })

  for (const text of [
    '',
    'alice',
    'sip:example.com',
    'tel:+1',
    '@',
    '%',
    '%zz@h',
    '\ud800',
    '__proto__',
    '<>',
    '><',
  ]) {
    it(`reads nothing from ${JSON.stringify(text)}`, () => assert.equal(aorFromText(text), null))
  }
})
