import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { HeaderFields } from '../../../src/sip/message/header-fields.ts'
import { type Message, Request } from '../../../src/sip/message/message.ts'
import { parseMessage } from '../../../src/sip/message/parse.ts'
import { serialize } from '../../../src/sip/message/serialize.ts'

/** Field by field, as `serialize` says it does. */
function plainly(message: Request): string {
  let text = `${message.method} ${message.uri} SIP/2.0\r\n`
  let lengths = 0
  for (const { name, key, value } of message.headers.fields) {
    if (key === 'content-length' && lengths++ > 0) continue
    text += `${name}: ${key === 'content-length' ? message.body.length : value}\r\n`
  }
  if (lengths === 0) text += `Content-Length: ${message.body.length}\r\n`
  return `${text}\r\n${message.body}`
}

const received = (lines: readonly string[], body = 'hello'): Request => {
  const parsed = parseMessage(
    [
      'MESSAGE sip:bob@example.com SIP/2.0',
      'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1',
      'From: <sip:alice@example.com>;tag=1',
      ...lines,
      'To: <sip:bob@example.com>',
      'Call-ID: 1',
      'CSeq: 1 MESSAGE',
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n'),
  )
  assert.ok(parsed.ok && parsed.message.kind === 'request')
  return parsed.message
}

describe('a message that is sent on', () => {
  it('has its fields as they were received, and one space after the colon whatever they had', () => {
    const odd = [
      'subject:no space',
      'Organization:  two',
      'Supported:\ttab',
      'User-Agent : before the colon',
      'Server: behind ',
      'Date: folded',
      ' twice',
      'X-Empty:',
      'X-Space: ',
      'Via: SIP/2.0/UDP a, SIP/2.0/UDP b',
      'v: SIP/2.0/UDP c',
      'X-As-Is: a: b;c="d"',
    ]
    const message = received(odd)
    const text = serialize(message)
    assert.equal(text, plainly(message))
    for (const line of [
      'subject: no space',
      'Organization: two',
      'Supported: tab',
      'User-Agent: before the colon',
      'Server: behind',
      'Date: folded twice',
      'X-Empty: ',
      'X-Space: ',
      'Via: SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b\r\nv: SIP/2.0/UDP c',
      'X-As-Is: a: b;c="d"',
    ])
      assert.ok(text.includes(`\r\n${line}\r\n`), line)
  })

  it('has the length of the body it has now, also where the one it had was written in another way', () => {
    const message = received(['X-A: 1'])
    message.body = 'longer than before'
    assert.match(serialize(message), /\r\nContent-Length: 18\r\n\r\nlonger than before$/)
    const padded = parseMessage(serialize(received([])).replace('Content-Length: 5', 'Content-Length: 005'))
    assert.ok(padded.ok)
    assert.match(serialize(padded.message), /\r\nContent-Length: 5\r\n\r\nhello$/)
  })

  it('is what its fields say, whatever was changed in it and from wherever they come', () => {
    const line = fc.constantFrom(
      'Subject: one',
      'X-Odd:  two',
      'X-A: 1',
      'X-B: 2',
      'X-A: 3',
      'Route: <sip:a;lr>',
      'Route: <sip:b;lr>, <sip:c;lr>',
      'm: <sip:alice@192.0.2.1>',
      'X-Fold: a',
    )
    const key = fc.constantFrom('via', 'x-a', 'x-b', 'route', 'subject', 'contact', 'content-length', 'to')
    const edit = fc.oneof(
      fc.record({ what: fc.constantFrom('remove', 'removeFirst'), key }),
      fc.record({ what: fc.constantFrom('set', 'append', 'prepend', 'replaceFirst'), key }),
      fc.record({ what: fc.constantFrom('body', 'clone', 'mix'), key }),
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), fc.array(edit, { maxLength: 6 }), (lines, edits) => {
        let message: Message & Request = received(lines)
        // As long as the other, so that its fields stand at the same places, and say something else.
        const other = received(
          lines.map((text) => text.replaceAll(/[0-9]/g, '7')),
          'HELLO',
        )
        const rebuilt = (fields: HeaderFields): Request =>
          new Request(message.method, message.uri, fields, message.body)
        for (const { what, key: of } of edits) {
          const { headers } = message
          if (what === 'remove') headers.remove(of)
          else if (what === 'removeFirst') headers.removeFirst(of)
          else if (what === 'body') message.body += '!'
          else if (what === 'clone') message = rebuilt(headers.clone())
          else if (what === 'mix') {
            const mixed = headers.fields.map((field, i) => (i % 2 === 0 ? field : other.headers.fields[i]))
            message = rebuilt(new HeaderFields(mixed.filter((field) => field !== undefined)))
          } else if (what === 'set') headers.set(of, '9')
          else if (what === 'append') headers.append(of, '9')
          else if (what === 'prepend') headers.prepend(of, '9')
          else headers.replaceFirst(of, '9')
        }
        assert.equal(serialize(message), plainly(message))
      }),
      { numRuns: 1_000 },
    )
  })
})
