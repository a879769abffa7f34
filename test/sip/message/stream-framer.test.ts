import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { defaultLimits, parseMessage } from '../../../src/sip/message/parse.ts'
import { type Framed, StreamFramer } from '../../../src/sip/message/stream-framer.ts'

const head = [
  'OPTIONS sip:ping@example.com SIP/2.0',
  'Via: SIP/2.0/TCP 127.0.0.13:5060;rport;branch=z9hG4bK1',
  'Max-Forwards: 70',
  'From: <sip:probe@example.com>;tag=1',
  'To: <sip:ping@example.com>',
  'Call-ID: atk-1',
  'CSeq: 1 OPTIONS',
  '',
].join('\r\n')

function options(length: string, body = ''): string {
  return `${head}${length}\r\n${body}`
}

function frame(stream: string, ...cuts: number[]): Framed[] {
  const bytes = Buffer.from(stream, 'latin1')
  const framer = new StreamFramer()
  const all: Framed[] = []
  let from = 0
  for (const cut of [...cuts.sort((a, b) => a - b), bytes.length]) {
    all.push(...framer.push(bytes.subarray(from, cut)))
    from = cut
  }
  return all
}

function kinds(stream: string): string {
  return frame(stream)
    .map(({ what }) => what)
    .join(' ')
}

const message = options('Content-Length: 5\r\n', 'hello')

describe('RFC 3261 §18.3 framing by Content-Length', () => {
  it('gives a message when its last byte arrives and holds nothing after it', () => {
    const framer = new StreamFramer()
    const bytes = Buffer.from(message, 'latin1')
    assert.deepEqual(framer.push(bytes.subarray(0, -1)), [])
    assert.equal(framer.buffered, bytes.length - 1)
    assert.deepEqual(framer.push(bytes.subarray(-1)), [{ what: 'message', text: message }])
    assert.equal(framer.buffered, 0)
  })

  it('takes 50 pipelined messages out of one push', () => {
    assert.equal(kinds(message.repeat(50)), Array(50).fill('message').join(' '))
  })

  it('does not see messages in a body', () => {
    const body = `hello\r\n\r\n${message}`
    assert.deepEqual(frame(options(`l: ${body.length}\r\n`, body)), [
      { what: 'message', text: options(`l: ${body.length}\r\n`, body) },
    ])
  })

  it('keeps its own copy: the buffer can be used again', () => {
    const framer = new StreamFramer()
    const buffer = Buffer.from(message.slice(0, 100), 'latin1')
    framer.push(buffer)
    buffer.fill(0)
    assert.deepEqual(framer.push(Buffer.from(message.slice(100), 'latin1')), [
      { what: 'message', text: message },
    ])
  })

  it('gives the same for every place to split', () => {
    const stream = `\r\n${message}\r\n\r\n${options('Content-Length: 0\r\n')}\r\n${options('l: x\r\n')}junk`
    const whole = frame(stream)
    assert.equal(whole.map(({ what }) => what).join(' '), 'message keepalive message fault')
    for (let cut = 1; cut < stream.length; cut++)
      assert.deepEqual(frame(stream, cut), whole, `split at ${cut}`)
  })

  it('gives the same for any stream of messages, pings and junk, split anyhow', () => {
    const part = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.constantFrom(message, options('Content-Length: 0\r\n'), '\r\n', '\r\n\r\n', '\r'),
      },
      fc.string({ unit: fc.constantFrom('\r', '\n', ':', ' ', 'l', '0', 'A', '\0'), maxLength: 12 }),
    )
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 8 }),
        fc.array(fc.nat(3000), { maxLength: 12 }),
        (parts, cuts) => {
          const stream = parts.join('')
          assert.deepEqual(frame(stream, ...cuts.map((cut) => Math.min(cut, stream.length))), frame(stream))
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('RFC 5626 §4.4.1 keep-alive', () => {
  it('tells a ping, CRLF CRLF, from the CRLF that §7.5 lets stand before a message', () => {
    assert.equal(kinds('\r\n\r\n'), 'keepalive')
    assert.equal(kinds('\r\n'), '')
    assert.equal(kinds(`\r\n${message}`), 'message')
    assert.equal(kinds(`\r\n\r\n\r\n${message}`), 'keepalive message')
    assert.equal(kinds(`${message}\r\n${message}\r\n${message}`), 'message message message')
  })
})

describe('a Content-Length that two readers could read two ways ends the stream', () => {
  const inner = options('Content-Length: 0\r\n').replaceAll('ping', 'SMUGGLED')
  const n = inner.length
  const ambiguous = {
    'differing, the small one first': `Content-Length: 0\r\nContent-Length: ${n}\r\n`,
    'differing, the large one first': `Content-Length: ${n}\r\nContent-Length: 0\r\n`,
    'the compact form as well': `l: ${n}\r\nContent-Length: 0\r\n`,
    'the compact form last': `Content-Length: 0\r\nl: ${n}\r\n`,
    'twice the same': `Content-Length: ${n}\r\nContent-Length: ${n}\r\n`,
    'a list of equals': `Content-Length: ${n}, ${n}\r\n`,
    'a list': `Content-Length: 0, ${n}\r\n`,
    'a plus sign': `Content-Length: +${n}\r\n`,
    negative: 'Content-Length: -1\r\n',
    hexadecimal: `Content-Length: 0x${n.toString(16)}\r\n`,
    exponent: `Content-Length: ${n}e0\r\n`,
    'a fraction': `Content-Length: ${n}.0\r\n`,
    'a parameter': `Content-Length: ${n};a=b\r\n`,
    'two numbers': `Content-Length: 0 ${n}\r\n`,
    empty: 'Content-Length: \r\n',
    '2^32, which would wrap to 0': 'Content-Length: 4294967296\r\n',
    '2^70 and more': `Content-Length: ${2n ** 70n + BigInt(n)}\r\n`,
    '15,000 digits': `Content-Length: ${'9'.repeat(15_000)}\r\n`,
    'a NUL in the name': `Content-Length\0: ${n}\r\n`,
    'a NUL in the value': `Content-Length: ${n}\0\r\n`,
    'a vertical tab before the colon': `Content-Length\x0b: ${n}\r\n`,
    'a no-break space before the colon': `Content-Length\xc2\xa0: ${n}\r\nl: 0\r\n`,
    'a look-alike name': `\xc4\xb0Content-Length: ${n}\r\nContent-Length: 0\r\n`,
    'behind a bare LF': `X: a\nContent-Length: ${n}\r\nContent-Length: 0\r\n`,
    'behind a bare CR': `X: a\rContent-Length: ${n}\r\nContent-Length: 0\r\n`,
    'a bare LF after it': `Content-Length: 0\nX: a\r\n`,
  }
  for (const [name, field] of Object.entries(ambiguous)) {
    it(name, () => {
      const [only, ...others] = frame(options(field, inner))
      assert.equal(only?.what, 'fault')
      assert.deepEqual(others, [])
      // A datagram has an end, so that a huge length is no threat there; it is still no message to forward.
      assert.equal(parseMessage(options(field, inner)).ok, false)
    })
  }

  const clear = {
    'a space before the colon': `Content-Length : ${n}\r\n`,
    'a tab after the colon': `Content-Length:\t${n}\r\n`,
    folded: `Content-Length:\r\n ${n}\r\n`,
    'a space at the end': `Content-Length: ${n} \r\n`,
    'a leading zero': `Content-Length: 0${n}\r\n`,
    'lower case': `content-length: ${n}\r\n`,
    'mixed case': `cOnTeNt-LeNgTh: ${n}\r\n`,
  }
  for (const [name, field] of Object.entries(clear)) {
    it(`but not ${name}, which means one thing only`, () => {
      assert.deepEqual(frame(options(field, inner)), [{ what: 'message', text: options(field, inner) }])
    })
  }

  it('is dead after a fault: nothing is given, nothing is kept', () => {
    const framer = new StreamFramer()
    assert.equal(framer.push(Buffer.from(options('l: -1\r\n'), 'latin1'))[0]?.what, 'fault')
    assert.deepEqual(framer.push(Buffer.from(message, 'latin1')), [])
    assert.equal(framer.buffered, 0)
  })

  it('hands over the head, so that it can be answered', () => {
    const [fault] = frame(options('l: -1\r\n', 'body'))
    assert.ok(fault?.what === 'fault')
    const parsed = parseMessage(fault.text)
    assert.ok(!parsed.ok && parsed.answerable?.via?.host === '127.0.0.13')
  })
})

describe('limits of a stream', () => {
  it('gives up when the head does not end in time, at the same byte however it comes', () => {
    const endless = 'A'.repeat(defaultLimits.maxHeaderBytes + 5000)
    const whole = frame(endless)
    assert.ok(whole[0]?.what === 'fault' && whole[0].fault.status === 513)
    assert.equal(whole[0].text.length, defaultLimits.maxHeaderBytes)
    assert.deepEqual(frame(endless, 1, 2, 30_000, 32_767, 32_768, 32_769), whole)
  })

  it('refuses a body that is too long before it arrives', () => {
    const [fault] = frame(options('Content-Length: 65536\r\n'))
    assert.ok(fault?.what === 'fault' && fault.fault.status === 513)
  })
})

const torture = new URL('../../fixtures/rfc4475/', import.meta.url)
const corpus = readdirSync(torture)
  .filter((name) => name.endsWith('.dat'))
  .map((name) => ({ name, text: readFileSync(new URL(name, torture), 'latin1') }))

/** What is said of the beginning of a message, when no more comes. Null when it is no head that has not ended. */
function stalled(start: string): Framed[] | null {
  const framer = new StreamFramer()
  if (framer.push(Buffer.from(start, 'latin1')).length > 0 || !framer.inHead) return null
  return framer.stalled()
}

describe('a head that stops before its end', () => {
  const from = '<sip:probe@example.com>'
  const broken = head.replace(from, `Bell, Alexander ${from}`)

  it('is a fault when a line of it is broken; all lines that have ended are there for the answer', () => {
    const [fault, ...others] = stalled(`${broken}Accept: a/b\r\nl`) ?? []
    assert.deepEqual(others, [])
    assert.ok(fault?.what === 'fault' && fault.fault.status === 400)
    assert.match(fault.fault.what, /^From: /)
    assert.equal(fault.text, `${broken}Accept: a/b\r\n`)
    const parsed = parseMessage(fault.text)
    assert.ok(!parsed.ok && parsed.answerable?.via?.host === '127.0.0.13')
  })

  it('kills the framer then, and leaves it as it is otherwise', () => {
    const dead = new StreamFramer()
    dead.push(Buffer.from(broken, 'latin1'))
    assert.equal(dead.stalled().length, 1)
    assert.deepEqual([dead.stalled(), dead.inHead, dead.buffered], [[], false, 0])
    assert.deepEqual(dead.push(Buffer.from(message, 'latin1')), [])
    const framer = new StreamFramer()
    const bytes = Buffer.from(message, 'latin1')
    framer.push(bytes.subarray(0, 100))
    assert.deepEqual(framer.stalled(), [])
    assert.deepEqual(framer.push(bytes.subarray(100)), [{ what: 'message', text: message }])
  })

  const start = 'OPTIONS sip:a@b SIP/2.0\r\n'
  const cases: Readonly<Record<string, readonly [text: string, status: number | null]>> = {
    'nothing but a start line': [start, null],
    'a start line that is not whole': ['OPTIONS sip:a@b SIP/3.', null],
    'another version': ['OPTIONS sip:a@b SIP/3.0\r\nV', 505],
    'a protocol that is not SIP': ['GET / HTTP/1.1\r\nHost', 400],
    'a broken line that may yet be folded': [`${start}From: "Bell\r\n`, null],
    'one that has been, and may be further': [`${start}From: "Bell\r\n  Alex`, null],
    'one whose quote a fold has closed': [`${start}From: "Bell\r\n  Alex" <sip:a@b>\r\nTo`, null],
    'one whose quote no fold has closed': [`${start}From: "Bell\r\n  Alex <sip:a@b>\r\nTo`, 400],
    'a field that must be there once, twice': [`${start}CSeq: 1 OPTIONS\r\nCSeq: 1 OPTIONS\r\nT`, 400],
    'a CSeq of another method': [`${start}CSeq: 1 INVITE\r\nTo`, 400],
    'a length that is none': [`${start}l: -1\r\nTo`, 400],
    'a body that is not there yet': [`${start}l: 100\r\nTo`, null],
    'a broken response': ['SIP/2.0 200 OK\r\nTo: a b c\r\nl', 400],
    'the beginning of a response': ['SIP/2.0 200 OK\r\nCSeq: 1 BYE\r\nl', null],
    'half a keep-alive': ['\r', null],
  }
  for (const [name, [text, status]] of Object.entries(cases)) {
    it(`${name}: ${status === null ? 'is waited for' : status}`, () => {
      const [fault] = stalled(text) ?? []
      assert.equal(fault?.what === 'fault' ? fault.fault.status : null, status)
    })
  }

  it('is no fault at any byte of a valid message', () => {
    const valid = corpus.filter(({ text }) => parseMessage(text).ok)
    assert.ok(valid.length >= 25, String(valid.length))
    for (const { name, text } of valid) {
      const end = text.indexOf('\r\n\r\n')
      for (let length = 0; length < end + 4; length++) {
        assert.deepEqual(stalled(text.slice(0, length)) ?? [], [], `${name} at ${length}`)
      }
    }
  })

  it('is a fault only where the whole message has one, whatever has been done to it', () => {
    const change = fc.record({
      at: fc.nat(5_000),
      removed: fc.nat(3),
      put: fc.string({
        unit: fc.constantFrom(
          '\r',
          '\n',
          '\r\n',
          '\r\n ',
          ' ',
          ':',
          ',',
          '"',
          '\\',
          '<',
          ';',
          '\0',
          '\xe9',
          'l',
          '0',
        ),
        maxLength: 2,
      }),
    })
    let found = 0
    fc.assert(
      fc.property(
        fc.constantFrom(...corpus),
        fc.array(change, { maxLength: 3 }),
        fc.nat(5_000),
        ({ text }, changes, where) => {
          const changed = changes.reduce((whole, { at, removed, put }) => {
            const from = at % whole.length
            return whole.slice(0, from) + put + whole.slice(from + removed)
          }, text)
          const said = stalled(changed.slice(0, where % changed.length))
          if (said === null || said.length === 0) return
          found++
          assert.equal(parseMessage(changed).ok, false)
        },
      ),
      { numRuns: 5_000 },
    )
    assert.ok(found > 500, String(found))
  })
})
