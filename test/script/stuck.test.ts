import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { job, rig, run, until } from './support.ts'

const SCRIPT = `import { proxy } from 'siphon'
proxy.onRequest('INVITE', async (request) => {
  const what = request.getHeader('X-Do')
  if (what === 'throw') throw new Error('boo')
  if (what === 'never') await new Promise(() => {})
  if (what === 'spin') while (true) {}
  if (what === 'spin later') { await new Promise((r) => setTimeout(r, 5)); while (true) {} }
  if (what === 'allocate') { const kept: unknown[] = []; while (true) kept.push({ a: [kept.length] }) }
  if (what === 'buffers') { const kept: unknown[] = []; while (true) { kept.push(new Uint8Array(1 << 20)); if (kept.length > 300) await new Promise((r) => setTimeout(r, 5)) } }
  if (what === 'exit') process.exit(3)
  if (what === 'abort') process.abort()
  if (what === 'wait') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  if (what === 'stray') { setTimeout(() => { throw new Error('later') }, 0); Promise.reject(new Error('floating')) }
  if (what === 'slow') { const end = performance.now() + 300; while (performance.now() < end) {} }
  return request.relay()
})`

const doing = (what: string) => job({ headers: [['X-Do', what]] })

describe('a handler that hurts costs its own call a failure, and calls beside it go on', () => {
  const cases = [
    ['throw', 'exception', /boo/, 0],
    ['never', 'timeout', /onRequest\(INVITE\) script\.ts:2:7 did not return a verdict within 600 ms/, 0],
    ['spin', 'timeout', /onRequest\(INVITE\) script\.ts:2:7 held its thread for more than 600 ms/, 1],
    ['spin later', 'timeout', /onRequest\(INVITE\) script\.ts:2:7 held its thread/, 1],
    ['wait', 'timeout', /onRequest\(INVITE\) script\.ts:2:7 held its thread/, 1],
    ['allocate', 'worker_lost', /onRequest\(INVITE\) script\.ts:2:7: out of memory/, 1],
    [
      'exit',
      'worker_lost',
      /onRequest\(INVITE\) script\.ts:2:7: the script ended its thread with process.exit\(3\)/,
      1,
    ],
    ['abort', 'exception', /abort/, 0],
  ] as const
  for (const [what, reason, text, lost] of cases) {
    it(what, async (t) => {
      const r = await rig(t, SCRIPT, {
        limits: { poolMax: 2, handlerTimeoutMs: what === 'allocate' ? 10_000 : 600 },
        supervisor: { memoryLimitMb: 32 },
      })
      assert.ok(r.started.ok)
      const before = r.supervisor.threads
      const bad = r.run(doing(what))
      const good = await Promise.all(Array.from({ length: 40 }, () => r.run(doing('relay'))))
      assert.ok(
        good.every((o) => o.ok),
        JSON.stringify(good.find((o) => !o.ok)),
      )
      const outcome = await bad
      assert.ok(!outcome.ok)
      assert.equal(outcome.reason, reason)
      assert.match(outcome.what, text)
      assert.equal(r.failed.length, 1, JSON.stringify(r.failed))
      assert.match(r.failed[0]?.where ?? '', /^script\.ts:\d+:\d+$/)
      await until(() => r.host.size === 2 && r.supervisor.threads === before)
      assert.equal(r.lines.filter((l) => /is lost|is ended/.test(l.text)).length, lost)
      assert.ok((await r.run(doing('relay'))).ok)
      assert.equal(r.host.inflight, 0)
      assert.equal(r.host.queued, 0)
    })
  }

  it('buffers outside the heap', async (t) => {
    const r = await rig(t, SCRIPT, { limits: { handlerTimeoutMs: 5000 }, supervisor: { memoryLimitMb: 64 } })
    const outcome = await r.run(doing('buffers'))
    assert.ok(!outcome.ok)
    assert.equal(outcome.reason, 'worker_lost')
    assert.match(outcome.what, /out of memory/)
  })

  it('errors outside handlers are reported and end nothing', async (t) => {
    const r = await rig(t, SCRIPT)
    assert.ok((await r.run(doing('stray'))).ok)
    await until(() => r.failed.length === 2)
    assert.deepEqual(r.failed.map((f) => [f.handler, f.reason, f.what]).sort(), [
      ['outside', 'exception', 'Error: floating'],
      ['outside', 'exception', 'Error: later'],
    ])
    assert.match(r.failed[0]?.where ?? '', /^script\.ts:13:/)
    assert.equal(r.host.size, 2)
  })

  it('jobs behind a slow handler go to another worker', async (t) => {
    const r = await rig(t, SCRIPT, { limits: { poolSize: 2, poolMax: 2, handlerTimeoutMs: 5000 } })
    const slow = r.run(job({ headers: [['X-Do', 'spin']] }))
    // In the same batch, so that they are offered to the worker that spins.
    const behind = Array.from({ length: 10 }, () => r.run(doing('relay')))
    const began = performance.now()
    assert.ok((await Promise.all(behind)).every((o) => o.ok))
    assert.ok(performance.now() - began < 4000)
    void slow
  })

  it('handlers that never end fill a worker, which makes room for a fresh one', async (t) => {
    const r = await rig(t, SCRIPT, {
      limits: { poolSize: 1, poolMax: 1, handlersPerWorker: 4, handlerTimeoutMs: 200 },
    })
    for (let i = 0; i < 6; i++) {
      const outcome = await r.run(doing('never'))
      assert.ok(!outcome.ok && outcome.reason === 'timeout', JSON.stringify(outcome))
    }
    await until(() => r.host.size === 1)
    assert.ok((await r.run(doing('relay'))).ok)
  })
})

describe('the pool fills, sheds and recovers', () => {
  it('grows to its ceiling under blocking handlers, and no further', async (t) => {
    const r = await rig(t, SCRIPT, { limits: { poolSize: 1, poolMax: 3, handlerTimeoutMs: 10_000 } })
    const outcomes = Array.from({ length: 15 }, () => r.run(doing('slow')))
    let most = 0
    const watch = setInterval(() => (most = Math.max(most, r.host.size)), 10)
    // Jobs wait until it has grown, however long a worker takes to load.
    await until(() => {
      if (r.host.queued === 0) outcomes.push(r.run(doing('slow')))
      return most >= 3
    }, 20_000)
    assert.ok((await Promise.all(outcomes)).every((o) => o.ok))
    clearInterval(watch)
    assert.equal(most, 3)
  })

  it('refuses at capacity, keeps a share for dialogs, and takes again', async (t) => {
    const r = await rig(t, SCRIPT, {
      limits: { poolSize: 1, poolMax: 1, handlersPerWorker: 1, queueCapacity: 8, handlerTimeoutMs: 500 },
    })
    const stuck = r.run(doing('never'))
    await until(() => r.host.inflight === 1)
    const waiting = Array.from({ length: 7 }, () => r.run(doing('relay')))
    assert.equal(r.host.reserve('initial', 'INVITE'), null)
    const bye = r.host.reserve('in-dialog', 'BYE')
    assert.ok(bye)
    assert.equal(r.host.reserve('in-dialog', 'BYE'), null)
    assert.equal(r.host.queued, 7)
    bye.release()
    assert.equal((await stuck).ok, false)
    const ended = await Promise.all(waiting)
    assert.ok(ended.every((o) => o.ok || o.reason === 'timeout'))
    assert.ok((await run(r.host, doing('relay'))).ok)
  })
})

describe('order', () => {
  it('is kept within a Call-ID, over handlers that await', async (t) => {
    const r = await rig(
      t,
      `import { proxy } from 'siphon'
      proxy.onRequest(async (request) => {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 4))
        return request.relay()
      })`,
    )
    const ended = new Map<string, number[]>()
    const all: Promise<void>[] = []
    for (let n = 0; n < 12; n++) {
      for (const callId of ['a', 'b', 'c']) {
        all.push(
          r.run(job({ callId, method: `M${n}` })).then((o) => {
            assert.ok(o.ok)
            ended.set(callId, [...(ended.get(callId) ?? []), n])
          }),
        )
      }
    }
    await Promise.all(all)
    for (const order of ended.values())
      assert.deepEqual(
        order,
        [...order].sort((x, y) => x - y),
      )
  })
})
