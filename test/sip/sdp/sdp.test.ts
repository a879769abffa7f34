import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { findSdp, replaceSdp } from '../../../src/sip/sdp/body.ts'
import { SessionDescription } from '../../../src/sip/sdp/session-description.ts'
import { BROWSER, ODD, PHONE } from './samples.ts'

const bytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((n) => String.fromCharCode(n)) })
const line = fc
  .tuple(
    fc.constantFrom('v=', 'o=', 's=', 'c=', 'm=audio 9 RTP/AVP ', 'm=', 'a=', 'a=rtpmap:', 'a=sendonly', ''),
    bytes,
  )
  .map((parts) => parts.join(''))
const anything = fc.oneof(
  bytes,
  fc.array(fc.tuple(line, fc.constantFrom('\r\n', '\n', '\r')).map((p) => p.join(''))).map((l) => l.join('')),
)

/** Lines that were taken out and put in. */
function difference(before: string, after: string): { out: string[]; put: string[] } {
  const [old, now] = [before.split('\r\n'), after.split('\r\n')]
  return { out: old.filter((l) => !now.includes(l)), put: now.filter((l) => !old.includes(l)) }
}

describe('a session description', () => {
  it('is printed as it was read, whatever it is', () => {
    for (const text of [PHONE, BROWSER, ...ODD]) assert.equal(String(SessionDescription.parse(text)), text)
    fc.assert(fc.property(anything, (text) => assert.equal(String(SessionDescription.parse(text)), text)))
  })

  it('can be looked at and edited without a throw, whatever it is', () => {
    fc.assert(
      fc.property(anything, (text) => {
        const sdp = SessionDescription.parse(text)
        void [sdp.origin, sdp.session.direction, sdp.session.connection]
        for (const m of sdp.media) {
          void [m.type, m.port, m.protocol, m.codecs, m.address, m.effectiveDirection]
          m.filterCodecs((c) => c.name === 'PCMU')
          m.direction = 'inactive'
          m.connection = '192.0.2.9'
          m.port = 0
          assert.equal(m.effectiveDirection, 'inactive')
          assert.equal(m.address, '192.0.2.9')
        }
        assert.equal(SessionDescription.parse(String(sdp)).media.length, sdp.media.length)
      }),
    )
  })

  it('of 64 KiB costs milliseconds, however it is made', () => {
    const formats = Array.from({ length: 8_000 }, (_, i) => ` ${i}`).join('')
    for (const text of [
      `m=audio 1 RTP/AVP${formats}\r\n${'a=rtpmap:1\n'.repeat(2_900)}`,
      `m=audio 1 RTP/AVP 96${'0'.repeat(30_000)}\r${'0'.repeat(30_000)}\r\n`,
      `m=audio 1 ${'x'.repeat(30_000)}\r${'x'.repeat(30_000)}\r\n`,
    ]) {
      const begun = process.threadCpuUsage().user
      SessionDescription.parse(text).media[0]?.filterCodecs((c) => c.name === 'PCMU')
      const ms = (process.threadCpuUsage().user - begun) / 1_000
      // It was ten seconds for the first.
      assert.ok(ms < 300, `${ms} ms for ${text.slice(0, 40)}`)
    }
  })

  it('takes a format that is named as a part of every object for a format', () => {
    const text = 'm=audio 1 RTP/AVP constructor __proto__ 0\r\n'
    const names = SessionDescription.parse(text).media[0]?.codecs.map((c) => c.name)
    assert.deepEqual(names, ['', '', 'PCMU'])
  })

  it('has the parts that RFC 8866 names', () => {
    const sdp = SessionDescription.parse(PHONE)
    assert.deepEqual(sdp.origin, {
      username: 'alice',
      sessionId: '2890844526',
      version: '2890844527',
      netType: 'IN',
      addressType: 'IP4',
      address: '192.0.2.1',
    })
    assert.equal(sdp.session.get('s'), '-')
    const [audio, video] = sdp.media
    assert.deepEqual([audio?.type, audio?.port, audio?.protocol], ['audio', 49170, 'RTP/AVP'])
    assert.deepEqual(audio?.formats, ['0', '8', '18', '101'])
    assert.equal(audio.codecs[2]?.fmtp, 'annexb=no')
    assert.deepEqual([audio.address, video?.address], ['192.0.2.1', '192.0.2.2'])
    assert.deepEqual([audio.direction, video?.direction], ['sendrecv', 'sendonly'])
    const opus = SessionDescription.parse(BROWSER).media[0]?.codecs[0]
    assert.deepEqual([opus?.name, opus?.clockRate, opus?.channels], ['opus', 48000, 2])
  })

  it('knows static payload types without rtpmap', () => {
    const sdp = SessionDescription.parse('m=audio 1 RTP/AVP 0 9 18 77\r\n')
    assert.deepEqual(
      sdp.media[0]?.codecs.map((c) => c.name),
      ['PCMU', 'G722', 'G729', ''],
    )
  })
})

describe('an edit', () => {
  it('of codecs takes out what is said of them, and nothing else', () => {
    const sdp = SessionDescription.parse(PHONE)
    assert.equal(
      sdp.media[0]?.filterCodecs((c) => c.name !== 'G729'),
      true,
    )
    assert.deepEqual(difference(PHONE, String(sdp)), {
      out: ['m=audio 49170 RTP/AVP 0 8 18 101', 'a=rtpmap:18 G729/8000', 'a=fmtp:18 annexb=no'],
      put: ['m=audio 49170 RTP/AVP 0 8 101'],
    })
  })

  it('takes rtx and red along with what they wrap', () => {
    const sdp = SessionDescription.parse(BROWSER)
    const [audio, video] = sdp.media
    assert.equal(
      video?.filterCodecs((c) => c.name !== 'VP8'),
      true,
    )
    assert.deepEqual(video.formats, ['98', '99'])
    assert.equal(
      audio?.filterCodecs((c) => c.name !== 'opus'),
      true,
    )
    assert.deepEqual(audio.formats, ['9', '0', '8', '13', '110', '126'])
    assert.doesNotMatch(String(sdp), /VP8|a=rtcp-fb:96|apt=96|opus|111/)
    assert.match(String(sdp), /a=ssrc:1001 cname:x\r\n/)
  })

  it('never leaves a medium without a codec', () => {
    for (const text of [PHONE, BROWSER]) {
      const sdp = SessionDescription.parse(text)
      assert.equal(
        sdp.media[0]?.filterCodecs((c) => c.name === 'telephone-event'),
        false,
      )
      assert.equal(
        sdp.media[0]?.filterCodecs(() => false),
        false,
      )
      assert.equal(String(sdp), text)
    }
    fc.assert(
      fc.property(fc.subarray(['PCMU', 'PCMA', 'G729', 'telephone-event', 'opus', 'red', 'CN']), (names) => {
        for (const text of [PHONE, BROWSER]) {
          const sdp = SessionDescription.parse(text)
          sdp.media[0]?.filterCodecs((c) => names.includes(c.name))
          assert.ok((sdp.media[0]?.formats.length ?? 0) > 0)
        }
      }),
    )
  })

  it('of a direction leaves one, in its place', () => {
    const sdp = SessionDescription.parse(PHONE)
    const [audio] = sdp.media
    if (audio) audio.direction = 'recvonly'
    assert.deepEqual(difference(PHONE, String(sdp)), { out: ['a=sendrecv'], put: ['a=recvonly'] })
    const bare = SessionDescription.parse('v=0\nm=audio 1 RTP/AVP 0')
    if (bare.media[0]) bare.media[0].direction = 'sendonly'
    assert.equal(String(bare), 'v=0\nm=audio 1 RTP/AVP 0\na=sendonly\n')
  })

  it('of an address puts c= where RFC 8866 wants it, and knows the family', () => {
    const sdp = SessionDescription.parse(PHONE)
    sdp.session.connection = '2001:db8::7'
    const [audio] = sdp.media
    if (audio) audio.connection = '192.0.2.50'
    const text = String(sdp)
    assert.match(text, /s=-\r\nc=IN IP6 2001:db8::7\r\nb=AS/)
    assert.match(text, /m=audio [^\r]+\r\nc=IN IP4 192\.0\.2\.50\r\na=rtpmap:0/)
  })

  it('keeps the line ends that it finds', () => {
    const lf = PHONE.replaceAll('\r\n', '\n')
    const sdp = SessionDescription.parse(lf)
    sdp.session.set('s', 'x')
    sdp.session.addAttribute('new', '1')
    sdp.media[0]?.setAttribute('ptime', '30')
    assert.doesNotMatch(String(sdp), /\r/)
    assert.match(String(sdp), /a=x-unknown:kept\na=new:1\nm=audio/)
    assert.match(String(sdp), /a=ptime:30\n/)
  })
})

describe('SDP in a body', () => {
  const multipart = [
    'preamble',
    '--b1',
    'Content-Type: application/isup;version=x',
    '',
    '\0\x01--b1x',
    '--b1',
    'content-type:application/sdp',
    '',
    'v=0',
    's=-',
    '--b1--',
    '',
  ].join('\r\n')

  it('is all of it, or the part that is SDP', () => {
    const text = (type: string | undefined, body: string): string | undefined => {
      const span = findSdp(type, body)
      return span && body.slice(span.from, span.to)
    }
    assert.equal(text('Application/SDP; charset=utf-8', PHONE), PHONE)
    assert.equal(text('multipart/mixed;boundary=b1', multipart), 'v=0\r\ns=-')
    assert.equal(text('multipart/mixed; boundary="b1"; x=y', multipart.replaceAll('\r\n', '\n')), 'v=0\ns=-')
    assert.equal(text('text/plain', PHONE), undefined)
    assert.equal(text(undefined, PHONE), undefined)
    assert.equal(text('multipart/mixed', multipart), undefined)
    assert.equal(text('application/sdp', ''), undefined)
    const encoded = multipart.replace(
      'content-type:app',
      'Content-Transfer-Encoding: base64\r\ncontent-type:app',
    )
    assert.equal(text('multipart/mixed;boundary=b1', encoded), undefined)
    const plain = encoded.replace('base64', '8bit')
    assert.equal(text('multipart/mixed;boundary=b1', plain), 'v=0\r\ns=-')
  })

  it('is replaced alone', () => {
    const body = replaceSdp('multipart/mixed;boundary=b1', multipart, 'v=1\r\n')
    assert.equal(body, multipart.replace('v=0\r\ns=-', 'v=1\r\n'))
  })

  it('is found or not, but never with a throw', () => {
    fc.assert(
      fc.property(
        bytes,
        fc.array(fc.constantFrom('--b', '--b--', '\r\n', '\n', 'Content-Type: application/sdp', 'v=0', ' ')),
        (tail, parts) => {
          const body = parts.join('') + tail
          const span = findSdp('multipart/mixed;boundary=b', body)
          if (span !== undefined) assert.ok(0 <= span.from && span.from <= span.to && span.to <= body.length)
        },
      ),
    )
  })
})
