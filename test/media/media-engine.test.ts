import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { type Answering, healthy, mediaLab, OK, silent } from './lab.ts'

const started = (options: Parameters<typeof mediaLab>[0] = {}) => {
  const lab = mediaLab({ intervalMs: 0, ...options })
  lab.engine.start()
  lab.clock.advance(5)
  lab.heard.length = 0
  return lab
}

const STATS = {
  result: 'ok',
  SSRC: { 5: { 'average MOS': { MOS: 43, jitter: 2, 'packet loss': 1, samples: 3 } } },
  tags: {
    a: {
      medias: [
        {
          type: 'audio',
          codec: 'PCMU/8000',
          streams: [{ flags: ['RTP'], SSRC: 5, stats: { packets: 10, bytes: 1720, errors: 0 } }],
        },
      ],
    },
    b: {
      medias: [{ type: 'audio', streams: [{ flags: ['RTP'], stats: { packets: 9, bytes: 90, errors: 1 } }] }],
    },
  },
}
const withStats: Answering = (command, heard) =>
  command['command'] === 'query' ? STATS : healthy(command, heard)

/** Of the parties of the first exchange, whose callee is b, or of those who came after. */
const between = (what: 'offer' | 'answer', from: 'caller' | 'callee', pair = 0) => ({
  what,
  from,
  pair,
  branch: 'b',
})

describe('a call with media', () => {
  it('is offered, answered, and deleted at its end, with its figures in the record', () => {
    const lab = started()
    lab.answers.set(1, withStats)
    const call = lab.start()
    lab.offer(call)
    lab.clock.advance(5)
    lab.answer(call)
    lab.clock.advance(5)
    assert.deepEqual(
      lab.results.map((r) => r.ok),
      [true, true],
    )
    const [offered, answered] = [lab.commands('offer')[0]?.command, lab.commands('answer')[0]?.command]
    assert.equal(offered?.['via-branch'], 'z9hG4bK1')
    assert.equal(answered?.['to-tag'], 'b')
    assert.equal(lab.engine.sessions, 1)
    lab.end(call)
    assert.equal(lab.records.length, 0, 'the record waits for the figures')
    lab.clock.advance(5)
    assert.deepEqual(lab.records[0]?.media, {
      instance: '10.0.0.1:1',
      codec: 'PCMU/8000',
      caller: { packets: 10, bytes: 1720, errors: 0, lossPercent: 1, jitterMs: 2, mos: 4.3 },
      callee: { packets: 9, bytes: 90, errors: 1, lossPercent: null, jitterMs: null, mos: null },
    })
    assert.deepEqual(
      lab.heard.slice(2).map((h) => h.command['command']),
      ['query', 'delete'],
    )
    assert.equal(lab.commands('delete')[0]?.command['delete delay'], 0)
  })

  it("without an offer in the INVITE is held from the callee's offer on, and nothing is sent before", () => {
    const lab = started()
    const call = lab.start()
    const options = { sdp: '', profile: 'rtp_to_srtp', extras: { flags: ['strict-source'] } }
    lab.engine.awaitOffer(lab.signal(call, options), (result) => lab.results.push(result))
    assert.equal(lab.results[0]?.ok, true)
    assert.deepEqual([lab.heard.length, lab.engine.sessions, lab.engine.levels.held], [0, 0, 1])
    assert.deepEqual([lab.engine.awaited(call, 'b'), lab.engine.awaited('other', 'b')], [0, null])
    // Two callees offer; the script sees to the one's, the B2BUA to the other's.
    lab.answer(call)
    lab.clock.advance(5)
    const other = { ...between('offer', 'callee'), branch: 'c' }
    lab.engine.renegotiate(call, other, 'v=0', (result) => lab.results.push(result))
    lab.clock.advance(5)
    assert.deepEqual([lab.engine.awaited(call, 'b'), lab.engine.awaited(call, 'c')], [1, 1])
    lab.engine.renegotiate(call, between('answer', 'caller'), 'v=0', (result) => lab.results.push(result))
    lab.clock.advance(5)
    // What the callee repeats is of no consequence; what it offers anew is as in any call.
    lab.answer(call)
    lab.engine.renegotiate(call, between('offer', 'callee'), 'v=0', (result) => lab.results.push(result))
    lab.clock.advance(5)
    assert.deepEqual(
      lab.heard.map(({ command: c }) => [
        c['command'],
        c['from-tag'],
        c['to-tag'],
        c['transport-protocol'],
        c['flags'],
      ]),
      [
        ['offer', 'b', undefined, 'RTP/AVP', undefined],
        ['offer', 'c', undefined, 'RTP/AVP', undefined],
        ['answer', 'b', 'a', undefined, ['strict-source']],
        ['offer', 'b', 'a', 'RTP/AVP', undefined],
      ],
    )
    assert.ok(lab.results.every((r) => r.ok))
    lab.end(call)
    lab.clock.advance(5)
    assert.equal(lab.commands('delete').length, 1)
    assert.equal(lab.engine.sessions, 0)
  })

  it('without an offer leaves nothing when nobody makes one, and is refused when no instance is up', () => {
    const lab = started()
    const call = lab.start()
    const ask = (callId: string): void =>
      lab.engine.awaitOffer(lab.signal(callId), (result) => lab.results.push(result))
    ask(call)
    lab.end(call)
    lab.clock.advance(5)
    assert.equal(lab.heard.length, 0)
    assert.ok(lab.empty())
    ask(call)
    lab.answers.set(1, silent)
    lab.engine.ping(() => undefined)
    lab.clock.advance(2_000)
    lab.engine.ping(() => undefined)
    lab.clock.advance(2_000)
    const later = lab.start()
    ask(later)
    assert.deepEqual(
      lab.results.map((r) => (r.ok ? 'ok' : r.reason)),
      ['ok', 'call_over', 'no_instance'],
    )
    lab.end(later)
  })

  it('knows whose answers were put through it', () => {
    const lab = started()
    const call = lab.start()
    lab.offer(call)
    lab.clock.advance(5)
    assert.deepEqual([lab.engine.has(call), lab.engine.has(call, 'b')], [true, false])
    lab.answer(call)
    lab.clock.advance(5)
    assert.deepEqual([lab.engine.has(call, 'b'), lab.engine.has(call, 'c')], [true, false])
    lab.end(call)
    lab.clock.advance(5)
  })

  it('of new parties is made beside the old, and takes its place when they are put together', async () => {
    const lab = started()
    const call = lab.start()
    lab.offer(call)
    lab.clock.advance(5)
    lab.answer(call)
    lab.clock.advance(5)
    lab.heard.length = 0
    const done = (result: { ok: boolean }): void => void lab.results.push(result as never)
    // The callee has been replaced, and the newcomer offers; it is then the caller who hears of it.
    lab.engine.renegotiate(call, between('offer', 'callee', 1), 'v=0', done)
    lab.clock.advance(5)
    assert.equal(lab.engine.sessions, 2)
    lab.engine.renegotiate(call, between('answer', 'caller', 1), 'v=0', done)
    lab.clock.advance(5)
    lab.engine.paired(call, 1, true)
    lab.clock.advance(5)
    assert.deepEqual(
      lab.heard.map(({ command: c }) => [c['command'], c['call-id'], c['from-tag'], c['to-tag']]),
      [
        ['offer', `${call};pair=1`, 'callee', undefined],
        ['answer', `${call};pair=1`, 'callee', 'caller'],
        ['query', call, undefined, undefined],
        ['delete', call, undefined, undefined],
      ],
    )
    // From now on they are the call's, with everything a script may ask for.
    lab.heard.length = 0
    lab.engine.renegotiate(call, between('offer', 'caller', 1), 'v=0', done)
    lab.engine.command('block media', call, 'callee', {}, done)
    lab.clock.advance(5)
    assert.deepEqual(
      lab.heard.map(({ command: c }) => [c['command'], c['call-id'], c['from-tag'], c['to-tag']]),
      [
        ['offer', `${call};pair=1`, 'caller', 'callee'],
        ['block media', `${call};pair=1`, 'callee', undefined],
      ],
    )
    lab.end(call)
    lab.clock.advance(5)
    await Promise.resolve()
    assert.deepEqual(lab.engine.levels, { sessions: 0, calls: 0, held: 0 })
    assert.equal(lab.records.length, 1)
  })

  it('of new parties who are not put together is deleted, and the old stays', async () => {
    const lab = started()
    const call = lab.start()
    lab.offer(call)
    lab.clock.advance(5)
    lab.answer(call)
    lab.clock.advance(5)
    const done = (result: { ok: boolean }): void => void lab.results.push(result as never)
    for (const pair of [1, 2]) {
      lab.engine.renegotiate(call, between('offer', 'callee', pair), 'v=0', done)
      lab.clock.advance(5)
      // Another try stands for the end of the one before.
      if (pair === 2) lab.engine.paired(call, 2, false)
      lab.clock.advance(5)
    }
    assert.deepEqual(
      lab.commands('delete').map(({ command: c }) => c['call-id']),
      [`${call};pair=1`, `${call};pair=2`],
    )
    assert.equal(lab.engine.sessions, 1)
    // The call ends while two are being put together: both are deleted.
    lab.engine.renegotiate(call, between('offer', 'callee', 3), 'v=0', done)
    lab.end(call)
    lab.clock.advance(5)
    await Promise.resolve()
    assert.deepEqual(lab.engine.levels, { sessions: 0, calls: 0, held: 0 })
    assert.deepEqual(
      new Set(
        lab
          .commands('delete')
          .slice(2)
          .map(({ command: c }) => c['call-id']),
      ),
      new Set([call, `${call};pair=3`]),
    )
  })

  it('is offered and answered anew by either party, with the tags of the first exchange', () => {
    const lab = started()
    const call = lab.start()
    const done = (result: { ok: boolean }): void => void lab.results.push(result as never)
    lab.engine.renegotiate(call, between('offer', 'caller'), 'v=0', done)
    assert.deepEqual(
      lab.results.map((r) => r.ok),
      [false],
    )
    lab.offer(call)
    lab.clock.advance(5)
    lab.answer(call)
    lab.clock.advance(5)
    lab.heard.length = 0
    for (const from of ['caller', 'callee'] as const) {
      lab.engine.renegotiate(call, between('offer', from), 'v=0', done)
      lab.engine.renegotiate(call, between('answer', from === 'caller' ? 'callee' : 'caller'), 'v=0', done)
      lab.clock.advance(5)
    }
    const callerTag = lab.commands('offer')[0]?.command['from-tag']
    assert.deepEqual(
      lab.heard.map(({ command: c }) => [c['command'], c['from-tag'], c['to-tag']]),
      [
        ['offer', callerTag, 'b'],
        ['answer', callerTag, 'b'],
        ['offer', 'b', callerTag],
        ['answer', 'b', callerTag],
      ],
    )
    lab.end(call)
    lab.clock.advance(2_000)
  })

  it('gives the record up to a second, and never loses it', async () => {
    const lab = started()
    const call = lab.start()
    lab.offer(call)
    lab.clock.advance(5)
    lab.answers.set(1, silent)
    lab.end(call)
    lab.clock.advance(999)
    assert.equal(lab.records.length, 0)
    lab.clock.advance(1)
    assert.equal(lab.records.length, 1)
    assert.equal(lab.records[0]?.media, null)
    lab.clock.advance(2_000)
    await Promise.resolve()
    assert.equal(lab.records.length, 1)
    assert.ok(lab.commands('delete').length > 0)
  })

  it('loses no record when its Call-ID is used again while the figures are awaited', () => {
    const lab = started()
    lab.answers.set(1, (command, one) => (command['command'] === 'query' ? null : healthy(command, one)))
    for (let i = 1; i <= 2; i++) {
      const call = lab.start('same')
      lab.offer(call)
      lab.clock.advance(5)
      lab.end(call)
      assert.equal(lab.records.length, i - 1)
    }
    lab.clock.advance(1_000)
    assert.equal(lab.records.length, 2)
  })

  it('begins anew with the same Call-ID only when the old media is gone', () => {
    const lab = started()
    const held: (() => void)[] = []
    lab.answers.set(1, (command, one) => {
      if (command['command'] !== 'delete') return healthy(command, one)
      held.push(() => lab.reply({ host: '10.0.0.1', port: 1 }, one.cookie, OK))
      return null
    })
    lab.offer(lab.start('same'))
    lab.clock.advance(5)
    lab.end('same')
    lab.offer(lab.start('same'))
    lab.clock.advance(50)
    assert.equal(lab.commands('offer').length, 1)
    held[0]?.()
    lab.clock.advance(5)
    assert.equal(lab.commands('offer').length, 2)
    assert.deepEqual(
      lab.results.map((r) => r.ok),
      [true, true],
    )
    assert.equal(lab.commands('delete').length, 1)
  })

  it('of which two offers are made at once is at one instance in the end', () => {
    for (const slow of [0, 1]) {
      const lab = started({ instances: 2 })
      let seen = 0
      lab.answers.set(1, (command, one) => {
        if (command['command'] !== 'offer') return healthy(command, one)
        return new Set(lab.commands('offer', 1).map((h) => h.cookie)).size === slow + 1 && seen++ >= 0
          ? null
          : OK
      })
      const call = lab.start()
      lab.offer(call)
      lab.offer(call, { viaBranch: 'z9hG4bK2' })
      lab.clock.advance(5_000)
      assert.equal(lab.results.length, 2)
      lab.answer(call)
      lab.clock.advance(5)
      const [at] = lab.commands('answer').map((h) => h.port)
      lab.end(call)
      lab.clock.advance(5_000)
      assert.ok(lab.commands('query', at).length > 0)
      assert.equal(lab.engine.sessions, 0)
    }
  })

  it('without media, or without an offer that was accepted, has its record at once', () => {
    const lab = started()
    lab.answers.set(1, () => ({ result: 'error', 'error-reason': 'Failed to parse SDP' }))
    const [plain, refused] = [lab.start(), lab.start()]
    lab.offer(refused)
    lab.clock.advance(5)
    assert.deepEqual(lab.results, [{ ok: false, reason: 'refused', what: 'Failed to parse SDP' }])
    lab.end(plain)
    lab.end(refused)
    assert.equal(lab.records.length, 2)
  })

  it('belongs to its Call-ID: the first of two attempts to end leaves it', () => {
    const lab = started()
    const call = lab.start()
    lab.start(call)
    lab.offer(call)
    lab.clock.advance(5)
    lab.end(call)
    lab.clock.advance(5)
    assert.equal(lab.commands('delete').length, 0)
    assert.equal(lab.records.length, 1)
    lab.end(call)
    lab.clock.advance(5)
    assert.equal(lab.commands('delete').length, 1)
    assert.equal(lab.records.length, 2)
  })

  it('may be deleted by the script before: once is enough, and the figures are kept for the record', () => {
    const lab = started()
    lab.answers.set(1, withStats)
    const call = lab.start()
    lab.offer(call)
    lab.clock.advance(5)
    const told: boolean[] = []
    lab.engine.delete(call, (deleted) => told.push(deleted))
    lab.clock.advance(5)
    lab.engine.delete(call, (deleted) => told.push(deleted))
    assert.deepEqual(told, [true, false])
    lab.end(call)
    assert.equal(lab.records[0]?.media?.codec, 'PCMU/8000')
    assert.equal(lab.commands('delete').length, 1)
  })

  it('deleted by the script a moment before its end still has its figures', () => {
    const lab = started()
    lab.answers.set(1, withStats)
    const call = lab.start()
    lab.offer(call)
    lab.clock.advance(5)
    lab.engine.delete(call, () => undefined)
    lab.end(call)
    lab.clock.advance(5)
    assert.equal(lab.records[0]?.media?.codec, 'PCMU/8000')
    assert.equal(lab.commands('delete').length, 1)
  })

  it('that ends while its offer is under way is deleted after the offer, not before', () => {
    const lab = started()
    const held: (() => void)[] = []
    lab.answers.set(1, (command, { cookie }) => {
      if (command['command'] !== 'offer') return healthy(command, { cookie, port: 1, command })
      held.push(() => lab.reply({ host: '10.0.0.1', port: 1 }, cookie, OK))
      return null
    })
    const call = lab.start()
    lab.offer(call)
    lab.end(call)
    lab.clock.advance(50)
    assert.equal(lab.commands('delete').length, 0)
    held[0]?.()
    lab.clock.advance(50)
    assert.equal(lab.commands('delete').length, 1)
    assert.equal(lab.engine.sessions, 0)
  })

  it('cannot be offered when it is over', () => {
    const lab = started()
    const call = lab.start()
    lab.end(call)
    lab.offer(call)
    assert.equal(lab.results[0]?.ok === false && lab.results[0].reason, 'call_over')
    lab.answer(call)
    assert.equal(lab.results[1]?.ok === false && lab.results[1].reason, 'no_session')
    assert.equal(lab.heard.length, 0)
  })

  it('that goes on where we do not see it keeps its media', () => {
    const lab = started()
    const call = lab.start()
    lab.offer(call)
    lab.clock.advance(5)
    lab.end(call, { endedAt: null })
    lab.clock.advance(5)
    assert.equal(lab.commands('delete').length, 0)
    assert.equal(lab.records.length, 1)
  })

  it('gets what each side must see, whichever side offers', () => {
    const lab = started()
    const call = lab.start()
    const protocol = (name: string, at: number): unknown =>
      lab.commands(name)[at]?.command['transport-protocol']
    lab.offer(call, { profile: 'rtp_to_srtp' })
    lab.clock.advance(5)
    lab.answer(call)
    lab.clock.advance(5)
    assert.deepEqual([protocol('offer', 0), protocol('answer', 0)], ['RTP/SAVP', 'RTP/AVP'])
    lab.offer(call, { fromTag: 'b', toTag: 'a', viaBranch: null })
    lab.clock.advance(5)
    lab.answer(call, { fromTag: 'b', toTag: 'a', viaBranch: null })
    lab.clock.advance(5)
    assert.deepEqual([protocol('offer', 1), protocol('answer', 1)], ['RTP/AVP', 'RTP/SAVP'])
  })

  it('joins the lists of a script with those of the profile', () => {
    const lab = started()
    lab.offer(lab.start(), { extras: { replace: ['session-name'], ICE: 'remove' } })
    const { command } = lab.commands('offer')[0] ?? { command: {} as Record<string, unknown> }
    assert.deepEqual(command['replace'], ['origin', 'session-name'])
    assert.equal(command['ICE'], 'remove')
  })

  it('is told to both parties, or to one', () => {
    const lab = started()
    const call = lab.start()
    const say = (party: 'caller' | 'callee' | null): void =>
      lab.engine.command('block media', call, party, {}, (r) => lab.results.push(r))
    say(null)
    lab.offer(call)
    lab.clock.advance(5)
    say('callee')
    lab.answer(call)
    lab.clock.advance(5)
    for (const party of [null, 'caller', 'callee'] as const) say(party)
    assert.deepEqual(
      lab.commands('block media').map((h) => h.command['from-tag']),
      [undefined, 'a', 'b'],
    )
    assert.deepEqual(
      lab.results.map((r) => (r.ok ? 'ok' : r.reason)),
      ['no_session', 'ok', 'no_session', 'ok'],
    )
  })
})

describe('several instances', () => {
  it('share new calls, and each call stays with its own', () => {
    const lab = started({ instances: 2 })
    const calls = Array.from({ length: 40 }, () => lab.start())
    // All at once: no answer is there when the next is chosen.
    for (const call of calls) lab.offer(call)
    lab.clock.advance(5)
    for (const call of calls) lab.answer(call)
    lab.clock.advance(5)
    const portOf = (name: string, call: string): number[] =>
      lab
        .commands(name)
        .filter((h) => h.command['call-id'] === call)
        .map((h) => h.port)
    for (const call of calls) assert.deepEqual(portOf('answer', call), portOf('offer', call))
    assert.equal(lab.commands('offer', 1).length, 20)
    for (const call of calls) lab.end(call)
    lab.clock.advance(10)
    for (const call of calls) assert.deepEqual(portOf('delete', call), portOf('offer', call))
  })

  it('take over an offer that one does not answer, and what it may have made of it is deleted', () => {
    const lab = started({ instances: 2 })
    lab.answers.set(1, silent)
    const calls = [lab.start(), lab.start()]
    for (const call of calls) lab.offer(call)
    lab.clock.advance(1_005)
    assert.deepEqual(
      lab.results.map((r) => r.ok && r.instance),
      ['10.0.0.1:2', '10.0.0.1:2'],
    )
    assert.equal(lab.commands('delete', 1).length, 1)
    for (const call of calls) lab.answer(call)
    assert.equal(lab.commands('answer', 2).length, 2)
    // A second miss, and no new call is tried there.
    lab.clock.advance(2_000)
    lab.heard.length = 0
    for (let i = 0; i < 5; i++) lab.offer(lab.start())
    assert.equal(lab.commands('offer', 1).length, 0)
    assert.equal(lab.commands('offer', 2).length, 5)
  })

  it('take over from one that is full', () => {
    const lab = started({ instances: 2 })
    const full = { result: 'load limit', message: 'Parallel session limit reached' }
    lab.answers.set(1, ({ command }) => (command === 'ping' ? { result: 'pong' } : full))
    for (let i = 0; i < 4; i++) lab.offer(lab.start())
    lab.clock.advance(10)
    assert.deepEqual(
      lab.results.map((r) => r.ok && r.instance),
      Array(4).fill('10.0.0.1:2'),
    )
  })

  it('do not take over an established call, nor move one that was refused', () => {
    const lab = started({ instances: 2 })
    const call = lab.start()
    lab.offer(call)
    lab.clock.advance(5)
    lab.answers.set(1, silent)
    lab.offer(call)
    lab.clock.advance(1_010)
    assert.equal(lab.results[1]?.ok === false && lab.results[1].reason, 'timeout')
    lab.answers.set(2, () => ({ result: 'error', 'error-reason': 'no' }))
    lab.offer(lab.start())
    lab.clock.advance(10)
    assert.equal(lab.results[2]?.ok === false && lab.results[2].reason, 'refused')
    assert.equal(lab.commands('offer', 2).length, 1)
  })

  it('that are all down are a clear answer, at once', () => {
    const lab = mediaLab({ instances: 2, intervalMs: 0 })
    lab.answers.set(1, silent).set(2, silent)
    lab.engine.start()
    const early = lab.start()
    lab.offer(early)
    lab.clock.advance(3_000)
    lab.offer(lab.start())
    assert.deepEqual(
      lab.results.map((r) => (r.ok ? 'ok' : r.reason)),
      ['no_instance', 'no_instance'],
    )
  })
})

describe('the end of the server', () => {
  it('deletes the media of every call and lets no record go', async () => {
    const lab = started({ instances: 2 })
    lab.answers.set(1, withStats)
    const calls = [lab.start(), lab.start(), lab.start()]
    for (const call of calls) lab.offer(call)
    lab.clock.advance(5)
    for (const call of calls) lab.end(call)
    const closed = lab.engine.close()
    lab.clock.advance(10)
    await closed
    assert.equal(lab.commands('delete').length, 3)
    assert.equal(lab.records.length, 3)
    assert.ok(lab.empty())
    assert.equal(lab.clock.pendingTimers, 0)
  })

  it('does not wait for an instance that is gone', async () => {
    const lab = started()
    const call = lab.start()
    lab.offer(call)
    lab.clock.advance(5)
    lab.answers.set(1, silent)
    lab.end(call)
    const closed = lab.engine.close()
    lab.clock.advance(2_000)
    await closed
    assert.equal(lab.records.length, 1)
    assert.equal(lab.clock.pendingTimers, 0)
  })
})

describe('whatever scripts, callers and engines do', () => {
  it('no session, timer or record is left, and every call has its record once', async () => {
    const step = fc.tuple(
      fc.constantFrom(
        'start',
        'offer',
        'answer',
        'end',
        'delete',
        'command',
        'wait',
        'die',
        'live',
      ) as fc.Arbitrary<string>,
      fc.nat({ max: 5 }),
      fc.nat({ max: 700 }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const lab = started({ instances: 2, intervalMs: 1_000 })
        const open = new Map<string, number>()
        let ended = 0
        for (const [what, which, ms] of steps) {
          const call = `call-${which}`
          const count = open.get(call) ?? 0
          if (what === 'start') {
            lab.start(call)
            open.set(call, count + 1)
          } else if (what === 'offer') lab.offer(call)
          else if (what === 'answer') lab.answer(call)
          else if (what === 'delete') lab.engine.delete(call, () => undefined)
          else if (what === 'command') lab.engine.command('block media', call, 'caller', {}, () => undefined)
          else if (what === 'wait') lab.clock.advance(ms)
          else if (what === 'die') lab.answers.set((which % 2) + 1, silent)
          else if (what === 'live') lab.answers.set((which % 2) + 1, withStats)
          else if (count > 0) {
            open.set(call, count - 1)
            ended++
            lab.end(call)
          }
          await Promise.resolve()
        }
        for (const [call, count] of open) {
          for (let i = 0; i < count; i++) {
            lab.end(call)
            ended++
          }
        }
        // Each command may take a second, and they follow one another.
        for (let i = 0; i < 100; i++) {
          lab.clock.advance(100)
          await Promise.resolve()
        }
        assert.equal(lab.records.length, ended)
        assert.deepEqual(lab.engine.levels, { sessions: 0, calls: 0, held: 0 })
        assert.deepEqual(lab.faults, [])
        await lab.engine.close()
        // Answers that are on their way in the lab's network have timers of their own, of a few milliseconds.
        lab.clock.advance(10)
        assert.equal(lab.clock.pendingTimers, 0)
      }),
      process.env['SIPHON_FULL'] === '1' ? { numRuns: 5_000 } : { seed: 2223 },
    )
  })
})
