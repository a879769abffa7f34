import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { register } from '../../bench/subjects.ts'
import { startBaresip } from '../support/baresip.ts'
import { missing, until } from '../support/programs.ts'
import { startRtpengine, type Rtpengine } from '../support/rtpengine.ts'
import { freePort, startSiphon, type Siphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'
import { expect, pause, recv, respond, scenarioFile, send } from '../support/sipp-scenario.ts'
import { wave } from '../support/sound.ts'

/**
 * Sound through the B2BUA and a real rtpengine, with sipp and baresip. One of two plays and the other says back what it hears, so
 * that what comes back has gone both ways; rtpengine has counted it.
 */
const script = `import { b2bua, proxy, registrar, rtpengine } from 'siphon'

proxy.onRequest('REGISTER', (request) => registrar.save(request))
proxy.onRequest((request) => request.reply(405))

/** Who speaks what is known by name here. */
const profileOf = (call) =>
  /baresip/.test(call.fromUri ?? '') ? 'srtp_to_rtp' : /baresip/.test(call.ruri) ? 'rtp_to_srtp' : 'rtp_passthrough'

b2bua.onInvite(async (call) => {
  const contacts = await registrar.lookup(call.ruri)
  if (contacts.length === 0) return call.reject(404)
  // baresip 1.0 takes the keys of GCM for too short.
  const sdes = ['no-AEAD_AES_256_GCM', 'no-AEAD_AES_128_GCM']
  const media = await rtpengine.offer(call, { profile: profileOf(call), sdes })
  return media.ok ? call.fork(contacts, { headers: 'strict' }) : call.reject(503)
})
const answered = async (call, reply) => {
  const media = await rtpengine.answer(reply)
  return media.ok ? reply.relay() : call.reject(500, 'No Media')
}
b2bua.onEarlyMedia(answered)
b2bua.onAnswer(answered)
`

interface Figures {
  readonly packets: number
  readonly errors: number
}

describe('sound through the B2BUA and rtpengine', { skip: missing('rtpengine', 'sipp') }, () => {
  let engine: Rtpengine
  let siphon: Siphon
  before(async () => {
    engine = await startRtpengine({ rtpPorts: [24_000, 24_999] })
    siphon = await startSiphon({
      script,
      yaml: `media: { rtpengine: { address: "${engine.address}" }, health_check_interval_secs: 0 }`,
    })
  })
  after(async () => {
    await siphon.stop('SIGKILL')
    await engine.stop()
  })

  /** Sound of a second, that sipp plays twice: 100 packets. */
  const play = (): string => {
    const sound = join(mkdtempSync(join(tmpdir(), 'sound-')), 'sound.pcmu')
    writeFileSync(sound, Buffer.alloc(8_000, 0x55))
    return `<nop><action><exec rtp_stream="${sound},2,0"/></action></nop>`
  }

  /** The same for baresip. */
  const soundFile = (secs: number): string => {
    const path = join(mkdtempSync(join(tmpdir(), 'sound-')), 'sound.wav')
    writeFileSync(path, wave(secs * 8_000))
    return path
  }

  /** A sipp that takes one call and says back what it hears. */
  const take = async (t: TestContext, user: string): Promise<void> => {
    const port = await freePort()
    const callee = startCallee(port, {
      scenario: scenarioFile(user, [
        recv('INVITE'),
        respond('180 Ringing'),
        respond('200 OK', { sdp: '[media_port]', repeat: true }),
        recv('ACK'),
        recv('BYE'),
        respond('200 OK', { tag: false }),
      ]),
      extra: ['-rtp_echo', '-mp', String(await freePort())],
    })
    t.after(() => callee.stop('SIGKILL'))
    await register(siphon.sip, `sip:${user}@example.com`, `sip:${user}@127.0.0.1:${port}`)
  }

  /** A sipp that calls and plays. */
  const speak = async (to: string): Promise<void> => {
    const { successful, output } = await runCaller({
      target: siphon.target,
      localPort: await freePort(),
      rate: 1,
      calls: 1,
      service: to,
      scenario: scenarioFile('speaker', [
        send('INVITE', 1, { sdp: '[rtpstream_audio_port]', uri: `sip:${to}@example.com` }),
        recv(100, { optional: true }),
        recv(180, { optional: true }),
        recv(180, { optional: true }),
        recv(200, { attributes: 'rrs="true"' }),
        send('ACK', 1, { inDialog: true }),
        play(),
        pause(2_200),
        send('BYE', 2, { inDialog: true }),
        recv(200),
      ]),
      extra: ['-timeout', '15', '-timeout_error'],
    })
    assert.equal(successful, 1, output)
  }

  /** The record of the call to this one, and its figures. */
  const counted = async (to: string, both: number): Promise<void> => {
    const record = await until('the record', () =>
      siphon.records().find((r) => String(r['ruri']).includes(to)),
    )
    assert.deepEqual([record['kind'], record['response_code']], ['b2bua', 200])
    const media = record['media'] as { readonly caller: Figures; readonly callee: Figures }
    for (const side of [media.caller, media.callee]) {
      assert.ok(side.packets >= both, `${side.packets} packets of at least ${both}: ${JSON.stringify(media)}`)
      // One that hangs up is sent to for a moment longer.
      assert.ok(side.errors <= 2, JSON.stringify(media))
    }
    await until('rtpengine to have no call', async () => (await engine.calls()).length === 0)
  }

  it('sipp to sipp: what one plays comes back from the other', async (t) => {
    await take(t, 'echo')
    await speak('echo')
    await counted('echo', 80)
  })

  it('sipp to sipp without an offer: it comes with the 200, and the answer with the ACK', async (t) => {
    const port = await freePort()
    const sees = (what: string): string => expect(`m=audio 24[0-9]+ ${what}`)
    const callee = startCallee(port, {
      scenario: scenarioFile('late', [
        recv('INVITE'),
        respond('180 Ringing'),
        respond('200 OK', { sdp: '[media_port]', repeat: true }),
        recv('ACK', { action: sees('RTP/AVP') }),
        recv('BYE'),
        respond('200 OK', { tag: false }),
      ]),
      extra: ['-rtp_echo', '-mp', String(await freePort())],
    })
    t.after(() => callee.stop('SIGKILL'))
    await register(siphon.sip, 'sip:late@example.com', `sip:late@127.0.0.1:${port}`)
    const { successful, output } = await runCaller({
      target: siphon.target,
      localPort: await freePort(),
      rate: 1,
      calls: 1,
      service: 'late',
      scenario: scenarioFile('silent', [
        send('INVITE', 1, { uri: 'sip:late@example.com' }),
        recv(100, { optional: true }),
        recv(180, { optional: true }),
        recv(180, { optional: true }),
        recv(200, { attributes: 'rrs="true"', action: sees('RTP/AVP') }),
        send('ACK', 1, { inDialog: true, sdp: '[rtpstream_audio_port]' }),
        play(),
        pause(2_200),
        send('BYE', 2, { inDialog: true }),
        recv(200),
      ]),
      extra: ['-timeout', '15', '-timeout_error'],
    })
    assert.equal(successful, 1, output)
    await counted('late', 80)
  })

  it('baresip with SRTP to sipp with RTP', { skip: missing('baresip') }, async (t) => {
    await take(t, 'plain')
    const caller = await startBaresip({
      user: 'baresip-1',
      sip: siphon.sip,
      srtp: true,
      plays: soundFile(3),
      args: ['-e', 'd sip:plain@example.com', '-t', '4'],
    })
    t.after(() => caller.stop('SIGKILL'))
    await counted('plain', 80).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${caller.output()}`)
    })
  })

  it('sipp with RTP to baresip with SRTP', { skip: missing('baresip') }, async (t) => {
    const callee = await startBaresip({ user: 'baresip-2', sip: siphon.sip, srtp: true })
    t.after(() => callee.stop('SIGKILL'))
    await until(
      'baresip to be registered',
      async () => (await siphon.admin('/admin/registrations/sip:baresip-2@example.com')).status === 200,
    )
    await speak('baresip-2').catch((error: unknown) => {
      throw new Error(`${String(error)}\n${callee.output()}`)
    })
    await counted('baresip-2', 80)
  })
})
