import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CallInfo, Job, Outcome } from '../../src/core/verdict.ts'
import { job, response, rig } from './support.ts'

const CALL: CallInfo = { id: 'c-1', state: 'calling', side: null, referTo: null, replaces: false }
const of = (kind: Job['kind'], more: Partial<CallInfo> = {}, given: Parameters<typeof job>[0] = {}): Job => ({
  ...job({ ...given, kind }),
  call: { ...CALL, ...more },
})
const made = (outcome: Outcome) => {
  assert.ok(outcome.ok, JSON.stringify(outcome))
  return outcome.decision
}

describe('handlers of calls', () => {
  it('onInvite dials with all that is asked for', async (t) => {
    const r = await rig(
      t,
      `import { b2bua, cdr } from 'siphon'
      b2bua.onInvite((call) => {
        cdr.write(call, { extra: { id: call.id } })
        call.authUser = 'alice'
        call.setFromUser('sales')
        call.setFromDisplay('')
        call.setToHost('inside.example:5070')
        call.setHeader('X-Route', 'a')
        call.sessionTimer(600, { refresher: 'uas' })
        call.setCredentials('trunk', 'p', { realm: 'carrier' })
        call.progress(183, undefined, { body: 'v=0' })
        return call.fork(['sip:a@10.0.0.1', { uri: 'sip:b@10.0.0.2', reference: '7 sip:b@example.com' }], {
          strategy: 'sequential', rerouteOn: [503], timeout: 5, nextHop: 'sip:10.0.0.9', headers: 'strict',
        })
      })`,
    )
    assert.ok(r.started.ok, JSON.stringify(r.started))
    const decision = made(await r.run(of('invite')))
    assert.deepEqual(decision.verdict, {
      do: 'dial',
      targets: [
        { uri: 'sip:a@10.0.0.1', nextHop: 'sip:10.0.0.9' },
        { uri: 'sip:b@10.0.0.2', nextHop: 'sip:10.0.0.9', contact: '7 sip:b@example.com' },
      ],
      strategy: 'sequential',
      timeoutMs: 5000,
      rerouteOn: [503],
      policy: 'strict',
      timer: { expires: 600, minSe: 90, refresher: 'uas' },
      credentials: { user: 'trunk', password: 'p', realm: 'carrier' },
      progress: [{ code: 183, reason: null, body: 'v=0', contentType: 'application/sdp' }],
    })
    assert.deepEqual(decision.edits, [
      ['set', 'From', 'Alice <sip:sales@example.com>;tag=a1'],
      ['set', 'From', '<sip:sales@example.com>;tag=a1'],
      ['set', 'To', '<sip:bob@inside.example:5070>'],
      ['set', 'X-Route', 'a'],
    ])
    assert.equal(decision.cdr, '{"id":"c-1"}')
    assert.equal(decision.authUser, 'alice')
  })

  it('each of the others decides what is its own', async (t) => {
    const r = await rig(
      t,
      `import { b2bua } from 'siphon'
      b2bua.onInvite((call) => call.replaces ? call.acceptReplaces() : call.ruri.includes('echo')
        ? call.answer(200, 'Here', { body: 'v=0', headers: { 'X-A': ['1', '2'] } }) : call.reject(302, undefined, { headers: { Contact: '<sip:x@y>' } }))
      b2bua.onEarlyMedia((call, reply) => reply.drop())
      b2bua.onAnswer((call, reply) => { reply.setBody('v=1', 'application/sdp'); return reply.relay() })
      b2bua.onFailure((call, reply) => reply.statusCode === 486 ? call.dial('sip:voicemail@10.0.0.1') : reply.relay())
      b2bua.onRefer((call) => call.referReplaces ? call.acceptRefer() : call.side === 'callee'
        ? call.acceptRefer({ uri: 'sip:c@10.0.0.8', reference: '9 sip:c@d' }) : call.rejectRefer(403))
      let over = ''
      b2bua.onBye((call) => { over = String(call.side) })
      b2bua.onCancel(() => {})`,
    )
    assert.ok(r.started.ok, JSON.stringify(r.started))
    const answer = { code: 200, reason: 'Here', body: 'v=0', contentType: 'application/sdp', progress: [] }
    assert.deepEqual(made(await r.run(of('invite', {}, { uri: 'sip:echo@a' }))).verdict, {
      do: 'answer',
      headers: [
        ['X-A', '1'],
        ['X-A', '2'],
      ],
      ...answer,
    })
    assert.equal(made(await r.run(of('invite'))).verdict.do, 'reply')
    assert.deepEqual(made(await r.run(of('invite', { replaces: true }))).verdict, { do: 'takeover' })
    const ringing = { response: response(183, 'Progress') }
    assert.deepEqual(made(await r.run(of('early', {}, ringing))).verdict, { do: 'drop' })
    const answered = made(
      await r.run(of('answered', {}, { response: response(200, 'OK'), headers: [['Content-Type', 'a/b']] })),
    )
    assert.equal(answered.verdict.do, 'pass')
    assert.equal(answered.edits.length, 1)
    const busy = { response: response(486, 'Busy Here') }
    assert.equal(made(await r.run(of('refused', {}, busy))).verdict.do, 'dial')
    assert.equal(made(await r.run(of('refused', {}, { response: response(404, 'No') }))).verdict.do, 'pass')
    assert.deepEqual(
      made(await r.run(of('refer', { replaces: true, side: 'caller', referTo: 'sip:c@d' }))).verdict,
      {
        do: 'transfer',
        target: null,
        nextHop: null,
      },
    )
    assert.deepEqual(made(await r.run(of('refer', { side: 'callee', referTo: 'sip:c@d' }))).verdict, {
      do: 'transfer',
      target: 'sip:c@10.0.0.8',
      nextHop: null,
      contact: '9 sip:c@d',
    })
    assert.equal(made(await r.run(of('refer'))).verdict.do, 'reply')
    assert.equal(made(await r.run(of('bye', { side: 'callee' }))).verdict.do, 'pass')
    assert.equal(made(await r.run(of('calledOff'))).verdict.do, 'pass')
  })

  it('call.proxy() leaves the INVITE, as changed, to proxy.onRequest', async (t) => {
    const r = await rig(
      t,
      `import { b2bua, cdr, proxy } from 'siphon'
      b2bua.onInvite((call) => {
        cdr.write(call, { extra: { way: 'proxy' } })
        call.setHeader('X-Seen', '1')
        return call.proxy()
      })
      proxy.onRequest((request) => {
        request.recordRoute()
        return request.relay(request.getHeader('X-Seen') === '1' ? 'sip:10.0.0.1' : 'sip:10.0.0.2')
      })`,
    )
    assert.ok(r.started.ok, JSON.stringify(r.started))
    const outcome = await r.run(of('invite'))
    assert.equal(outcome.handedOn, true)
    assert.deepEqual(made(outcome), {
      verdict: { do: 'relay', target: 'sip:10.0.0.1' },
      edits: [['set', 'X-Seen', '1']],
      recordRoute: true,
      cdr: '{"way":"proxy"}',
      authUser: null,
    })
  })

  it('says whose mistake it was, before call.proxy() or after it', async (t) => {
    const r = await rig(
      t,
      `import { b2bua, proxy } from 'siphon'
      b2bua.onInvite((call) => {
        if (call.ruri.includes('mine')) throw new Error('mine')
        return call.ruri.includes('refused') ? call.reject(603) : call.proxy()
      })
      proxy.onRequest(() => { throw new Error('its') })`,
    )
    assert.ok(r.started.ok, JSON.stringify(r.started))
    const run = async (uri: string): Promise<unknown> => {
      const { ok, handedOn = false } = await r.run(of('invite', {}, { uri }))
      return [ok, handedOn]
    }
    assert.deepEqual(await run('sip:mine@b.example'), [false, false])
    assert.deepEqual(await run('sip:refused@b.example'), [true, false])
    assert.deepEqual(await run('sip:its@b.example'), [false, true])
  })

  it('mistakes cost the call and are blamed on the handler', async (t) => {
    const r = await rig(
      t,
      `import { b2bua } from 'siphon'
      const mistakes = {
        contact: (call) => call.setHeader('Contact', '<sip:x@y>'),
        supported: (call) => call.addHeader('Supported', 'x'),
        uri: (call) => call.dial('nowhere'),
        nobody: (call) => call.fork([]),
        timer: (call) => call.sessionTimer(10),
        progress: (call) => call.progress(200),
        code: (call) => call.answer(404),
        nothing: () => undefined,
        verdict: (call) => call.acceptRefer(),
      }
      b2bua.onInvite((call) => mistakes[call.getHeader('Subject')](call))`,
    )
    assert.ok(r.started.ok, JSON.stringify(r.started))
    for (const mistake of ['contact', 'supported', 'uri', 'nobody', 'timer', 'progress', 'code']) {
      const outcome = await r.run(of('invite', {}, { headers: [['Subject', mistake]] }))
      assert.equal(outcome.ok ? '' : outcome.reason, 'exception', mistake)
    }
    const silent = await r.run(of('invite', {}, { headers: [['Subject', 'nothing']] }))
    assert.equal(silent.ok ? '' : silent.reason, 'no_verdict')
    const wrong = await r.run(of('invite', {}, { headers: [['Subject', 'verdict']] }))
    assert.equal(wrong.ok ? '' : wrong.reason, 'bad_verdict')
    assert.ok(r.failed.every(({ handler }) => handler === 'b2bua.onInvite'))
  })
})
