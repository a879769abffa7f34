import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sdp, type AgentCall } from '../../support/agent.ts'
import { b2buaLab, decision, dial } from '../../support/b2bua-lab.ts'

const reply = (code: number) =>
  decision({ do: 'reply', code, reason: null, headers: [], body: null, contentType: null })

describe('carriers in sequence', () => {
  it('the next is tried for a cause that says so', () => {
    const script = { invite: dial(['bob', 'carol'], { strategy: 'sequential', rerouteOn: [503, 408] }) }
    const room = b2buaLab({ latencyMs: 10, script })
    const { alice, bob, carol, clock, records, legs } = room
    const a = alice.call('sip:desk@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(503)
    clock.advance(30)
    carol.calls[0]?.answer(200, { sdp: sdp('carol') })
    clock.advance(30)
    a.ack()
    clock.advance(30)
    a.bye()
    clock.advance(30)
    carol.calls[0]?.answer(200, {}, carol.lastRequest('BYE'))
    room.assertEmpty()
    assert.deepEqual(
      records.map((r) => [r.responseCode, r.destinationIp, r.legs.length]),
      [[200, '192.0.2.3', 2]],
    )
    assert.deepEqual(legs.map((l) => l.result).sort(), ['answered', 'refused'])
    assert.equal(room.decided.length, 1)
  })

  it('and not for another', () => {
    const script = { invite: dial(['bob', 'carol'], { strategy: 'sequential', rerouteOn: [503] }) }
    const room = b2buaLab({ latencyMs: 10, script })
    room.alice.call('sip:desk@example.com')
    room.clock.advance(25)
    room.bob.calls[0]?.answer(486)
    room.clock.advance(30)
    assert.deepEqual(room.carol.got(), [])
    assert.equal(room.alice.got().at(-1), '486 INVITE')
    room.assertEmpty()
  })

  it('each in turn is the party that the list of calls names, and then the one that answers', () => {
    const script = { invite: dial(['bob', 'carol'], { strategy: 'sequential', rerouteOn: [503] }) }
    const room = b2buaLab({ latencyMs: 10, script })
    const { alice, bob, carol, clock } = room
    const party = () => room.calls.page(null, 1).views[0]?.bParty
    alice.call('sip:desk@example.com')
    clock.advance(25)
    assert.equal(party(), 'sip:bob@192.0.2.2:5060')
    bob.calls[0]?.answer(503)
    clock.advance(30)
    assert.equal(party(), 'sip:carol@192.0.2.3:5060')
    carol.calls[0]?.answer(200, { sdp: sdp('carol') })
    clock.advance(30)
    assert.equal(party(), 'sip:carol@192.0.2.3:5060')
  })

  it('dialled at once: the one that answers is the party that the list of calls names', () => {
    const room = b2buaLab({ latencyMs: 10, script: { invite: dial(['bob', 'carol']) } })
    const { alice, bob, clock } = room
    alice.call('sip:desk@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    assert.equal(room.calls.page(null, 1).views[0]?.bParty, 'sip:bob@192.0.2.2:5060')
  })
})

describe("a carrier's challenge", () => {
  const script = {
    invite: dial(['bob'], { credentials: { user: 'trunk', password: 'secret', realm: 'carrier' } }),
  }
  const challenge = (nonce: string, realm = 'carrier') => ({
    headers: { 'Proxy-Authenticate': `Digest realm="${realm}", nonce="${nonce}", algorithm=MD5` },
  })

  it('is answered with the credentials of the call', () => {
    const room = b2buaLab({ latencyMs: 10, script })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(407, challenge('n1'))
    clock.advance(30)
    const again = bob.lastRequest('INVITE')
    assert.match(
      again.headers.first('proxy-authorization') ?? '',
      /username="trunk", realm="carrier", nonce="n1"/,
    )
    assert.equal(again.cseq.number, 2)
    assert.equal(
      alice.got().some((m) => m.startsWith('4')),
      false,
    )
    const b = bob.calls.at(-1) as AgentCall
    b.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    a.ack()
    clock.advance(30)
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
    assert.deepEqual(
      room.decided.map((d) => d.result),
      ['answered'],
    )
  })

  it('is a refusal when they are wrong', () => {
    const room = b2buaLab({ latencyMs: 10, script })
    const { alice, bob, clock } = room
    alice.call('sip:bob@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(407, challenge('n1'))
    clock.advance(30)
    bob.calls[1]?.answer(407, challenge('n1'))
    clock.advance(30)
    assert.equal(alice.got().at(-1), '407 INVITE')
    assert.equal(bob.got().filter((m) => m === 'INVITE').length, 2)
    room.assertEmpty()
  })
})

describe('a digest leak (CVE-2021-41158)', () => {
  const script = {
    invite: dial(['bob'], { credentials: { user: 'trunk', password: 'secret', realm: 'carrier' } }),
  }
  const challenge = (realm: string) => ({
    headers: { 'Proxy-Authenticate': `Digest realm="${realm}", nonce="n1", algorithm=MD5` },
  })
  /** Everything that has an account's name or a proof in it, of all that bob was sent. */
  const proofs = (room: ReturnType<typeof b2buaLab>): string[] =>
    room.bob.received.flatMap(({ headers }) => [
      ...headers.all('authorization'),
      ...headers.all('proxy-authorization'),
    ])

  it('an INVITE that another realm asks about is refused, not signed', () => {
    const room = b2buaLab({ latencyMs: 10, script })
    room.alice.call('sip:bob@example.com')
    room.clock.advance(25)
    room.bob.calls[0]?.answer(407, challenge('somebody else'))
    room.clock.advance(30)
    assert.deepEqual(proofs(room), [])
    assert.equal(room.alice.got().at(-1), '407 INVITE')
    room.assertEmpty()
  })

  it('a callee who asks in a re-INVITE and in the BYE gets nothing, whatever realm it names', () => {
    const room = b2buaLab({ latencyMs: 10, script })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    const b = bob.calls[0] as AgentCall
    b.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    a.ack()
    clock.advance(30)
    a.within('INVITE', { sdp: sdp('alice2') })
    clock.advance(30)
    b.answer(407, challenge('carrier'), bob.lastRequest('INVITE'))
    clock.advance(30)
    assert.equal(alice.got().at(-1), '407 INVITE')
    a.bye()
    clock.advance(30)
    b.answer(407, challenge('carrier'), bob.lastRequest('BYE'))
    room.assertEmpty()
    assert.deepEqual(proofs(room), [])
    assert.deepEqual(bob.got(), ['INVITE', 'ACK', 'INVITE', 'BYE'])
  })
})

describe('a fork', () => {
  it('both refuse: the caller hears the better reason', () => {
    const room = b2buaLab({ latencyMs: 10, script: { invite: dial(['bob', 'carol']) } })
    room.alice.call('sip:desk@example.com')
    room.clock.advance(25)
    room.bob.calls[0]?.answer(486)
    room.carol.calls[0]?.answer(408)
    room.clock.advance(30)
    assert.equal(room.alice.got().at(-1), '486 INVITE')
    room.assertEmpty()
  })

  it('one says 6xx: the other is cancelled', () => {
    const room = b2buaLab({ latencyMs: 10, script: { invite: dial(['bob', 'carol']) } })
    room.alice.call('sip:desk@example.com')
    room.clock.advance(25)
    room.carol.calls[0]?.answer(180)
    room.bob.calls[0]?.answer(603)
    room.clock.advance(50)
    assert.equal(room.alice.got().at(-1), '603 INVITE')
    assert.ok(room.carol.got().includes('CANCEL'))
    room.assertEmpty()
  })

  it('both answer at once: one wins, the other is hung up', () => {
    const room = b2buaLab({ latencyMs: 10, script: { invite: dial(['bob', 'carol']) } })
    const { alice, bob, carol, clock } = room
    const a = alice.call('sip:desk@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(200, { sdp: sdp('bob') })
    carol.calls[0]?.answer(200, { sdp: sdp('carol') })
    clock.advance(25)
    assert.deepEqual(
      carol.got().filter((m) => m !== 'CANCEL'),
      ['INVITE', 'ACK', 'BYE'],
    )
    carol.calls[0]?.answer(200, {}, carol.lastRequest('BYE'))
    a.ack()
    clock.advance(30)
    a.bye()
    clock.advance(30)
    bob.calls[0]?.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
    assert.deepEqual(
      room.records.map((r) => r.destinationIp),
      ['192.0.2.2'],
    )
  })
})

describe('what the script says', () => {
  it('onFailure: somebody else is tried', () => {
    const room = b2buaLab({ latencyMs: 10, script: { refused: dial(['carol']) } })
    const { alice, bob, carol, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(486)
    clock.advance(30)
    carol.calls[0]?.answer(200, { sdp: sdp('carol') })
    clock.advance(30)
    assert.equal(alice.got().at(-1), '200 INVITE')
    a.ack()
    clock.advance(30)
    a.bye()
    clock.advance(30)
    carol.calls[0]?.answer(200, {}, carol.lastRequest('BYE'))
    room.assertEmpty()
  })

  it('onAnswer: changes what the caller gets; onEarlyMedia drops', () => {
    const room = b2buaLab({
      latencyMs: 10,
      script: {
        early: () => decision({ do: 'drop' }),
        answered: () =>
          decision(
            { do: 'pass' },
            {
              edits: [
                ['body', sdp('media server'), null],
                ['set', 'X-Seen', 'yes'],
              ],
            },
          ),
      },
    })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    const b = bob.calls[0] as AgentCall
    b.answer(183, { sdp: sdp('bob') })
    b.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    assert.deepEqual(alice.got(), ['100 INVITE', '200 INVITE'])
    assert.equal(alice.last('200 INVITE').body, sdp('media server'))
    assert.equal(alice.last('200 INVITE').headers.first('x-seen'), 'yes')
    a.ack()
    clock.advance(30)
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
  })

  it('onAnswer: hangs up; the callee gets BYE, the caller 603', () => {
    const room = b2buaLab({ latencyMs: 10, script: { answered: () => decision({ do: 'hangup' }) } })
    const { alice, bob, clock } = room
    alice.call('sip:bob@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    assert.equal(alice.got().at(-1), '603 INVITE')
    assert.deepEqual(bob.got(), ['INVITE', 'ACK', 'BYE'])
    bob.calls[0]?.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
    assert.deepEqual(
      room.records.map((r) => [r.responseCode, r.disconnectInitiator]),
      [[603, 'server']],
    )
  })

  it('a CANCEL while onAnswer thinks: 487, and the callee is hung up', () => {
    const room = b2buaLab({
      latencyMs: 10,
      thinks: 200,
      script: { answered: () => decision({ do: 'pass' }) },
    })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(230)
    bob.calls[0]?.answer(200, { sdp: sdp('bob') })
    clock.advance(50)
    a.cancel()
    clock.advance(500)
    assert.equal(alice.got().at(-1), '487 INVITE')
    assert.ok(bob.got().includes('BYE'))
    bob.calls[0]?.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
  })

  it('onBye and onCancel are told', () => {
    const heard: unknown[] = []
    const room = b2buaLab({
      latencyMs: 10,
      script: {
        bye: (job) => (heard.push([job.kind, job.call?.side]), decision({ do: 'pass' }, { cdr: '{"x":1}' })),
        calledOff: (job) => (heard.push([job.kind]), decision({ do: 'pass' })),
      },
    })
    const { alice, bob, clock } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    a.ack()
    clock.advance(30)
    bob.calls[0]?.bye()
    clock.advance(30)
    a.answer(200, {}, alice.lastRequest('BYE'))
    const second = alice.call('sip:bob@example.com')
    clock.advance(25)
    second.cancel()
    clock.advance(30)
    bob.calls[1]?.answer(180)
    room.assertEmpty()
    assert.deepEqual(heard, [['bye', 'callee'], ['calledOff']])
  })

  it('refuses: one record', () => {
    const room = b2buaLab({ latencyMs: 10, script: { invite: () => reply(403) } })
    room.alice.call('sip:bob@example.com')
    room.clock.advance(30)
    assert.equal(room.alice.got().at(-1), '403 INVITE')
    room.assertEmpty()
    assert.deepEqual(
      room.records.map((r) => [r.responseCode, r.disconnectInitiator]),
      [[403, 'server']],
    )
  })

  it('answers itself, and hangs up when told', () => {
    const room = b2buaLab({
      latencyMs: 10,
      script: {
        invite: () =>
          decision({
            do: 'answer',
            code: 200,
            reason: null,
            headers: [],
            body: sdp('siphon'),
            contentType: null,
            progress: [{ code: 180, reason: null, body: null, contentType: null }],
          }),
      },
    })
    const { alice, clock, b2bua, records } = room
    const a = alice.call('sip:echo@example.com')
    clock.advance(30)
    assert.deepEqual(alice.got(), ['180 INVITE', '200 INVITE'])
    assert.equal(alice.last('180 INVITE').toTag, alice.last('200 INVITE').toTag)
    a.ack()
    clock.advance(30)
    const [live] = room.calls.page(null, 10).views
    assert.equal(live?.kind, 'b2bua')
    assert.equal(live?.bParty, null)
    assert.equal(b2bua.terminate(live?.id ?? ''), true)
    clock.advance(30)
    a.answer(200, {}, alice.lastRequest('BYE'))
    room.assertEmpty()
    assert.deepEqual(
      records.map((r) => r.disconnectInitiator),
      ['server'],
    )
  })

  it('identity and policy: strict lets little through, and what the script sets all the same', () => {
    const edits = [
      ['set', 'From', '"Sales" <sip:sales@sbc.example.net>;tag=whatever'],
      ['set', 'X-Own', '1'],
    ] as const
    const room = b2buaLab({
      latencyMs: 10,
      script: { invite: dial(['bob'], { policy: 'strict' }, { edits }) },
    })
    const { alice, bob, clock } = room
    alice.call('sip:bob@example.com', { headers: { 'X-Secret': 'host7', Subject: 'hi', 'User-Agent': 'v1' } })
    clock.advance(25)
    const { headers, from } = bob.lastRequest('INVITE')
    assert.equal(from.uri, 'sip:sales@sbc.example.net')
    assert.notEqual(from.params.get('tag'), 'whatever')
    assert.equal(headers.has('x-secret') || headers.has('user-agent'), false)
    assert.equal(headers.first('subject'), 'hi')
    assert.equal(headers.first('x-own'), '1')
    bob.calls[0]?.answer(486)
    room.assertEmpty()
  })
})

it("handlers see a callee's response in the terms of the caller's leg", () => {
  const room = b2buaLab({ latencyMs: 10, script: { answered: () => decision({ do: 'pass' }) } })
  const { alice, bob, clock } = room
  const a = alice.call('sip:bob@example.com')
  clock.advance(25)
  bob.calls[0]?.answer(200, { sdp: sdp('bob'), headers: { 'X-A': '1' } })
  clock.advance(30)
  const seen = room.asked.find((job) => job.kind === 'answered')?.response
  assert.equal(seen?.callId, a.invite.callId)
  assert.equal(seen.fromTag, a.invite.fromTag)
  assert.ok(seen.toTag)
  assert.equal(seen.headers.all('via')[1], a.invite.headers.first('via'))
  assert.equal(seen.headers.first('x-a'), '1')
  assert.equal(seen.headers.has('contact'), false)
  assert.equal(alice.last('200 INVITE').headers.count('via'), 1)
  a.ack()
  clock.advance(30)
  a.bye()
  clock.advance(30)
  bob.calls[0]?.answer(200, {}, bob.lastRequest('BYE'))
  room.assertEmpty()
})

describe('a drain', () => {
  it('refuses what is new, and at its end hangs up what is left, each with its record', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, carol, clock, records } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    bob.calls[0]?.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    a.ack()
    carol.call('sip:bob@example.com')
    clock.advance(30)
    room.dispatch.drain(5)
    alice.call('sip:bob@example.com')
    clock.advance(30)
    assert.equal(alice.got().at(-1), '503 INVITE')
    assert.equal(room.b2bua.busy, 2)
    room.b2bua.terminateAll()
    clock.advance(30)
    assert.equal(room.b2bua.busy, 0)
    assert.equal(carol.got().at(-1), '503 INVITE')
    a.answer(200, {}, alice.lastRequest('BYE'))
    bob.calls[0]?.answer(200, {}, bob.lastRequest('BYE'))
    bob.calls[1]?.answer(180)
    room.assertEmpty()
    assert.deepEqual(
      records.map((r) => r.disconnectInitiator),
      ['server', 'server', 'server'],
    )
  })
})

describe('a REFER of ours', () => {
  it("asks a party to call somebody else; its NOTIFYs are not the other party's", () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock, b2bua } = room
    const a = alice.call('sip:bob@example.com')
    clock.advance(25)
    const b = bob.calls[0] as AgentCall
    b.answer(200, { sdp: sdp('bob') })
    clock.advance(30)
    a.ack()
    clock.advance(30)
    const heard: number[] = []
    const [view] = room.calls.page(null, 1).views
    b2bua.refer(view?.id ?? '', 'callee', 'sip:carol@192.0.2.3', ({ status }) => heard.push(status))
    clock.advance(15)
    assert.equal(bob.lastRequest('REFER').headers.first('refer-to'), '<sip:carol@192.0.2.3>')
    b.answer(202, {}, bob.lastRequest('REFER'))
    clock.advance(15)
    assert.deepEqual(heard, [202])
    b.within('NOTIFY', { headers: { Event: 'refer', 'Subscription-State': 'terminated;reason=noresource' } })
    clock.advance(30)
    assert.equal(bob.got().at(-1), '200 NOTIFY')
    assert.equal(alice.got().includes('NOTIFY'), false)
    a.bye()
    clock.advance(30)
    b.answer(200, {}, bob.lastRequest('BYE'))
    room.assertEmpty()
    assert.equal(
      b2bua.refer('nobody', 'caller', 'sip:x@y', () => undefined),
      false,
    )
  })
})

describe('calls on our own account', () => {
  it('click to dial: one phone, then the other, then both', () => {
    const room = b2buaLab({ latencyMs: 10 })
    const { alice, bob, clock, b2bua, records } = room
    const plan = (name: string, body: string | null) => ({
      targets: [{ uri: `sip:${name}@192.0.2.${name === 'alice' ? 1 : 2}:5060`, nextHop: null }],
      strategy: 'parallel' as const,
      rerouteOn: null,
      timeoutMs: 30_000,
      from: '<sip:click@example.com>',
      to: `<sip:${name}@example.com>`,
      content: body === null ? null : { body, fields: [['Content-Type', 'application/sdp']] as const },
      headers: [],
      maxForwards: 70,
      policy: 'strict' as const,
      timer: { expires: null, minSe: 90, refresher: 'uac' as const },
      credentials: null,
    })
    b2bua.originate({ plan: plan('alice', 'v=0\r\n'), connect: plan('bob', null) })
    clock.advance(15)
    const a = alice.calls[0] as AgentCall
    a.answer(200, { sdp: sdp('alice') })
    clock.advance(25)
    assert.equal(alice.got().at(-1), 'ACK')
    const b = bob.calls[0] as AgentCall
    assert.equal(b.invite.body, '')
    b.answer(200, { sdp: sdp('bob') })
    clock.advance(25)
    assert.equal(alice.lastRequest('INVITE').body, sdp('bob'))
    a.answer(200, { sdp: sdp('alice anew') }, alice.lastRequest('INVITE'))
    clock.advance(25)
    assert.equal(bob.lastRequest('ACK').body, sdp('alice anew'))
    b.bye()
    clock.advance(25)
    a.answer(200, {}, alice.lastRequest('BYE'))
    room.assertEmpty()
    assert.deepEqual(
      records.map((r) => [r.kind, r.responseCode, r.legs.length, r.disconnectInitiator]),
      [['b2bua', 200, 1, 'callee']],
    )
    assert.equal(records[0]?.callId, a.invite.callId)
  })
})
