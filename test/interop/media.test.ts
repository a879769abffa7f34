import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { parse } from 'yaml'
import type { Request, Response } from '../../src/sip/message/message.ts'
import { missing, root, until } from '../support/programs.ts'
import { RtpParty } from '../support/rtp.ts'
import { startRtpengine, type Rtpengine } from '../support/rtpengine.ts'
import { calleeBye, finalTo, SipPeer, type OutgoingInvite } from '../support/sip-peer.ts'
import { freePort, startSiphon, type Siphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'
import { wave } from '../support/sound.ts'
import { BROWSER } from '../sip/sdp/samples.ts'

/** Calls through a real rtpengine, anchored by a proxy script. */

const SCRIPT = `
import { proxy, rtpengine } from 'siphon'

proxy.onRequest(async (request) => {
  if (request.inDialog) {
    if (!request.looseRoute()) return request.reply(404)
    if (request.method === 'INFO') return request.reply(200, 'OK', { body: JSON.stringify(await told(request)) })
    const media = request.method === 'INVITE' ? await rtpengine.offer(request) : null
    return media?.ok === false ? request.reply(500, media.what) : request.relay()
  }
  request.recordRoute()
  const media = await rtpengine.offer(request, { profile: request.getHeader('X-Profile') ?? 'rtp_passthrough' })
  if (!media.ok) return request.reply(503, media.reason)
  if (request.hasHeader('X-Fail')) throw new Error('on purpose')
  return request.relay('sip:' + request.getHeader('X-Target'))
})

const verbs = {
  ping: () => rtpengine.ping(),
  query: (request) => rtpengine.query(request),
  block: (request) => rtpengine.blockMedia(request, { party: 'caller' }),
  unblock: (request) => rtpengine.unblockMedia(request, { party: 'caller' }),
  silence: (request) => rtpengine.silenceMedia(request),
  unsilence: (request) => rtpengine.unsilenceMedia(request),
  dtmf: (request) => rtpengine.playDtmf(request, '5', { party: 'callee' }),
  play: (request) => rtpengine.playMedia(request, { file: '/nowhere.wav' }),
  sound: (request) => rtpengine.playMedia(request, { blob: Buffer.from(request.getHeader('X-Sound'), 'base64') }),
  record: (request) => rtpengine.startRecording(request),
  delete: (request) => rtpengine.delete(request),
}
const told = (request) => verbs[request.getHeader('X-Do')](request)

proxy.onReply(async (request, reply) => {
  const media = await rtpengine.answer(reply)
  if (!media.ok) return reply.reject(500, media.what)
  return reply.relay()
})
`

/** Calls that ask for it are the back-to-back user agent's, the others the proxy's. */
const BOTH = `${SCRIPT}
import { b2bua } from 'siphon'

b2bua.onInvite(async (call) => {
  if (!call.hasHeader('X-B2bua')) return call.proxy()
  const media = await rtpengine.offer(call)
  return media.ok ? call.dial('sip:bob@' + call.getHeader('X-Target')) : call.reject(503, media.reason)
})
const answered = async (call, reply) => {
  const media = await rtpengine.answer(reply)
  return media.ok ? reply.relay() : call.reject(500, media.what)
}
b2bua.onEarlyMedia(answered)
b2bua.onAnswer(answered)
`

/**
 * `uac-media.xml`, with a header of ours, for calls whose engine may die between offer and answer: those get 500, and no
 * caller waits for ever.
 */
function refusable(header: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'sipp-')), 'uac.xml')
  const text = readFileSync(join(root, 'test/interop/sipp/uac-media.xml'), 'latin1')
    .replace('X-Target: [target]', `$&\n      ${header}`)
    .replace('<recv response="200" rrs', '<recv response="500" optional="true" next="9"/>\n  $&')
    .replace('</scenario>', '<label id="9"/>\n$&')
  writeFileSync(path, text, 'latin1')
  return path
}

const skip = missing('rtpengine', 'sipp')

interface Call {
  readonly invite: OutgoingInvite
  /** As it reached the callee. */
  readonly offered: Request
  readonly answer: Response
}

describe('media through rtpengine', { skip }, () => {
  let engine: Rtpengine
  let siphon: Siphon
  let caller: SipPeer
  let callee: SipPeer

  const serve = async (t: TestContext | null, more = ''): Promise<Siphon> => {
    const media = `media: { rtpengine: { address: "${engine.address}" }, health_check_interval_secs: 0 }`
    const server = await startSiphon({ script: SCRIPT, yaml: `${media}\n${more}` })
    t?.after(() => server.stop('SIGKILL'))
    return server
  }

  before(async () => {
    engine = await startRtpengine({ rtpPorts: [21_000, 21_999] })
    siphon = await serve(null)
    caller = await SipPeer.open(siphon.sip)
    callee = await SipPeer.open(siphon.sip)
  })
  after(async () => {
    caller.close()
    callee.close()
    await siphon.stop('SIGKILL')
    await engine.stop()
  })

  const none = async (server = siphon): Promise<void> => {
    await until('rtpengine to have no call', async () => (await engine.calls()).length === 0)
    await until('no session', async () => (await server.metrics()).get('siphon_media_sessions_active') === 0)
  }

  const invite = (sdp: string, headers: readonly string[] = []): OutgoingInvite =>
    caller.invite('sip:bob@example.com', { sdp, headers: [`X-Target: 127.0.0.1:${callee.port}`, ...headers] })

  const arrived = (call: OutgoingInvite, at = callee): Promise<Request> =>
    at.heard(
      'the INVITE',
      (m): m is Request => m.kind === 'request' && m.method === 'INVITE' && m.callId === call.callId,
    )

  const connect = async (a: RtpParty, b: RtpParty, headers: readonly string[] = []): Promise<Call> => {
    const call = invite(a.sdp, headers)
    const offered = await arrived(call)
    b.hear(offered.body)
    callee.answer(offered, 200, {
      headers: offered.headers.all('record-route').map((r) => ['Record-Route', r] as const),
      body: b.sdp,
      contentType: 'application/sdp',
    })
    const answer = await call.final()
    a.hear(answer.body)
    return { invite: call, offered, answer }
  }

  /** Sends both ways until each has heard the other. */
  const talk = async (a: RtpParty, b: RtpParty): Promise<void> => {
    const [fromA, fromB] = [`from-a-${a.received.length}`, `from-b-${b.received.length}`]
    await until('both to be heard', () => {
      a.send(fromA)
      b.send(fromB)
      const heard = (party: RtpParty, mark: string): boolean =>
        party.received.some((payload) => payload.subarray(0, mark.length).toString() === mark)
      return heard(a, fromB) && heard(b, fromA)
    })
  }

  const parties = async (t: TestContext, a: boolean, b: boolean): Promise<[RtpParty, RtpParty]> => {
    const both: [RtpParty, RtpParty] = [await RtpParty.open({ srtp: a }), await RtpParty.open({ srtp: b })]
    t.after(() => both.forEach((party) => party.close()))
    return both
  }

  it('tells the truth about its instance from the first second, with probing off', async () => {
    await until('the first ping', async () => (await siphon.metric('siphon_rtpengine_instances_up')) === 1)
    const samples = await siphon.metrics()
    assert.equal(samples.get('siphon_rtpengine_instances'), 1)
    assert.equal(samples.get(`siphon_rtpengine_instance_up{address="${engine.address}"}`), 1)
    assert.equal(samples.get('siphon_rtpengine_requests_total{command="ping",outcome="ok"}'), 1)
  })

  it('carries RTP both ways, writes its figures into the record, and deletes it after BYE', async (t) => {
    const [a, b] = await parties(t, false, false)
    const { invite: call, offered, answer } = await connect(a, b)
    assert.doesNotMatch(offered.body, new RegExp(`m=audio ${a.port} `))
    assert.doesNotMatch(answer.body, new RegExp(`m=audio ${b.port} `))
    await talk(a, b)
    assert.deepEqual(await engine.calls(), [call.callId])
    assert.equal(await siphon.metric('siphon_media_sessions_active'), 1)
    // Round trips are known from the second pair of reports on; more than a second lies between two that count.
    const scored = async (): Promise<boolean> => {
      a.send('more')
      b.send('more')
      a.report(b.ssrc, 5, 80)
      b.report(a.ssrc, 13, 160)
      const { SSRC } = await engine.ask({ command: 'query', 'call-id': call.callId })
      return JSON.stringify(SSRC).match(/"average MOS"/g)?.length === 2
    }
    await until('reports to be scored', scored)
    const streams = await engine.ask({ command: 'query', 'call-id': call.callId })
    assert.equal(await hangUp(call, answer), 200)
    await none()
    await until('the record', () => siphon.records().length === 1)
    const media = siphon.records()[0]?.['media'] as Record<string, unknown> & {
      caller: Record<string, number>
      callee: Record<string, number>
    }
    assert.equal(media['instance'], engine.address)
    assert.equal(media['codec'], 'PCMU/8000')
    const sent = (streams['totals'] as { RTP: { packets: number } }).RTP.packets
    assert.equal((media.caller['packets'] ?? 0) + (media.callee['packets'] ?? 0), sent)
    for (const leg of [media.caller, media.callee]) {
      assert.ok((leg['packets'] ?? 0) >= 2 && (leg['bytes'] ?? 0) >= 2 * 172)
      assert.equal(leg['errors'], 0)
      assert.ok((leg['mos'] ?? 0) > 1 && (leg['mos'] ?? 0) <= 5)
    }
    // What each has reported: 5 and 13 of 256 lost, 80 and 160 ticks of 8 kHz.
    assert.equal(media.caller['loss_percent'], 1)
    assert.equal(media.callee['loss_percent'], 5)
    assert.equal(media.caller['jitter_ms'], 10)
    assert.equal(media.callee['jitter_ms'], 20)
  })

  it('puts SRTP on one side and RTP on the other, also when the callee offers anew', async (t) => {
    for (const [profile, srtp] of [
      ['srtp_to_rtp', true],
      ['rtp_to_srtp', false],
    ] as const) {
      const [a, b] = await parties(t, srtp, !srtp)
      const { invite: call, offered, answer } = await connect(a, b, [`X-Profile: ${profile}`])
      assert.match(offered.body, srtp ? / RTP\/AVP 0/ : / RTP\/SAVP 0/)
      assert.match(answer.body, srtp ? / RTP\/SAVP 0/ : / RTP\/AVP 0/)
      await talk(a, b)

      const again = calleeBye(callee, offered)
      const reinvite = callee.request('INVITE', again.uri, [
        ...again.headers.all('route').map((route) => `Route: ${route}`),
        `From: ${again.headers.first('from')}`,
        `To: ${again.headers.first('to')}`,
        `Call-ID: ${call.callId}`,
        'CSeq: 6 INVITE',
      ])
      reinvite.body = b.sdp
      reinvite.headers.append('Content-Type', 'application/sdp')
      callee.send(reinvite)
      const reoffered = await caller.heard(
        'the re-INVITE',
        (m): m is Request => m.kind === 'request' && m.method === 'INVITE' && m.callId === call.callId,
      )
      assert.match(reoffered.body, srtp ? / RTP\/SAVP 0/ : / RTP\/AVP 0/)
      a.hear(reoffered.body)
      caller.answer(reoffered, 200, { body: a.sdp, contentType: 'application/sdp' })
      assert.equal(await finalTo(callee, reinvite), 200)
      const reanswer = callee.received.findLast(
        (m) => m.kind === 'response' && m.callId === call.callId && m.status === 200,
      )
      assert.match(reanswer?.body ?? '', srtp ? / RTP\/AVP 0/ : / RTP\/SAVP 0/)
      b.hear(reanswer?.body ?? '')
      a.received.length = 0
      b.received.length = 0
      await talk(a, b)
      assert.equal(a.unreadable + b.unreadable, 0)
      assert.equal(await hangUp(call, answer), 200)
      await none()
    }
  })

  it('gives both branches of a fork that answer the port they were offered', async (t) => {
    const [a, b] = await parties(t, false, false)
    const call = invite(a.sdp)
    const offered = await arrived(call)
    const port = /m=audio (\d+)/.exec(offered.body)?.[1]
    const early = (tag: string, sdp: string): void => {
      const response = { headers: [], body: sdp, contentType: 'application/sdp', toTag: tag }
      callee.answer(offered, 183, response)
    }
    early('one', b.sdp)
    await call.response(183, 183)
    callee.answer(offered, 200, {
      headers: offered.headers.all('record-route').map((r) => ['Record-Route', r] as const),
      body: b.sdp,
      contentType: 'application/sdp',
    })
    const answer = await call.final()
    a.hear(answer.body)
    b.hear(offered.body)
    await talk(a, b)
    const { tags } = await engine.ask({ command: 'query', 'call-id': call.callId })
    assert.match(JSON.stringify(tags), new RegExp(`"local port":${port}`))
    assert.equal(await hangUp(call, answer), 200)
    await none()
  })

  it('gives a browser what a browser needs, and a phone what a phone understands', async (t) => {
    const [phone] = await parties(t, false, false)
    const simple = phone.sdp.replace('a=rtcp-mux\r\n', '')
    const browser = (setup: string): string =>
      BROWSER.slice(0, BROWSER.indexOf('m=video'))
        .replace('a=group:BUNDLE 0 1 2\r\n', '')
        .replace('a=setup:actpass', `a=setup:${setup}`)
    const plain = (sdp: string): void => {
      assert.match(sdp, /m=audio \d+ RTP\/AVP /)
      assert.doesNotMatch(sdp, /a=(?:ice-|candidate|fingerprint|setup|crypto|rtcp-mux)/)
    }
    const secure = (sdp: string): void => {
      assert.match(sdp, /m=audio \d+ UDP\/TLS\/RTP\/SAVPF /)
      for (const name of ['ice-ufrag', 'ice-pwd', 'candidate', 'fingerprint', 'setup', 'rtcp-mux']) {
        assert.match(sdp, new RegExp(`a=${name}`), name)
      }
      assert.doesNotMatch(sdp, /a=crypto/)
    }
    for (const [profile, offer, answered] of [
      ['ws_to_rtp', browser('actpass'), simple],
      ['rtp_to_ws', simple, browser('active')],
    ] as const) {
      const call = invite(offer, [`X-Profile: ${profile}`])
      const offered = await arrived(call)
      const routes = offered.headers.all('record-route').map((r) => ['Record-Route', r] as const)
      callee.answer(offered, 200, { headers: routes, body: answered, contentType: 'application/sdp' })
      const answer = await call.final()
      if (profile === 'ws_to_rtp') {
        plain(offered.body)
        secure(answer.body)
      } else {
        secure(offered.body)
        plain(answer.body)
      }
      assert.equal(await hangUp(call, answer), 200)
      await none()
    }
  })

  it('does what scripts ask of it during a call', async (t) => {
    const [a, b] = await parties(t, false, false)
    const { invite: call, answer } = await connect(a, b)
    await talk(a, b)
    const tell = async (verb: string, headers: readonly string[] = []): Promise<unknown> => {
      const info = call.inDialog('INFO', answer, [`X-Do: ${verb}`, ...headers])
      caller.send(info)
      await finalTo(caller, info)
      const { body } = await caller.heard(
        'the answer',
        (m): m is Response =>
          m.kind === 'response' && m.cseq.number === info.cseq.number && m.callId === call.callId,
      )
      return JSON.parse(body) as unknown
    }
    const hears = (party: RtpParty, from: RtpParty, mark: string): Promise<boolean> =>
      until('a packet', () => {
        from.send(mark)
        return party.received.some((p) => p.subarray(0, mark.length).toString() === mark)
      })
    const ok = { ok: true, answer: { result: 'ok' } }
    assert.equal(await tell('ping'), true)
    const { answer: known } = (await tell('query')) as { answer: { tags: object } }
    assert.equal(Object.keys(known.tags).length, 2)

    assert.deepEqual(await tell('block'), ok)
    // The callee hears nothing of the caller, who hears the callee: what is lost has had its time.
    const before = b.received.length
    for (let i = 0; i < 5; i++) {
      a.send('blocked')
      await hears(a, b, `through-${i}`)
    }
    assert.equal(b.received.length, before)
    assert.deepEqual(await tell('unblock'), ok)
    await hears(b, a, 'again')

    assert.deepEqual(await tell('silence'), ok)
    // Silence in PCMU is 0xff, whatever was sent.
    await until('silence', () => {
      a.send('hush')
      return b.received.at(-1)?.every((byte) => byte === 0xff)
    })
    assert.deepEqual(await tell('unsilence'), ok)
    await hears(b, a, 'loud')

    // 200 ms of one value: ten packets, in PCMU.
    const sound = await tell('sound', [`X-Sound: ${wave(1_600).toString('base64')}`])
    assert.deepEqual(sound, { ok: true, answer: { duration: 200, result: 'ok' } })
    await until('the sound', () => a.received.filter((p) => p.every((byte) => byte === 0x9f)).length === 10)
    assert.deepEqual(await tell('dtmf'), ok)
    assert.deepEqual(await tell('record'), ok)
    // There is no such file, and this engine says so in its own words.
    assert.equal(((await tell('play')) as { reason: string }).reason, 'refused')
    assert.equal(await tell('delete'), true)
    assert.deepEqual(await engine.calls(), [])
    assert.equal(await tell('delete'), false)
    assert.equal(((await tell('query')) as { reason: string }).reason, 'no_session')
    assert.equal(await hangUp(call, answer), 200)
    await none()
    const recorded = await until('the record', () =>
      siphon.records().find((r) => r['call_id'] === call.callId),
    )
    assert.equal((recorded['media'] as Record<string, unknown> | null)?.['codec'], 'PCMU/8000')
  })

  it('deletes media after CANCEL, a refusal, a failed script and silence', async (t) => {
    const [a] = await parties(t, false, false)
    callee.onRequest = (request) => {
      if (request.method === 'CANCEL') callee.answer(request, 200)
    }
    const cancelled = invite(a.sdp)
    const offered = await arrived(cancelled)
    callee.answer(offered, 180)
    await cancelled.response(180, 180)
    assert.deepEqual(await engine.calls(), [cancelled.callId])
    cancelled.cancel()
    await callee.heard(
      'CANCEL',
      (m): m is Request => m.kind === 'request' && m.method === 'CANCEL' && m.callId === cancelled.callId,
    )
    callee.answer(offered, 487)
    assert.equal((await cancelled.final()).status, 487)
    await none()

    const refused = invite(a.sdp)
    callee.answer(await arrived(refused), 486)
    assert.equal((await refused.final()).status, 486)
    await none()

    const failed = invite(a.sdp, ['X-Fail: yes'])
    assert.equal((await failed.final()).status, 500)
    await none()

    const server = await serve(t, 'transaction: { timer_c_secs: 1 }')
    const other = await SipPeer.open(server.sip)
    t.after(() => other.close())
    const silent = other.invite('sip:bob@example.com', {
      sdp: a.sdp,
      headers: [`X-Target: 127.0.0.1:${other.port}`],
    })
    const ignored = await arrived(silent, other)
    other.answer(ignored, 180)
    await until('the call at rtpengine', async () => (await engine.calls()).includes(silent.callId))
    const given = await other.heard(
      'CANCEL of the proxy',
      (m): m is Request => m.kind === 'request' && m.method === 'CANCEL',
    )
    other.answer(given, 200)
    other.answer(ignored, 487)
    assert.ok((await silent.final()).status >= 400)
    await none(server)
  })

  it('deletes media of calls that the end of a drain cuts off, and still writes their records', async (t) => {
    const server = await serve(t, 'server: { drain_secs: 0 }')
    const other = await SipPeer.open(server.sip)
    t.after(() => other.close())
    const [a, b] = await parties(t, false, false)
    const call = other.invite('sip:bob@example.com', {
      sdp: a.sdp,
      headers: [`X-Target: 127.0.0.1:${other.port}`],
    })
    const offered = await arrived(call, other)
    other.answer(offered, 200, {
      headers: offered.headers.all('record-route').map((r) => ['Record-Route', r] as const),
      body: b.sdp,
      contentType: 'application/sdp',
    })
    await call.final()
    assert.deepEqual(await engine.calls(), [call.callId])
    assert.equal(await server.stop('SIGTERM'), 0)
    assert.deepEqual(await engine.calls(), [])
    const [record] = server.records()
    assert.equal(record?.['disconnect_initiator'], 'server')
    assert.equal((record?.['media'] as Record<string, unknown> | null)?.['instance'], engine.address)
  })

  async function hangUp(call: OutgoingInvite, answer: Response): Promise<number> {
    callee.onRequest = (request) => {
      if (request.method === 'BYE') callee.answer(request, 200)
    }
    return call.bye(answer)
  }
})

describe('two rtpengines, one of which is killed', { skip }, () => {
  it('keeps calls of the proxy and of the B2BUA, loses none anew, and says so', async (t) => {
    const ports: [number, number] = [await freePort(), await freePort()]
    const stays = await startRtpengine({ port: ports[0], rtpPorts: [22_000, 22_999] })
    t.after(() => stays.stop())
    const dies = await startRtpengine({ port: ports[1], rtpPorts: [23_000, 23_999] })
    t.after(() => dies.stop())
    const instances = ports.map((port) => `{ address: "127.0.0.1:${port}", timeout_ms: 500 }`).join(', ')
    const siphon = await startSiphon({
      script: BOTH,
      yaml: `media: { rtpengine: { instances: [${instances}] }, health_check_interval_secs: 1 }`,
    })
    t.after(() => siphon.stop('SIGKILL'))
    const calleePort = await freePort()
    const callee = startCallee(calleePort)
    t.after(() => callee.stop('SIGKILL'))
    const down = async (): Promise<boolean> => {
      const samples = await siphon.metrics()
      const up = samples.get('siphon_rtpengine_instances_up') ?? Number.NaN
      return up < (samples.get('siphon_rtpengine_instances') ?? Number.NaN)
    }
    // What the alert says is what is looked at here.
    const rules = parse(readFileSync(join(root, 'deploy/prometheus/siphon.rules.yaml'), 'utf8')) as {
      groups: { rules: { alert?: string; expr: string }[] }[]
    }
    const alert = rules.groups.flatMap((g) => g.rules).find((r) => r.alert === 'SIPhonRtpengineDown')
    assert.equal(alert?.expr, 'siphon_rtpengine_instances_up < siphon_rtpengine_instances')
    await until('both to be up', async () => (await siphon.metric('siphon_rtpengine_instances_up')) === 2)
    assert.equal(await down(), false)

    const peer = await SipPeer.open(siphon.sip)
    t.after(() => peer.close())
    const pairs: { a: RtpParty; b: RtpParty; call: OutgoingInvite; answer: Response }[] = []
    // Two of each kind: both engines get one of each.
    for (const kind of [[], [], ['X-B2bua: yes'], ['X-B2bua: yes']]) {
      const [a, b] = [await RtpParty.open(), await RtpParty.open()]
      t.after(() => [a, b].forEach((party) => party.close()))
      peer.onRequest = (request) => {
        if (request.method === 'BYE') peer.answer(request, 200)
        if (request.method !== 'INVITE') return
        b.hear(request.body)
        const routes = request.headers.all('record-route').map((r) => ['Record-Route', r] as const)
        peer.answer(request, 200, { headers: routes, body: b.sdp, contentType: 'application/sdp' })
      }
      const headers = [`X-Target: 127.0.0.1:${peer.port}`, ...kind]
      const call = peer.invite('sip:bob@example.com', { sdp: a.sdp, headers })
      const answer = await call.final()
      a.hear(answer.body)
      pairs.push({ a, b, call, answer })
    }
    const survivors = await stays.calls()
    const surviving = pairs.filter(({ call }) => survivors.includes(call.callId))
    assert.deepEqual(
      surviving.map((pair) => pairs.indexOf(pair) > 1),
      [false, true],
    )
    const talks = async (): Promise<void> => {
      for (const { a, b } of surviving) {
        const [atA, atB] = [a.received.length, b.received.length]
        await until('RTP both ways', () => {
          a.send('x')
          b.send('x')
          return a.received.length > atA && b.received.length > atB
        })
      }
    }
    await talks()

    const calls = 250
    // 50 calls/s, half of them of each kind.
    const callers = [await freePort(), await freePort()]
    const load = [refusable('X-Proxied: yes'), refusable('X-B2bua: yes')].map((scenario, i) =>
      runCaller({
        target: siphon.target,
        localPort: callers[i] ?? 0,
        rate: 25,
        calls: calls / 2,
        holdMs: 3_000,
        scenario,
        extra: ['-key', 'target', `127.0.0.1:${calleePort}`, '-timeout', '60', '-timeout_error'],
      }),
    )
    const kept = await until('calls on both', async () => {
      const [one, other] = [await stays.calls(), await dies.calls()]
      return one.length >= 20 && other.length >= 20 ? one : null
    })
    // Weights are equal, and so are the shares.
    assert.ok(Math.abs(kept.length - (await dies.calls()).length) <= 5)
    dies.process.child.kill('SIGKILL')
    await dies.process.exited
    await talks()
    await until('the alert to be true', down)
    assert.equal(await siphon.metric('siphon_rtpengine_instances_up'), 1)
    assert.equal(await siphon.metric(`siphon_rtpengine_instance_up{address="127.0.0.1:${ports[1]}"}`), 0)
    const revived = await startRtpengine({ port: ports[1], rtpPorts: [23_000, 23_999] })
    t.after(() => revived.stop())
    await until(
      'both to be up again',
      async () => (await siphon.metric('siphon_rtpengine_instances_up')) === 2,
    )
    assert.equal(await down(), false)

    for (const result of await Promise.all(load)) {
      assert.equal(result.successful, calls / 2)
      assert.equal(result.failed, 0)
    }
    await talks()
    for (const { call, answer } of pairs) assert.equal(await call.bye(answer), 200)
    await until('no call', async () => (await siphon.metric('siphon_calls_active')) === 0)
    await until('no session', async () => (await siphon.metric('siphon_media_sessions_active')) === 0)
    assert.deepEqual(await stays.calls(), [])
    assert.deepEqual(await revived.calls(), [])
    await until('records', () => siphon.records().length === calls + pairs.length)
    assert.equal(siphon.records().filter((r) => r['kind'] === 'b2bua').length, calls / 2 + 2)
    // Only what was between its offer and its answer when its engine died.
    const lost = siphon.records().filter((r) => r['response_code'] !== 200)
    assert.ok(lost.length <= 2, JSON.stringify(lost))
    const by = (address: string): number =>
      siphon.records().filter((r) => (r['media'] as Record<string, unknown> | null)?.['instance'] === address)
        .length
    assert.ok(by(stays.address) > calls / 2)
    assert.match(siphon.process.output(), new RegExp(`rtpengine 127.0.0.1:${ports[1]} is down`))
    assert.match(siphon.process.output(), new RegExp(`rtpengine 127.0.0.1:${ports[1]} is up`))
  })
})
