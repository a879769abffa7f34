import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, it } from 'node:test'
import { job, rig, until, type Rig } from './support.ts'

const answering = (code: number, more = ''): string =>
  `import { proxy } from 'siphon'\n${more}\nproxy.onRequest(async (request) => { await null; return request.reply(${code}) })\n`

async function code(r: Rig): Promise<number> {
  const outcome = await r.run(job())
  assert.ok(outcome.ok, JSON.stringify(outcome))
  return outcome.decision.verdict.do === 'reply' ? outcome.decision.verdict.code : 0
}

describe('reload', () => {
  it('20 times under jobs: none fails, every thread before ends, metrics keep their values', async (t) => {
    const metric = `import { metrics } from 'siphon'; const seen = metrics.counter('seen_total', 'Seen'); `
    const counting = (n: number): string =>
      `import { proxy } from 'siphon'\n${metric}\nproxy.onRequest((request) => { seen.inc(); return request.reply(${n}) })\n`
    const r = await rig(t, counting(400))
    const running = new AbortController()
    let asked = 0
    const load = (async () => {
      while (!running.signal.aborted) {
        for (let i = 0; i < 5; i++) {
          asked++
          void r.run(job()).then((o) => assert.ok(o.ok, JSON.stringify(o)))
        }
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })()
    for (let n = 1; n <= 20; n++) {
      r.write(counting(400 + n))
      const loaded = await r.supervisor.reload()
      assert.ok(loaded.ok)
      assert.equal(loaded.generation, n + 1)
      assert.equal(await code(r), 400 + n)
      asked++
    }
    running.abort()
    await load
    await until(() => r.jobs.length === asked && r.supervisor.threads === 2)
    assert.equal(r.failed.length, 0)
    assert.equal(r.host.generation, 21)
    assert.equal(r.reader.value('seen_total'), asked)
  })

  const broken: readonly (readonly [string, string, string | null, RegExp])[] = [
    ['does not parse', 'const a: number = 1\nconst = 3\n', 'script.ts:2:7', /./],
    ['has an enum', 'const a = 1\nenum X { A }\n', 'script.ts:2:1', /enum is not supported/],
    ['throws', 'const a = 1\n\n  throw new Error("boo")\n', 'script.ts:3:9', /Error: boo/],
    ['imports nothing', 'import "./nowhere.ts"\n', 'script.ts:1:8', /nowhere\.ts/],
    ['imports a wrong name', 'import { nonsense } from "siphon"\n', 'script.ts:1:10', /nonsense/],
    [
      'declares a clashing metric',
      'import { metrics } from "siphon"\nmetrics.gauge("kept", "x")\n',
      'script.ts:2:9',
      /kept/,
    ],
    [
      'declares a bad timer',
      'import { timer } from "siphon"\ntimer.every(-1, () => {})\n',
      'script.ts:2:7',
      /-1/,
    ],
    ['is about to be written', '', null, /declares neither proxy\.onRequest nor b2bua\.onInvite any more/],
    ['exits', 'process.exit(0)\n', null, /process\.exit\(0\)/],
    ['never finishes loading', 'while (true) {}\n', null, /did not load within 2000 ms/],
    [
      'awaits for ever',
      'await new Promise(() => setInterval(() => {}, 1000))\n',
      null,
      /did not load within 2000 ms/,
    ],
  ]
  it('a script that does not load leaves the one before and says why, with the place', async (t) => {
    const good = answering(480, `import { metrics } from 'siphon'\nmetrics.counter('kept', 'x')`)
    const r = await rig(t, good, { limits: { poolSize: 1 }, supervisor: { loadTimeoutMs: 2_000 } })
    assert.ok(r.started.ok)
    for (const [name, text, where, what] of broken) {
      r.write(text)
      const loaded = await r.supervisor.reload()
      assert.ok(!loaded.ok, name)
      assert.equal(loaded.fault.where, where, `${name}: ${loaded.fault.what}`)
      assert.match(loaded.fault.what, what, name)
      assert.match(r.lines.at(-1)?.text ?? '', /does not load: .*the one before goes on/, name)
      assert.equal(await code(r), 480)
    }
    assert.equal(r.host.generation, 1)
    r.write(answering(481))
    assert.ok((await r.supervisor.reload()).ok)
    assert.equal(await code(r), 481)
    await until(() => r.supervisor.threads === 1)
  })

  it('metrics of a script that did not load are free for another shape, and the serving ones stay', async (t) => {
    const kept = `import { metrics } from 'siphon'\nmetrics.counter('kept', 'x').inc()\n`
    const r = await rig(t, answering(480, kept), { limits: { poolSize: 2 } })
    r.write(answering(481, `${kept}metrics.counter('young', 'x')\nthrow new Error('half way')`))
    assert.ok(!(await r.supervisor.reload()).ok)
    assert.deepEqual(r.reader.scriptMetrics(), ['kept'])
    r.write(answering(482, `${kept}metrics.gauge('young', 'x').set(7)`))
    const loaded = await r.supervisor.reload()
    assert.ok(loaded.ok, JSON.stringify(loaded))
    assert.equal(await code(r), 482)
    assert.equal(r.reader.value('young'), 7)
    assert.ok((r.reader.value('kept') ?? 0) >= 4, 'the serving metric was forgotten')
  })

  it('at start, a script that does not load is an error', async (t) => {
    const r = await rig(t, 'const = 3\n', { limits: { poolSize: 1 } })
    assert.ok(!r.started.ok)
    assert.equal(r.started.fault.where, 'script.ts:1:7')
    await until(() => r.supervisor.threads === 0)
  })

  it('on save: by writing, by renaming over, and in an imported file', async (t) => {
    const r = await rig(t, answering(480), { limits: { poolSize: 1 }, supervisor: { reload: 'auto' } })
    const turns = async (to: number): Promise<void> => {
      const before = r.host.generation
      await until(() => r.host.generation > before)
      assert.equal(await code(r), to)
    }
    r.write(answering(481))
    await turns(481)
    writeFileSync(join(r.folder, 'new.ts'), answering(482))
    renameSync(join(r.folder, 'new.ts'), r.path)
    await turns(482)
    writeFileSync(join(r.folder, 'code.ts'), 'export const code: number = 483\n')
    r.write(
      `import { proxy } from 'siphon'\nimport { code } from './code.ts'\nproxy.onRequest((request) => request.reply(code))`,
    )
    await turns(483)
    writeFileSync(join(r.folder, 'code.ts'), 'export const code: number = 484\n')
    await turns(484)
    r.write('broken = = 1')
    await until(() => r.lines.some((l) => /does not load/.test(l.text)))
    assert.equal(await code(r), 484)
    r.write(answering(485))
    await turns(485)
  })

  it('handlers that are under way finish in the script they began in', async (t) => {
    const slow = `import { proxy } from 'siphon'
      proxy.onRequest(async (request) => { await new Promise((r) => setTimeout(r, 300)); return request.reply(480) })`
    const r = await rig(t, slow, { limits: { poolSize: 1 } })
    const first = code(r)
    await until(() => r.host.inflight === 1)
    r.write(answering(481))
    await r.supervisor.reload()
    assert.equal(await code(r), 481)
    assert.equal(await first, 480)
    await until(() => r.supervisor.threads === 1)
  })
})

/** Its worker dies at every third tick. */
const ticking = (name: string): string => `import { timer, log } from 'siphon'
  let ticks = 0
  timer.every(0.05, () => { log.info('${name} ' + ++ticks); if (ticks === 3) process.exit(1) }, { name: '${name}' })`

describe('timers', () => {
  it('run once however many workers there are, in the serving script only, and survive their worker', async (t) => {
    const r = await rig(t, ticking('one'), { limits: { poolSize: 3 } })
    const ticks = (name: string): string[] =>
      r.lines.map((l) => l.text).filter((text) => text.startsWith(name))
    await until(() => ticks('one').length >= 5)
    assert.deepEqual(ticks('one').slice(0, 5), ['one 1', 'one 2', 'one 3', 'one 1', 'one 2'])
    assert.equal(r.failed[0]?.handler, 'timer(one)')
    assert.equal(r.failed[0]?.reason, 'worker_lost')
    r.write(ticking('two'))
    await r.supervisor.reload()
    const before = ticks('one').length
    await until(() => ticks('two').length >= 2)
    assert.ok(ticks('one').length <= before + 1)
    assert.ok(r.jobs.every((j) => j.handler === 'timer'))
  })

  it('that throw or never end are reported and go on', async (t) => {
    const r = await rig(
      t,
      `import { timer } from 'siphon'
      timer.every(0.02, async () => { throw new Error('boo') }, { name: 'throws' })
      timer.every(0.02, () => new Promise(() => {}), { name: 'hangs' })`,
      { limits: { handlerTimeoutMs: 100 } },
    )
    const count = (name: string): number => r.failed.filter((f) => f.handler === `timer(${name})`).length
    await until(() => count('throws') >= 3 && count('hangs') >= 2)
  })
})

describe('the composition root', () => {
  it('can run a module in every handler thread, which ends with it', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'siphon-setup-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const setup = join(folder, 'setup.mjs')
    writeFileSync(
      setup,
      `export function setUpThread(writer) {
        writer.threadGauge('test_thread_up', 'Is up').set(1)
        const timer = setInterval(() => {}, 1000)
        return () => clearInterval(timer)
      }`,
    )
    const r = await rig(t, answering(480), {
      limits: { poolSize: 1 },
      supervisor: { threadSetup: pathToFileURL(setup).href },
    })
    assert.equal(r.reader.value('test_thread_up', { thread: 'script-1' }), 1)
    await r.supervisor.reload()
    await until(() => r.supervisor.threads === 1)
    assert.equal(r.reader.value('test_thread_up', { thread: 'script-2' }), 1)
  })
})

describe('a script that keeps killing its workers', () => {
  it('is started again after growing pauses', async (t) => {
    const r = await rig(t, `import { proxy } from 'siphon'\nproxy.onRequest(() => process.exit(1))`, {
      limits: { poolSize: 1, poolMax: 1 },
    })
    const end = performance.now() + 1500
    let lost = 0
    while (performance.now() < end) {
      const outcome = await r.run(job())
      assert.ok(!outcome.ok)
      lost++
    }
    assert.ok(lost >= 3 && lost < 10, `${lost} workers in 1.5 s`)
  })
})
