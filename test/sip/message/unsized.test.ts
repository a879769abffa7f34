import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { defaultLimits, parseMessage } from '../../../src/sip/message/parse.ts'
import { serialize } from '../../../src/sip/message/serialize.ts'
import { type Framed, StreamFramer } from '../../../src/sip/message/stream-framer.ts'

const sound = [
  'INVITE sip:b@example.com SIP/2.0',
  'Via: SIP/2.0/TCP 192.0.2.1',
  'From: <sip:a@example.com>',
  'To: <sip:b@example.com>',
  'Call-ID: 1',
  'CSeq: 1 INVITE',
  '',
].join('\r\n')
/** A whole request with its length, which must never be seen in a body. */
const inner = `${sound.replaceAll('INVITE', 'OPTIONS')}Content-Length: 0\r\n\r\n`
const unsized = `${sound}\r\nhello\r\n\r\n${inner}`

/** All that a framer says of the pieces, and then of silence. */
function read(...pieces: string[]): Framed[] {
  const framer = new StreamFramer()
  const all = pieces.flatMap((piece) => framer.push(Buffer.from(piece, 'latin1')))
  return [...all, ...framer.stalled()]
}

function only(text: string): Framed & { what: 'fault' } {
  const [fault, ...others] = new StreamFramer().push(Buffer.from(text, 'latin1'))
  assert.ok(fault?.what === 'fault', 'no fault')
  assert.deepEqual(others, [])
  return fault
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

describe('RFC 2543: the body of a request without Content-Length ends with its stream', () => {
  it('is all that comes until there is silence', () => {
    const framer = new StreamFramer()
    assert.deepEqual(framer.push(bytes(unsized)), [])
    assert.deepEqual([framer.inRest, framer.inHead, framer.deaf], [true, false, false])
    assert.equal(framer.buffered, unsized.length)
    assert.deepEqual(framer.stalled(), [{ what: 'message', text: unsized, last: true }])
    assert.deepEqual([framer.inRest, framer.inHead, framer.deaf, framer.buffered], [false, false, true, 0])
    assert.deepEqual(framer.stalled(), [])
  })

  it('is the same whole, byte by byte and split anywhere, alone and after others', () => {
    for (const before of ['', '\r\n', `${inner}\r\n\r\n${inner}`]) {
      const stream = before + unsized
      const whole = read(stream)
      assert.deepEqual(whole.at(-1), { what: 'message', text: unsized, last: true })
      assert.equal(whole.length, before.length > 2 ? 4 : 1)
      assert.deepEqual(read(...stream), whole)
      for (let cut = 1; cut < stream.length; cut++) {
        assert.deepEqual(read(stream.slice(0, cut), stream.slice(cut)), whole, `split at ${cut}`)
      }
    }
  })

  it('may be empty', () => {
    assert.deepEqual(read(`${sound}\r\n`), [{ what: 'message', text: `${sound}\r\n`, last: true }])
  })

  it('is not what silence makes of a head that has not ended', () => {
    for (let length = 0; length < sound.length + 2; length++)
      assert.deepEqual(read(unsized.slice(0, length)), [], String(length))
  })

  it('RFC 4475 §3.4.1 inv2543 is whole, and has its length when it goes on', () => {
    const text = readFileSync(new URL('../../fixtures/rfc4475/inv2543.dat', import.meta.url), 'latin1')
    const [framed] = read(...text)
    assert.ok(framed?.what === 'message' && framed.text === text)
    const parsed = parseMessage(framed.text)
    assert.ok(parsed.ok)
    const body = text.slice(text.indexOf('\r\n\r\n') + 4)
    assert.ok(body.startsWith('v=0') && parsed.message.body === body)
    assert.ok(serialize(parsed.message).includes(`Content-Length: ${body.length}\r\n\r\n${body}`))
  })
})

describe('after a request without Content-Length', () => {
  for (const [name, more] of [
    ['a message', inner],
    ['a ping', '\r\n\r\n'],
    ['half a ping', '\r'],
    ['another one without', unsized],
    ['junk', '\0'],
  ] as const) {
    it(`${name} is a fault, once, and nobody's to answer`, () => {
      const framer = new StreamFramer()
      framer.push(bytes(unsized))
      framer.stalled()
      assert.deepEqual(framer.push(bytes('')), [])
      const [fault, ...others] = framer.push(bytes(more))
      assert.ok(fault?.what === 'fault' && fault.text === '' && fault.fault.status === 400)
      assert.deepEqual(others, [])
      assert.deepEqual([framer.push(bytes(inner)), framer.stalled(), framer.buffered], [[], [], 0])
    })
  }
})

describe('limits of a body without Content-Length', () => {
  const { maxMessageBytes } = defaultLimits
  const full = `${sound}\r\n`.padEnd(maxMessageBytes, 'x')

  it('are those of a message', () => {
    assert.deepEqual(read(full), [{ what: 'message', text: full, last: true }])
    const fault = only(`${full}x`)
    assert.equal(fault.fault.status, 513)
    assert.equal(fault.text, full)
    // At the same byte however it comes.
    assert.deepEqual(read(full, 'x', 'x'), [fault])
    assert.deepEqual(read(...(full + inner).match(/[^]{1,997}/g)!), [fault])
    assert.deepEqual(read(inner, `${full}x`).slice(1), [fault])
  })

  it('bound what is kept, and nothing is when they are passed', () => {
    const framer = new StreamFramer()
    framer.push(bytes(`${sound}\r\n`))
    let most = 0
    for (let i = 0; i < 10_000; i++) {
      framer.push(bytes('x'.repeat(100)))
      most = Math.max(most, framer.buffered)
    }
    assert.ok(most <= maxMessageBytes && most > maxMessageBytes - 100, String(most))
    assert.equal(framer.buffered, 0)
  })
})

describe('a head without Content-Length that is not believed ends the stream at once', () => {
  const broken: Readonly<Record<string, readonly [head: string, status: number]>> = {
    'a response': [sound.replace(/^.*\r\n/, 'SIP/2.0 200 OK\r\n'), 400],
    'another version': [sound.replace('SIP/2.0\r\n', 'SIP/3.0\r\n'), 505],
    'no SIP': ['GET / HTTP/1.1\r\nHost: a\r\n', 400],
    'a broken From': [sound.replace('From: ', 'From: a, b '), 400],
    'no Via': [sound.replace(/Via: .*\r\n/, ''), 400],
    'no CSeq': [sound.replace(/CSeq: .*\r\n/, ''), 400],
  }
  for (const [name, [head, status]] of Object.entries(broken)) {
    it(name, () => {
      const fault = only(`${head}\r\n${inner}`)
      assert.equal(fault.fault.status, status)
      assert.equal(fault.text, `${head}\r\n`)
    })
  }

  const lookAlikes: Readonly<Record<string, string>> = {
    'behind a fold': 'X: a\r\n Content-Length: 5\r\n',
    'behind a fold, with a tab, compact': 'X: a\r\n \tl: 5\r\n',
    'behind a vertical tab': 'X: a\x0bContent-Length: 5\r\n',
    'behind a form feed and spaces': 'X: a\x0c  content-length : 5\r\n',
    'behind the C1 next line': 'X: a\x85Content-Length: 5\r\n',
    'behind a NUL that is a quoted pair': 'X: "\\\0Content-Length: 5"\r\n',
    'behind a bare LF': 'X: a\nContent-Length: 5\r\n',
    'behind a bare CR': 'X: a\rContent-Length: 5\r\n',
    'with a mark at its end': 'Content-Length!: 5\r\n',
    'compact, with a mark at its end': 'l_: 5\r\n',
    'with a NUL at its end': 'Content-Length\0: 5\r\n',
    'with a no-break space at its end': 'Content-Length\xa0: 5\r\n',
    'in its name a fold': 'Content-\r\n Length: 5\r\n',
    'without its colon': 'Content-Length 5\r\n',
  }
  for (const [name, field] of Object.entries(lookAlikes)) {
    it(`something like it, ${name}`, () => {
      assert.equal(only(`${sound}${field}\r\n${inner}`).fault.status, 400)
    })
  }

  it('but one that has nothing of the kind is', () => {
    for (const field of [
      'Content-Language: l',
      'X-L: 5',
      'Label: 5',
      'Subject: l: 5',
      'Subject: a\r\n Content-Length',
      'X-Content-Length: 5',
      'Transfer-Encoding: chunked',
    ]) {
      const text = `${sound}${field}\r\n\r\nbody`
      assert.deepEqual(read(text), [{ what: 'message', text, last: true }], field)
    }
  })

  it('takes time linear in its length to look for', () => {
    for (const pattern of ['\t', '\t ', '\tl', '\tl;', '\r\n ', '\x0b', ' ']) {
      const text = `${sound}X: ${pattern.repeat(15_000 / pattern.length)}.\r\n\r\n`
      const took = Array.from({ length: 3 }, () => {
        const start = performance.now()
        new StreamFramer().push(bytes(text))
        return performance.now() - start
      })
      assert.ok(Math.min(...took) < 30, `${JSON.stringify(pattern)}: ${Math.min(...took)} ms`)
    }
  })
})
