import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { register } from '../../bench/subjects.ts'
import type { Request, Response } from '../../src/sip/message/message.ts'
import { missing, root, until } from '../support/programs.ts'
import { RtpParty } from '../support/rtp.ts'
import { startRtpengine, type Rtpengine } from '../support/rtpengine.ts'
import { calleeBye, finalTo, SipPeer } from '../support/sip-peer.ts'
import { startSiphon, type Siphon } from '../support/siphon.ts'

/** examples/sbc-media.ts with a real rtpengine: what each side sees is rtpengine's, whatever is agreed on later. */
describe('a B2BUA call with media through rtpengine', { skip: missing('rtpengine') }, () => {
  let engine: Rtpengine
  let siphon: Siphon
  let caller: SipPeer
  let callee: SipPeer

  before(async () => {
    engine = await startRtpengine({ rtpPorts: [22_000, 22_999] })
    siphon = await startSiphon({
      script: 'sbc-media.ts',
      yaml: `media: { rtpengine: { address: "${engine.address}" }, health_check_interval_secs: 0 }`,
    })
    caller = await SipPeer.open(siphon.sip)
    callee = await SipPeer.open(siphon.sip)
    await register(siphon.sip, 'sip:bob@127.0.0.1', `sip:bob@127.0.0.1:${callee.port}`)
  })
  after(async () => {
    caller.close()
    callee.close()
    await siphon.stop('SIGKILL')
    await engine.stop()
  })

  /** The nth INVITE that a party got; a call of ours has other Call-IDs on its other leg. */
  const nthInvite = async (at: SipPeer, n: number): Promise<Request> => {
    const invites = (): Request[] =>
      at.received.filter((m): m is Request => m.kind === 'request' && m.method === 'INVITE')
    const seen = await until(`INVITE ${n}`, () => (invites().length >= n ? invites() : null))
    const invite = seen[n - 1]
    assert.ok(invite)
    return invite
  }
  const mediaPort = (sdp: string): number => Number(/^m=audio (\d+) /m.exec(sdp)?.[1])

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

  it('stays anchored when either side holds and resumes, and is gone after the BYE', async (t) => {
    const [a, b] = [await RtpParty.open({ srtp: false }), await RtpParty.open({ srtp: false })]
    t.after(() => [a, b].forEach((party) => party.close()))
    const relayed = (sdp: string): void => {
      const port = mediaPort(sdp)
      assert.ok(port >= 22_000 && port <= 22_999, `port ${port} is not rtpengine's:\n${sdp}`)
    }
    const call = caller.invite('sip:bob@127.0.0.1', { sdp: a.sdp })
    const offered = await nthInvite(callee, 1)
    relayed(offered.body)
    b.hear(offered.body)
    callee.answer(offered, 200, { body: b.sdp, contentType: 'application/sdp' })
    const answer = await call.final()
    relayed(answer.body)
    a.hear(answer.body)
    await talk(a, b)

    // The caller holds, and resumes.
    for (const [n, direction] of [
      [2, 'sendonly'],
      [3, 'sendrecv'],
    ] as const) {
      const reinvite = call.inDialog('INVITE', answer)
      reinvite.body = `${a.sdp}a=${direction}\r\n`
      reinvite.headers.append('Content-Type', 'application/sdp')
      caller.send(reinvite)
      const held = await nthInvite(callee, n)
      relayed(held.body)
      assert.match(held.body, new RegExp(`a=${direction}`))
      callee.answer(held, 200, { body: b.sdp, contentType: 'application/sdp' })
      assert.equal(await finalTo(caller, reinvite), 200)
      const accepted = caller.received.findLast(
        (m): m is Response =>
          m.kind === 'response' && m.cseq.number === reinvite.cseq.number && m.status === 200,
      )
      relayed(accepted?.body ?? '')
      const ack = call.inDialog('ACK', answer)
      ack.headers.replaceFirst('cseq', `${reinvite.cseq.number} ACK`)
      caller.send(ack)
    }
    await talk(a, b)

    // The callee offers anew.
    const model = calleeBye(callee, offered)
    const again = callee.request('INVITE', model.uri, [
      `From: ${model.headers.first('from')}`,
      `To: ${model.headers.first('to')}`,
      `Call-ID: ${offered.callId}`,
      'CSeq: 6 INVITE',
    ])
    again.body = b.sdp
    again.headers.append('Content-Type', 'application/sdp')
    await until(
      'the ACK of the resume',
      () => callee.received.filter((m) => m.kind === 'request' && m.method === 'ACK').length >= 3,
    )
    callee.send(again)
    const reoffered = await nthInvite(caller, 1)
    relayed(reoffered.body)
    caller.answer(reoffered, 200, { body: a.sdp, contentType: 'application/sdp' })
    assert.equal(await finalTo(callee, again), 200)
    const reanswer = callee.received.findLast(
      (m): m is Response => m.kind === 'response' && m.cseq.number === 6 && m.status === 200,
    )
    relayed(reanswer?.body ?? '')
    await talk(a, b)

    assert.equal(await call.bye(answer), 200)
    await until('rtpengine to have no call', async () => (await engine.calls()).length === 0)
    await until('the record', () => siphon.records().length === 1)
    const [record] = siphon.records()
    assert.equal(record?.['kind'], 'b2bua')
    const media = record?.['media'] as { readonly codec: string } | undefined
    assert.equal(media?.codec, 'PCMU/8000')
  })

  it('goes with a transfer: the two who are left hear each other through it, and it is gone after them', async (t) => {
    const transferring = await startSiphon({
      script: `${readFileSync(join(root, 'examples/sbc-media.ts'), 'latin1')}
b2bua.onRefer((call) => call.acceptRefer())
`,
      yaml: `media: { rtpengine: { address: "${engine.address}" }, health_check_interval_secs: 0 }`,
    })
    const peers = [1, 2, 3].map(() => SipPeer.open(transferring.sip))
    const [alice, bob, carol] = (await Promise.all(peers)) as [SipPeer, SipPeer, SipPeer]
    const [a, b, c] = [
      await RtpParty.open({ srtp: false }),
      await RtpParty.open({ srtp: false }),
      await RtpParty.open({ srtp: false }),
    ]
    t.after(async () => {
      for (const party of [a, b, c, alice, bob, carol]) party.close()
      await transferring.stop('SIGKILL')
    })
    for (const [phone, party] of [
      [alice, a],
      [bob, b],
      [carol, c],
    ] as const) {
      phone.onRequest = (request) => {
        if (request.method === 'ACK') {
          if (request.body !== '') party.hear(request.body)
          return
        }
        if (request.method !== 'INVITE') return phone.answer(request, 200)
        if (request.body !== '') party.hear(request.body)
        phone.answer(request, 200, { body: party.sdp, contentType: 'application/sdp' })
      }
    }
    await register(transferring.sip, 'sip:bob@127.0.0.1', `sip:bob@127.0.0.1:${bob.port}`)
    const call = alice.invite('sip:bob@127.0.0.1', { sdp: a.sdp })
    const answer = await call.final()
    a.hear(answer.body)
    await talk(a, b)
    const origins = (phone: SipPeer): Set<string> =>
      new Set(
        phone.received.flatMap((m) =>
          m.body.startsWith('v=0') ? [/^o=(\S+ \S+) /m.exec(m.body)?.[1] ?? ''] : [],
        ),
      )

    alice.send(call.inDialog('REFER', answer, [`Refer-To: <sip:carol@127.0.0.1:${carol.port}>`]))
    await until('alice to be let go', () =>
      alice.received.some((m) => m.kind === 'request' && m.method === 'BYE'),
    )
    await until('carol to have her answer', () =>
      carol.received.some((m) => m.kind === 'request' && m.method === 'ACK' && m.body !== ''),
    )
    b.received.length = 0
    await talk(c, b)
    for (const port of [mediaPort((await nthInvite(bob, 2)).body)]) {
      assert.ok(port >= 22_000 && port <= 22_999, `port ${port} is not rtpengine's`)
    }
    assert.equal(origins(bob).size, 1, 'one origin line for bob')
    await until('the media of the two who have parted to be deleted', async () => {
      const calls = await engine.calls()
      return calls.length === 1 && calls[0] !== call.callId
    })
    assert.equal(await transferring.metric('siphon_media_sessions_active'), 1)

    bob.send(calleeBye(bob, await nthInvite(bob, 1)))
    await until('rtpengine to have no call', async () => (await engine.calls()).length === 0)
    await until('the record', () => transferring.records().length === 1)
    const [record] = transferring.records()
    assert.equal(record?.['disconnect_initiator'], 'callee')
    const media = record['media'] as { readonly caller: { readonly packets: number } }
    assert.ok(media.caller.packets > 0)
    assert.equal(await transferring.metric('siphon_media_sessions_active'), 0)
  })

  for (const profile of ['srtp_to_rtp', 'rtp_to_srtp'] as const) {
    it(`joins both sides of ${profile} when the callee makes the offer`, async (t) => {
      const example = readFileSync(join(root, 'examples/sbc-media.ts'), 'latin1')
      const delayed = await startSiphon({
        script: example.replace('rtpengine.offer(call)', `rtpengine.offer(call, { profile: '${profile}' })`),
        yaml: `media: { rtpengine: { address: "${engine.address}" }, health_check_interval_secs: 0 }`,
      })
      const [alice, bob] = [await SipPeer.open(delayed.sip), await SipPeer.open(delayed.sip)]
      const a = await RtpParty.open({ srtp: profile === 'srtp_to_rtp' })
      const b = await RtpParty.open({ srtp: profile === 'rtp_to_srtp' })
      t.after(async () => {
        for (const party of [a, b, alice, bob]) party.close()
        await delayed.stop('SIGKILL')
      })
      await register(delayed.sip, 'sip:bob@127.0.0.1', `sip:bob@127.0.0.1:${bob.port}`)
      const call = alice.invite('sip:bob@127.0.0.1')
      const invite = await nthInvite(bob, 1)
      assert.equal(invite.body, '')
      bob.answer(invite, 200, { body: b.sdp, contentType: 'application/sdp' })
      const offer = await call.response(200, 200)
      a.hear(offer.body)
      const ack = call.inDialog('ACK', offer)
      ack.body = a.sdp
      ack.headers.append('Content-Type', 'application/sdp')
      alice.send(ack)
      const acked = await bob.heard(
        'the ACK',
        (m): m is Request => m.kind === 'request' && m.method === 'ACK',
      )
      b.hear(acked.body)
      assert.match(offer.body, profile === 'srtp_to_rtp' ? / RTP\/SAVP / : / RTP\/AVP /)
      assert.match(acked.body, profile === 'srtp_to_rtp' ? / RTP\/AVP / : / RTP\/SAVP /)
      for (const { body } of [offer, acked]) {
        assert.ok(mediaPort(body) >= 22_000 && mediaPort(body) <= 22_999, body)
      }
      await talk(a, b)
      assert.equal(await call.bye(offer), 200)
      await until('rtpengine to have no call', async () => (await engine.calls()).length === 0)
      assert.equal(await delayed.metric('siphon_media_sessions_active'), 0)
    })
  }

  it('ends both legs when the ACK does not answer the offer of the callee', async (t) => {
    const delayed = await startSiphon({
      script: readFileSync(join(root, 'examples/sbc-media.ts'), 'latin1'),
      yaml: `media: { rtpengine: { address: "${engine.address}" }, health_check_interval_secs: 0 }`,
    })
    const [alice, bob] = [await SipPeer.open(delayed.sip), await SipPeer.open(delayed.sip)]
    const b = await RtpParty.open({ srtp: false })
    t.after(async () => {
      for (const party of [b, alice, bob]) party.close()
      await delayed.stop('SIGKILL')
    })
    for (const party of [alice, bob]) {
      party.onRequest = (request) => {
        if (request.method === 'BYE') party.answer(request, 200)
      }
    }
    await register(delayed.sip, 'sip:bob@127.0.0.1', `sip:bob@127.0.0.1:${bob.port}`)
    const call = alice.invite('sip:bob@127.0.0.1')
    bob.answer(await nthInvite(bob, 1), 200, { body: b.sdp, contentType: 'application/sdp' })
    await call.response(200, 200)
    assert.equal((await engine.calls()).length, 1)
    // Its ACK has no body.
    await call.final()
    const got = (party: SipPeer, method: string): Promise<Request> =>
      party.heard(method, (m): m is Request => m.kind === 'request' && m.method === method)
    assert.match((await got(bob, 'ACK')).body, /^m=audio 0 RTP\/AVP /m)
    assert.match((await got(bob, 'BYE')).headers.first('reason') ?? '', /cause=488/)
    await got(alice, 'BYE')
    await until('rtpengine to have no call', async () => (await engine.calls()).length === 0)
    await until('the record', () => delayed.records().length === 1)
    assert.equal(delayed.records()[0]?.['disconnect_initiator'], 'server')
    assert.equal(await delayed.metric('siphon_media_sessions_active'), 0)
  })

  it('refuses a new offer when rtpengine is gone, and the call goes on', async (t) => {
    const [a, b] = [await RtpParty.open({ srtp: false }), await RtpParty.open({ srtp: false })]
    t.after(() => [a, b].forEach((party) => party.close()))
    const earlier = callee.received.filter((m) => m.kind === 'request' && m.method === 'INVITE').length
    const call = caller.invite('sip:bob@127.0.0.1', { sdp: a.sdp })
    const offered = await nthInvite(callee, earlier + 1)
    callee.answer(offered, 200, { body: b.sdp, contentType: 'application/sdp' })
    const answer = await call.final()
    await engine.stop()
    const reinvite = call.inDialog('INVITE', answer)
    reinvite.body = a.sdp
    reinvite.headers.append('Content-Type', 'application/sdp')
    caller.send(reinvite)
    assert.equal(await finalTo(caller, reinvite), 488)
    assert.equal(await call.bye(answer), 200)
    await until('its record', () => siphon.records().length === 2)
  })
})
