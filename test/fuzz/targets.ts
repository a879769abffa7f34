import assert from 'node:assert/strict'
import { parseNameAddr, parseNameAddrList, formatNameAddr } from '../../src/sip/message/name-addr.ts'
import { digest } from './digest-target.ts'
import { sdp } from './sdp-target.ts'
import { parseMessage } from '../../src/sip/message/parse.ts'
import { serialize } from '../../src/sip/message/serialize.ts'
import { type Framed, StreamFramer } from '../../src/sip/message/stream-framer.ts'
import { formatUri, isSipUri, parseUri, uriEquals } from '../../src/sip/message/uri.ts'
import { formatVia, parseVia } from '../../src/sip/message/via.ts'

/** One thing that reads what strangers send. `run` throws when what must always hold does not. */
export interface Target {
  readonly name: string
  run(input: Buffer): void
}

/** Reading what was read and written again gives the same text: parse ∘ serialize ∘ parse is parse. */
function message(input: Buffer): void {
  const parsed = parseMessage(input.toString('latin1'))
  if (!parsed.ok) {
    assert.ok(parsed.fault.status >= 400 && parsed.fault.status < 600, 'a fault has a status of its own')
    return
  }
  // Cut where the input says, so that a finding can be had again.
  const start = input.subarray(0, ((input[input.length >> 1] ?? 0) * input.length) >> 8)
  const stalled = new StreamFramer()
  if (stalled.push(start).length === 0 && stalled.inHead) {
    assert.deepEqual(stalled.stalled(), [], 'the beginning of a valid message is called broken')
  }
  const written = serialize(parsed.message)
  const again = parseMessage(written)
  if (!again.ok) {
    // Our Content-Length may be what makes it too long.
    assert.equal(again.fault.status, 513, `what we wrote is refused: ${again.fault.what}`)
    return
  }
  assert.equal(serialize(again.message), written, 'the second writing differs from the first')
  assert.equal(again.message.body, parsed.message.body)
  assert.equal(again.message.kind, parsed.message.kind)
  const framed = new StreamFramer().push(Buffer.from(written, 'latin1'))
  assert.equal(framed.length, 1, 'a message we wrote is one message on a stream')
  assert.equal(framed[0]?.what, 'message')
  // What every request and response meets on its way through.
  for (const value of parsed.message.headers.all('route')) parseNameAddr(value)
  for (const value of parsed.message.headers.all('contact')) parseNameAddrList(value)
  if (parsed.message.kind === 'request') uri(Buffer.from(parsed.message.uri, 'latin1'))
}

/** What a framer says depends on the bytes alone, not on how they were cut. */
function framer(input: Buffer): void {
  const uncut = new StreamFramer()
  const whole = shown([...uncut.push(input), ...uncut.stalled()])
  // Cut where the input says, so that a finding can be had again.
  // At most 8,192 pieces: a push of one byte costs a microsecond, and that is not what is looked for.
  const step = 1 + (input.length >> 13) + ((input[input.length >> 1] ?? 0) % 37)
  const cut = new StreamFramer()
  const parts: Framed[] = []
  for (let at = 0; at < input.length; at += step) parts.push(...cut.push(input.subarray(at, at + step)))
  assert.ok(cut.buffered <= 65_535 + step, 'more than a message is kept')
  parts.push(...cut.stalled())
  assert.deepEqual(shown(parts), whole, `cut into pieces of ${step} it reads otherwise`)
  if (cut.deaf) assert.equal(cut.buffered, 0, 'what is not read any more is kept')
  for (const frame of parts) if (frame.what === 'message') message(Buffer.from(frame.text, 'latin1'))
}

/** The text of a fault is what may be left to answer: it grows with what has come in. */
function shown(framed: readonly Framed[]): string[] {
  return framed.map((f) =>
    f.what === 'message' ? `message ${f.text}` : f.what === 'fault' ? `fault ${f.fault.status}` : f.what,
  )
}

function uri(input: Buffer): void {
  const text = input.toString('latin1')
  const parsed = parseUri(text)
  if (!parsed.ok) return
  const written = formatUri(parsed.value)
  const again = parseUri(written)
  assert.ok(again.ok, 'a URI that we wrote is refused')
  assert.equal(formatUri(again.value), written)
  if (isSipUri(parsed.value) && isSipUri(again.value)) {
    assert.ok(uriEquals(parsed.value, again.value), 'a URI does not equal itself')
  }
}

function nameAddr(input: Buffer): void {
  const text = input.toString('latin1')
  parseNameAddrList(text)
  const parsed = parseNameAddr(text)
  if (!parsed.ok) return
  const written = formatNameAddr(parsed.value)
  const again = parseNameAddr(written)
  assert.ok(again.ok, 'a name-addr that we wrote is refused')
  assert.equal(formatNameAddr(again.value), written)
}

function via(input: Buffer): void {
  const parsed = parseVia(input.toString('latin1'))
  if (!parsed.ok) return
  const written = formatVia(parsed.value)
  const again = parseVia(written)
  assert.ok(again.ok, 'a Via that we wrote is refused')
  assert.equal(formatVia(again.value), written)
}

export const targets: readonly Target[] = [
  { name: 'message', run: message },
  { name: 'framer', run: framer },
  { name: 'uri', run: uri },
  { name: 'name-addr', run: nameAddr },
  { name: 'via', run: via },
  { name: 'digest', run: digest },
  { name: 'sdp', run: sdp },
]
