import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeBencode, encodeBencode } from '../../src/base/bencode.ts'
import { ScriptCall } from '../../src/script/api/call.ts'
import { connect } from '../../src/script/api/services.ts'
import { Reply } from '../../src/script/api/reply.ts'
import { ScriptRequest } from '../../src/script/api/request.ts'
import { rtpengine } from '../../src/script/api/rtpengine.ts'
import { sdp } from '../../src/script/api/sdp.ts'
import { BatchReader, type Item } from '../../src/script/conversation.ts'
import type { Message } from '../../src/sip/message/message.ts'
import { parseMessage } from '../../src/sip/message/parse.ts'
import { BROWSER, PHONE } from '../sip/sdp/samples.ts'

const PATH = {
  protocol: 'udp',
  local: { host: '10.0.0.2', port: 5060 },
  remote: { host: '10.0.0.1', port: 5060 },
} as const

function message(start: string, body: string, vias = ['z9hG4bKcaller'], toTag = ''): Message {
  const text = [
    start,
    ...vias.map((branch) => `Via: SIP/2.0/UDP 10.0.0.1;branch=${branch}`),
    'From: <sip:a@a.example>;tag=a',
    `To: <sip:b@b.example>${toTag === '' ? '' : `;tag=${toTag}`}`,
    'Call-ID: call-1',
    'CSeq: 1 INVITE',
    'Max-Forwards: 70',
    ...(body === '' ? [] : ['Content-Type: application/sdp']),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n')
  const result = parseMessage(text)
  if (!result.ok) throw new Error(result.fault.what)
  return result.message
}

function invite(body = PHONE, toTag = ''): ScriptRequest {
  const raw = message('INVITE sip:b@b.example SIP/2.0', body, undefined, toTag)
  if (raw.kind !== 'request') throw new Error('no request')
  return new ScriptRequest(raw, PATH, false)
}

function answer(body = PHONE): Reply {
  const raw = message('SIP/2.0 200 OK', body, ['z9hG4bKours', 'z9hG4bKcaller'], 'b')
  if (raw.kind !== 'response') throw new Error('no response')
  return new Reply(raw, [], 0)
}

/** Connects the API to an engine that the test plays. */
function play(
  reply: (service: string, args: readonly Item[]) => readonly Item[],
  sdpName: string | null = null,
) {
  const asked: { service: string; args: readonly Item[] }[] = []
  connect({
    log: () => undefined,
    lookup: () => Promise.resolve([]),
    tell: () => undefined,
    call: (service, ...args) => {
      asked.push({ service, args })
      return Promise.resolve(new BatchReader([...reply(service, args)]))
    },
    settings: { media: { profiles: ['rtp_passthrough', 'srtp_to_rtp'], sdpName } },
    metrics: undefined as never,
    generation: 1,
  })
  return asked
}

describe('rtpengine in a script', () => {
  it('sends the SDP with the tags of the message, and puts the answer in its place', async () => {
    const asked = play(() => [1, 'v=0\r\ns=caf\xc3\xa9\r\n'])
    const request = invite()
    request.recordRoute()
    const options = {
      profile: 'srtp_to_rtp',
      flags: ['strict-source'],
      ice: 'remove',
      recordCall: true,
    } as const
    const result = await rtpengine.offer(request, options)
    assert.deepEqual(result, { ok: true, sdp: 'v=0\r\ns=café\r\n' })
    assert.equal(request.bodyText, 'v=0\r\ns=café\r\n')
    assert.equal(request.contentType, 'application/sdp')
    const [first] = asked
    assert.deepEqual(first?.args.slice(0, 6), ['call-1', 'a', null, 'z9hG4bKcaller', PHONE, 'srtp_to_rtp'])
    assert.deepEqual(JSON.parse(JSON.stringify(decodeBencode(String(first?.args[6])))), {
      flags: ['strict-source'],
      ICE: 'remove',
      'record call': 'yes',
    })
    await rtpengine.answer(answer())
    assert.deepEqual(asked[1]?.args.slice(0, 4), ['call-1', 'a', 'b', 'z9hG4bKcaller'])
    await rtpengine.offer(invite(PHONE, 'b'))
    assert.deepEqual(asked[2]?.args.slice(2, 4), ['b', null])
  })

  it('says of a call without an offer that its media is awaited, by profile and flags', async () => {
    const asked = play(() => [1, ''])
    const raw = message('INVITE sip:b@b.example SIP/2.0', '')
    if (raw.kind !== 'request') throw new Error('no request')
    const info = { id: 'c-1', state: 'calling', side: null, referTo: null, replaces: false } as const
    const call = new ScriptCall(raw, PATH, info, 'invite')
    const options = { profile: 'srtp_to_rtp', flags: ['strict-source'] } as const
    assert.deepEqual(await rtpengine.offer(call, options), { ok: true, sdp: undefined })
    assert.equal(asked[0]?.service, 'rtpengine.await')
    assert.deepEqual(asked[0]?.args.slice(0, 6), ['call-1', 'a', null, null, '', 'srtp_to_rtp'])
    // A proxy does not see the ACK.
    const request = invite('')
    request.recordRoute()
    assert.deepEqual(await rtpengine.offer(request), { ok: true, sdp: undefined })
    assert.equal(asked.length, 1)
    play(() => [0, 'no_instance', 'none'])
    assert.deepEqual(await rtpengine.offer(call), { ok: false, reason: 'no_instance', what: 'none' })
  })

  it('names the session as configured', async () => {
    play(() => [1, PHONE], 'SIPhon')
    const reply = answer()
    await rtpengine.answer(reply)
    assert.equal(reply.bodyText, PHONE.replace('s=-', 's=SIPhon'))
  })

  it('has nothing to do without SDP, and leaves the message alone when the engine fails', async () => {
    const asked = play(() => [0, 'no_instance', 'none'])
    assert.deepEqual(await rtpengine.answer(answer('')), { ok: true, sdp: undefined })
    assert.equal(asked.length, 0)
    const reply = answer()
    assert.deepEqual(await rtpengine.answer(reply), { ok: false, reason: 'no_instance', what: 'none' })
    assert.equal(reply.bodyText, PHONE)
  })

  it('refuses what the script has wrong', async () => {
    play(() => [1, PHONE])
    await assert.rejects(rtpengine.offer(invite()), /recordRoute\(\) first/)
    await assert.rejects(
      rtpengine.answer(answer(), { profile: 'nope' }),
      /not a media profile: rtp_passthrough/,
    )
    await assert.rejects(rtpengine.answer(answer(), { bad: 1 } as never), /not an option/)
    assert.throws(() => rtpengine.playDtmf(answer(), '10'), /not a DTMF digit/)
    assert.throws(() => rtpengine.playMedia(answer(), {}), /one of file, blob and dbId/)
  })

  it('says when there is no media engine', async () => {
    const settings = { media: null }
    connect({ settings } as never)
    await assert.rejects(rtpengine.answer(answer()), /write media\.rtpengine/)
  })

  it('names commands and parties as rtpengine does, and gives its answer', async () => {
    const asked = play((service) =>
      service === 'rtpengine.command' ? [1, encodeBencode({ result: 'ok', duration: 7 })] : [1],
    )
    const call = answer()
    assert.deepEqual(await rtpengine.playMedia(call, { file: '/x.wav', repeat: 2 }), {
      ok: true,
      answer: { result: 'ok', duration: 7 },
    })
    await rtpengine.playDtmf(call, '#', { party: 'callee' })
    await rtpengine.silenceMedia(call)
    await rtpengine.startRecording(call)
    assert.equal(await rtpengine.delete(call), true)
    assert.equal(await rtpengine.ping(), true)
    assert.deepEqual(
      asked.map(({ args }) => args.slice(0, 3)),
      [
        ['play media', 'call-1', 'caller'],
        ['play DTMF', 'call-1', 'callee'],
        ['silence media', 'call-1', null],
        ['start recording', 'call-1', null],
        ['call-1'],
        [],
      ],
    )
  })
})

describe('sdp in a script', () => {
  it('edits a message and nothing but its SDP', () => {
    const request = invite()
    assert.ok(sdp.has(request))
    const offer = sdp.parse(request)
    assert.equal(offer.removeCodecs(['g729']), true)
    offer.sessionName = 'café'
    offer.setAttr('x-own', 7)
    const [audio] = offer.media
    if (audio) audio.direction = 'recvonly'
    offer.apply(request)
    const text = request.bodyText
    assert.equal(text, String(offer))
    assert.doesNotMatch(text, /G729/)
    assert.match(text, /s=café\r\n/)
    assert.match(text, /a=x-unknown:kept\r\na=x-own:7\r\nm=audio 49170 RTP\/AVP 0 8 101\r\n/)
    assert.equal(sdp.has(answer('')), false)
    assert.throws(() => sdp.parse(answer('')), /carries no application\/sdp/)
  })

  it('reads text and bytes, and writes both', () => {
    assert.equal(String(sdp.parse('v=0\r\ns=café\r\n')), 'v=0\r\ns=café\r\n')
    const bytes = Buffer.from([0x73, 0x3d, 0xff, 0x00, 0x0a])
    assert.deepEqual(Buffer.from(sdp.parse(bytes).bytes()), bytes)
  })

  it('filters by name and rate', () => {
    const offer = sdp.parse(BROWSER)
    assert.equal(offer.filterCodecs(['OPUS', 'telephone-event/48000', 'VP8', 'rtx']), true)
    assert.deepEqual(
      offer.media.map((m) => m.formats.join(' ')),
      ['111 110', '96 97', 'webrtc-datachannel'],
    )
    assert.equal(offer.filterCodecs(['VP8']), false)
    assert.deepEqual(
      offer.media.map((m) => m.formats.join(' ')),
      ['111 110', '96', 'webrtc-datachannel'],
    )
  })

  it('refuses a medium in its place and out of its group, or drops it', () => {
    const offer = sdp.parse(BROWSER)
    assert.equal(offer.removeMedia('video'), 1)
    assert.equal(offer.getAttr('group'), 'BUNDLE 0 2')
    assert.deepEqual(
      offer.media.map((m) => [m.mediaType, m.port]),
      [
        ['audio', 9],
        ['video', 0],
        ['application', 9],
      ],
    )
    assert.equal(sdp.parse(BROWSER).removeMedia('text'), 0)
    offer.removeMedia('video', { drop: true })
    assert.deepEqual(
      offer.media.map((m) => m.mediaType),
      ['audio', 'application'],
    )
  })

  it('lets no script break a line', () => {
    const offer = sdp.parse(PHONE)
    assert.throws(() => offer.setAttr('x', 'a\r\nm=audio'), /line break/)
    assert.throws(() => offer.setAttr('x y'), /not the name of an attribute/)
    assert.throws(() => (offer.sessionName = 'a\nb'), /line break/)
    assert.throws(() => (offer.connection = '1.2.3.4\r\nx'), /not an address/)
    assert.throws(() => (offer.direction = 'both' as never), /not a direction/)
    const { origin } = offer
    assert.throws(() => (offer.origin = { ...origin, username: 'a b' } as never), /not one word/)
    const [audio] = offer.media
    assert.throws(() => audio && (audio.port = 70_000), /not a port/)
    assert.equal(String(offer), PHONE)
  })
})
