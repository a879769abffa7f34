/**
 * What one message costs the engine thread: microseconds to parse and to serialize, each the median of several rounds.
 * Run: node bench/parse.ts
 */
import { Buffer } from 'node:buffer'
import { parseMessage } from '../src/sip/message/parse.ts'
import { serialize } from '../src/sip/message/serialize.ts'
import { StreamFramer } from '../src/sip/message/stream-framer.ts'

const body = [
  'v=0',
  'o=alice 2890844526 2890844526 IN IP4 192.0.2.101',
  's=-',
  'c=IN IP4 192.0.2.101',
  't=0 0',
  'm=audio 49172 RTP/AVP 0',
  'a=rtpmap:0 PCMU/8000',
  '',
].join('\r\n')

const invite = [
  'INVITE sip:bob@biloxi.example.com SIP/2.0',
  'Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74b43;rport',
  'Max-Forwards: 70',
  'Route: <sip:ss1.atlanta.example.com;lr>',
  'From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl',
  'To: Bob <sip:bob@biloxi.example.com>',
  'Call-ID: 2xTb9vxSit55XU7p8@atlanta.example.com',
  'CSeq: 1 INVITE',
  'Contact: <sip:alice@client.atlanta.example.com>',
  'User-Agent: Example Phone 1.0',
  'Allow: INVITE, ACK, CANCEL, OPTIONS, BYE',
  'Supported: replaces, timer',
  'Content-Type: application/sdp',
  `Content-Length: ${body.length}`,
  '',
  body,
].join('\r\n')

const bytes = Buffer.from(invite, 'latin1')

function parsed() {
  const result = parseMessage(invite)
  if (!result.ok) throw new Error(result.fault.what)
  return result.message
}

/** Median over rounds of the mean microseconds of one run. */
function measure(name: string, run: () => unknown): void {
  const times: number[] = []
  let kept: unknown
  for (let round = 0; round < 15; round++) {
    const runs = 20_000
    const start = performance.now()
    for (let i = 0; i < runs; i++) kept = run()
    times.push(((performance.now() - start) * 1000) / runs)
  }
  if (kept === undefined) throw new Error('nothing was measured')
  times.sort((a, b) => a - b)
  console.log(`${name.padEnd(44)} ${(times[7] ?? 0).toFixed(2)} µs`)
}

const message = parsed()
const framer = new StreamFramer()
console.log(`an INVITE of ${invite.length} bytes, node ${process.version}`)
measure('bytes to text', () => bytes.toString('latin1'))
measure('parse', () => parseMessage(invite))
measure('bytes to text, parse', () => parseMessage(bytes.toString('latin1')))
measure('serialize', () => serialize(message).length)
measure('serialize, text to bytes', () => Buffer.from(serialize(message), 'latin1'))
measure('clone, push a Via, serialize, text to bytes', () => {
  const forwarded = message.clone()
  forwarded.headers.prepend('Via', 'SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK9d8f7s6')
  return Buffer.from(serialize(forwarded), 'latin1')
})
measure('frame one', () => framer.push(bytes))

/** The slowest of hostile texts, with limits that let 60 kB of one field through: time must be linear in the length. */
function hostile(): void {
  const limits = { maxMessageBytes: 70_000, maxHeaderBytes: 70_000, maxFieldBytes: 70_000, maxFields: 70_000 }
  const patterns = [
    '"',
    '\\',
    '"\\',
    ' ',
    '\t',
    ',',
    ';',
    '<',
    '>',
    '=',
    ':',
    '@',
    '.',
    '%',
    '[',
    '(',
    'a ',
    'a,',
    ';a',
    ';a=',
  ]
  patterns.push(
    ';a="',
    '<sip:',
    '"a" ',
    '%41',
    'a.',
    '0',
    '\r\n ',
    '\r\n a',
    '\0',
    '\\\0',
    'a\r\n',
    '<a:b>,',
    '\r\nVia: a/b/c d',
  )
  const fields = [
    'From: #',
    'To: <sip:a@b>#',
    'Contact: #',
    'Via: SIP/2.0/UDP h#',
    'Via: #',
    'Route: #',
    'CSeq: # INVITE',
    '#',
  ]
  fields.push(
    'To: #<sip:a@b>',
    'Max-Forwards: #',
    'Content-Length: #',
    'Record-Route: <sip:a@b#>',
    'Contact: <sip:a#@b>',
    'X: #',
  )
  const results: { at: string; ms: number; small: number }[] = []
  for (const method of ['INVITE', 'REGISTER']) {
    const base = invite.replaceAll('INVITE', method)
    for (const field of [...fields, '']) {
      for (const pattern of patterns) {
        const ms = [15_000, 60_000].map((length) => {
          const filled = pattern.repeat(Math.ceil(length / pattern.length))
          const text =
            field === ''
              ? base.replace('bob', () => filled)
              : base.replace('Max-Forwards', () => `${field.replace('#', () => filled)}\r\nMax-Forwards`)
          let best = Infinity
          for (let run = 0; run < 3; run++) {
            const start = performance.now()
            parseMessage(Buffer.from(text, 'latin1').toString('latin1'), limits)
            best = Math.min(best, performance.now() - start)
          }
          return best
        })
        const [small = 0, large = 0] = ms
        results.push({ at: `${method} ${field} ${JSON.stringify(pattern)}`, ms: large, small })
      }
    }
  }
  results.sort((a, b) => b.ms - a.ms)
  console.log('slowest hostile texts: 60 kB, 15 kB')
  for (const { at, ms, small } of results.slice(0, 5))
    console.log(`${ms.toFixed(2)} ms, ${small.toFixed(2)} ms  ${at}`)
}
hostile()
