import assert from 'node:assert/strict'
import { findSdp, replaceSdp } from '../../src/sip/sdp/body.ts'
import { SessionDescription } from '../../src/sip/sdp/session-description.ts'

const OTHER = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n'

/** The first line is the Content-Type and the rest a body; without a session description in that, all of it is one. */
export function sdp(input: Buffer): void {
  const text = input.toString('latin1')
  const cut = text.indexOf('\n')
  const type = cut < 0 ? undefined : text.slice(0, cut).trim()
  const body = text.slice(cut + 1)
  const span = findSdp(type, body)
  if (span === undefined) {
    assert.equal(replaceSdp(type, body, OTHER), undefined)
    description(text)
    return
  }
  assert.ok(0 <= span.from && span.from <= span.to && span.to <= body.length, 'a span lies in its body')
  const found = body.slice(span.from, span.to)
  assert.equal(replaceSdp(type, body, found), body, 'putting the same in changes nothing')
  const replaced = replaceSdp(type, body, OTHER) ?? ''
  assert.equal(replaced.length, body.length - found.length + OTHER.length, 'nothing else is touched')
  description(found)
}

/** Printed as it came; each edit is read back as it was made, and costs nobody else's line. */
function description(text: string): void {
  const parsed = SessionDescription.parse(text)
  assert.equal(parsed.toString(), text, 'what nobody edits is printed byte for byte')
  void parsed.origin
  for (const [i, medium] of parsed.media.entries()) {
    // Looking changes nothing; the first media stand for all, as a body has room for 16,000.
    if (i === 16) break
    void [medium.address, medium.effectiveDirection, medium.codecs, medium.port]
  }
  assert.equal(parsed.toString(), text)

  const media = parsed.media.length
  const lines = text.split('\n').length
  parsed.session.connection = '2001:db8::1'
  parsed.session.setAttribute('x-fuzz', 'a b')
  const first = parsed.media[0]
  if (first !== undefined) {
    first.port = 40_000
    first.direction = 'inactive'
    first.filterCodecs((codec) => codec.name === 'PCMU')
  }
  const written = parsed.toString()
  // Two lines for the session, a direction for the medium, and the end of a last line that had none.
  assert.ok(written.split('\n').length <= lines + 4, 'an edit adds no more than its own lines')
  const read = SessionDescription.parse(written)
  assert.equal(read.toString(), written)
  assert.equal(read.media.length, media, 'an edit makes and loses no medium')
  assert.equal(read.session.connection, '2001:db8::1')
  assert.equal(read.session.attribute('x-fuzz'), 'a b')
  assert.equal(read.media[0]?.port, first === undefined ? undefined : 40_000)
  assert.equal(read.media[0]?.direction, first === undefined ? undefined : 'inactive')
  assert.deepEqual(read.media[0]?.formats, first?.formats)

  const dropped = read.drop('audio')
  assert.equal(read.media.length, media - dropped)
  assert.ok(!read.media.some((m) => m.type === 'audio'))
}
