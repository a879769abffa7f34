import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { buildResponse } from '../../../src/sip/message/build.ts'
import { type Fault, parseMessage } from '../../../src/sip/message/parse.ts'
import { serialize } from '../../../src/sip/message/serialize.ts'
import { type Framed, StreamFramer } from '../../../src/sip/message/stream-framer.ts'

interface Case {
  readonly file: string
  readonly section: string
  readonly title: string
  readonly parser: 'accept' | 'reject' | 'either'
  readonly acceptable: readonly (number | string)[]
}

const fixtures = new URL('../../fixtures/', import.meta.url)

function corpus(folder: string): { readonly dir: URL; readonly cases: readonly Case[] } {
  const dir = new URL(`${folder}/`, fixtures)
  const manifest: Record<string, unknown> = JSON.parse(readFileSync(new URL('manifest.json', dir), 'utf8'))
  const cases = Object.values(manifest).find((value) => Array.isArray(value))
  assert.ok(Array.isArray(cases))
  return { dir, cases }
}

/** What the manifest leaves open and we decide: which of the 'either' messages we take. */
const tolerated = new Set(['baddate.dat', 'badbranch.dat', 'ipv6-bug-abnf-3-colons.dat'])

/** Refused without an answer: From, To and Call-ID are not there to be copied. */
const unanswerable = new Set(['insuf.dat'])

for (const folder of ['rfc4475', 'rfc5118']) {
  const { dir, cases } = corpus(folder)
  describe(`${folder.replace('rfc', 'RFC ')} messages as datagrams`, () => {
    for (const { file, section, title, parser, acceptable } of cases) {
      const text = readFileSync(new URL(file, dir), 'latin1')
      const result = parseMessage(text)
      const accepted = parser === 'accept' || tolerated.has(file)
      it(`§${section} ${file}: ${title} is ${accepted ? 'taken' : 'refused'}`, () => {
        assert.equal(result.ok, accepted, result.ok ? 'taken' : result.fault.what)
        if (result.ok) {
          const again = parseMessage(serialize(result.message))
          assert.ok(again.ok)
          assert.equal(serialize(again.message), serialize(result.message))
        } else if (acceptable.length === 1 && acceptable[0] === 'none') {
          assert.equal(result.answerable, null)
        } else {
          assert.ok(acceptable.includes(result.fault.status))
          assert.equal(result.answerable === null, unanswerable.has(file))
          if (result.answerable !== null) checkAnswer(result.answerable, result.fault)
        }
      })
    }
  })

  describe(`${folder.replace('rfc', 'RFC ')} messages on a stream`, () => {
    for (const { file } of cases) {
      it(`${file} gives the same whole, byte by byte and in sevens`, () => {
        const bytes = readFileSync(new URL(file, dir))
        const whole = framed(bytes, bytes.length)
        assert.deepEqual(framed(bytes, 1), whole)
        assert.deepEqual(framed(bytes, 7), whole)
        for (const one of whole) {
          if (one.what !== 'message') continue
          const { parser } = cases.find((other) => other.file === file) ?? { parser: 'either' }
          if (parser !== 'either')
            assert.equal(parseMessage(one.text).ok, parser === 'accept' || file === 'dblreq.dat')
        }
      })
    }
  })
}

function checkAnswer(
  answerable: NonNullable<Extract<ReturnType<typeof parseMessage>, { ok: false }>['answerable']>,
  fault: Fault,
) {
  assert.ok(answerable.via)
  const answer = parseMessage(serialize(buildResponse(answerable, fault.status, { toTag: 'ours' })))
  // A field that is broken in the request is broken in the answer, but never the lines of it.
  if (!answer.ok) assert.match(answer.fault.what, /^(From|To|CSeq|call-id)/)
  else assert.equal(answer.message.kind === 'response' && answer.message.status, fault.status)
}

function framed(bytes: Uint8Array, step: number): Framed[] {
  const framer = new StreamFramer()
  const all: Framed[] = []
  for (let at = 0; at < bytes.length; at += step) all.push(...framer.push(bytes.subarray(at, at + step)))
  return all
}

function request(file: string) {
  const result = parseMessage(readFileSync(new URL(`rfc4475/${file}.dat`, fixtures), 'latin1'))
  assert.ok(result.ok && result.message.kind === 'request')
  return result.message
}

describe('RFC 4475 messages that we take mean what the section says', () => {
  it('§3.1.1.1 wsinv: folds are single spaces, three Vias are three fields, unknown fields are untouched', () => {
    const wsinv = request('wsinv')
    assert.equal(wsinv.headers.count('via'), 3)
    assert.equal(wsinv.via?.protocol, 'UDP')
    assert.equal(wsinv.via?.host, '192.0.2.2')
    assert.equal(wsinv.via?.params.get('branch'), '390skdjuw')
    assert.deepEqual(wsinv.cseq, { number: 9, method: 'INVITE' })
    assert.equal(wsinv.toTag, '1918181833n')
    assert.equal(wsinv.from.display, 'J Rosenberg \\"')
    assert.equal(wsinv.headers.first('unknownheaderwithunusualvalue'), ';;,,;;,;')
    assert.equal(wsinv.headers.first('newfangledheader'), 'newfangled value continued newfangled value')
    assert.equal(wsinv.headers.first('subject'), '')
  })

  it('§3.1.1.2 intmeth: a method of every token character, quoted NUL and DEL', () => {
    const intmeth = request('intmeth')
    assert.equal(intmeth.method, "!interesting-Method0123456789_*+`.%indeed'~")
    assert.equal(intmeth.to.display, 'BEL:\x07 NUL:\0 DEL:\x7f')
    assert.equal(intmeth.fromTag, "_token~1'+`*%!-.")
  })

  it('§3.1.1.5 esc02: escapes are none in a method and in a field name', () => {
    const esc02 = request('esc02')
    assert.equal(esc02.method, 'RE%47IST%45R')
    assert.equal(esc02.headers.count('contact'), 2)
    assert.equal(esc02.headers.first('c%6fntact'), '<sip:alias2@host2.example.com>')
  })

  it('§3.1.1.8 dblreq: octets after the body of a datagram are dropped; on a stream they are the next message', () => {
    assert.equal(request('dblreq').body, '')
    const stream = framed(readFileSync(new URL('rfc4475/dblreq.dat', fixtures)), 11)
    assert.deepEqual(
      stream.map(({ what }) => what),
      // The INVITE's own Content-Length is wrong: what is left of its body starts no message.
      ['message', 'message', 'fault'],
    )
  })

  it('§3.1.1.11 mpart01: a binary body passes byte for byte', () => {
    const original = readFileSync(new URL('rfc4475/mpart01.dat', fixtures), 'latin1')
    const mpart = request('mpart01')
    assert.equal(mpart.body, original.slice(original.indexOf('\r\n\r\n') + 4))
    assert.ok(serialize(mpart).endsWith(mpart.body))
  })
})
