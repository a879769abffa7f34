import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { scaleDurations } from '../../deploy/prometheus/scale.ts'
import { register } from '../../bench/subjects.ts'
import { missing, root, start, until, type Running } from '../support/programs.ts'
import { startRtpengine } from '../support/rtpengine.ts'
import { freePort, RawPhone, requestText, startSiphon, type Siphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'

const rules = `${root}/deploy/prometheus`

interface Prometheus {
  readonly process: Running
  firing(): Promise<string[]>
  /** The value of an expression that gives one series. */
  value(expression: string): Promise<number>
  /** Groups and rules that it could not evaluate, with why. */
  broken(): Promise<string[]>
}

/** A real Prometheus that scrapes each second, with the shipped rules' minutes made seconds. */
async function startPrometheus(siphon: Siphon, factor: number): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'prometheus-'))
  const port = await freePort()
  writeFileSync(
    join(folder, 'siphon.rules.yaml'),
    scaleDurations(readFileSync(`${rules}/siphon.rules.yaml`, 'utf8'), factor),
  )
  const target = new URL(siphon.metricsUrl).host
  writeFileSync(
    join(folder, 'prometheus.yaml'),
    readFileSync(`${rules}/prometheus.yaml`, 'utf8')
      .replaceAll('15s', '1s')
      .replace('127.0.0.1:9464', target),
  )
  const process = start('prometheus', [
    '--config.file',
    join(folder, 'prometheus.yaml'),
    '--storage.tsdb.path',
    join(folder, 'data'),
    '--web.listen-address',
    `127.0.0.1:${port}`,
  ])
  const url = `http://127.0.0.1:${port}`
  const query = async (
    expression: string,
  ): Promise<{ metric: Record<string, string>; value: [number, string] }[]> => {
    const answer = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`)
    const body = (await answer.json()) as {
      data: { result: { metric: Record<string, string>; value: [number, string] }[] }
    }
    return body.data.result
  }
  await until('the first scrape', async () => (await query('up'))[0]?.value[1] === '1', 20_000).catch(
    (error: unknown) => {
      throw new Error(`${String(error)}\n${process.output()}`)
    },
  )
  return {
    process,
    value: async (expression) => {
      const result = await query(expression)
      assert.equal(result.length, 1, expression)
      return Number(result[0]?.value[1])
    },
    broken: async () => {
      const body = (await (await fetch(`${url}/api/v1/rules`)).json()) as {
        data: { groups: { rules: { name: string; health: string; lastError?: string }[] }[] }
      }
      const rules = body.data.groups.flatMap((g) => g.rules)
      assert.equal(rules.length, 8)
      return rules.filter((r) => r.health !== 'ok').map((r) => `${r.name}: ${r.lastError}`)
    },
    firing: async () => (await query('ALERTS{alertstate="firing"}')).map((a) => a.metric['alertname'] ?? ''),
  }
}

/** After traffic: what three other programs say of a live scrape. */
async function secondOpinion(siphon: Siphon, prometheus: Prometheus): Promise<void> {
  const scrape = async (accept: string): Promise<string> =>
    (await fetch(siphon.metricsUrl, { headers: { accept } })).text()
  const text = await scrape('text/plain')
  const openMetrics = await scrape('application/openmetrics-text; version=1.0.0')
  for (const [input, command, ...args] of [
    [text, 'promtool', 'check', 'metrics'],
    [text, '/usr/bin/python3', `${root}/test/interop/tools/om_check.py`],
    [openMetrics, '/usr/bin/python3', `${root}/test/interop/tools/om_check.py`, '--om'],
  ] as const) {
    const run = spawnSync(command, args, { input, encoding: 'utf8' })
    assert.equal(run.status, 0, `${command} ${args.join(' ')}\n${run.stdout}${run.stderr}`)
    if (command === 'promtool') assert.equal(run.stdout + run.stderr, '')
  }
  // Prometheus took every sample of a scrape; the answers' codes may have added one since.
  const samples = (body: string): number =>
    body.split('\n').filter((l) => l !== '' && !l.startsWith('#')).length
  await until(
    'Prometheus to have scraped what we see',
    async () => (await prometheus.value('scrape_samples_scraped')) === samples(await scrape('text/plain')),
  )
  assert.equal(await prometheus.value('up'), 1)
  assert.ok((await prometheus.value('scrape_duration_seconds')) < 1)
}

// At once: each waits for a Prometheus of its own most of its time.
describe('alert rules', { concurrency: true }, () => {
  it('pass promtool, and so do their unit tests', { skip: missing('promtool') }, () => {
    for (const args of [
      ['check', 'rules', `${rules}/siphon.rules.yaml`],
      ['check', 'config', `${rules}/prometheus.yaml`],
      ['test', 'rules', `${rules}/siphon.rules.test.yaml`],
    ]) {
      const run = spawnSync('promtool', args, { encoding: 'utf8' })
      assert.equal(run.status, 0, `${args.join(' ')}\n${run.stdout}${run.stderr}`)
    }
  })

  it('each have a summary, a severity and a runbook page that exists', () => {
    const text = readFileSync(`${rules}/siphon.rules.yaml`, 'utf8')
    const alerts = text.split('- alert: ').slice(1)
    assert.equal(alerts.length, 7)
    for (const alert of alerts) {
      assert.match(alert, /severity: (warning|critical)/)
      assert.match(alert, /summary: ["']/)
      const page = /runbook: (\S+)/.exec(alert)?.[1] ?? ''
      assert.match(readFileSync(join(root, page), 'utf8'), new RegExp(`^# ${alert.split('\n')[0]}`))
    }
  })

  it('none fires on healthy load', { skip: missing('prometheus', 'sipp') }, async () => {
    const siphon = await startSiphon()
    const calleePort = await freePort()
    const callee = startCallee(calleePort)
    const prometheus = await startPrometheus(siphon, 180)
    try {
      await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${calleePort}`)
      const running = runCaller({
        target: siphon.target,
        localPort: await freePort(),
        rate: 50,
        calls: 50 * 30,
        holdMs: 1_000,
      })
      const fired: string[] = []
      let looks = 0
      const watch = setInterval(() => {
        void prometheus.firing().then((names) => {
          looks++
          fired.push(...names)
        })
      }, 500)
      const result = await running
      clearInterval(watch)
      assert.equal(result.failed, 0)
      assert.deepEqual(fired, [])
      assert.ok(looks > 20, String(looks))
      assert.deepEqual(await prometheus.broken(), [])
      await secondOpinion(siphon, prometheus)
    } finally {
      await callee.stop('SIGKILL')
      await prometheus.process.stop('SIGKILL')
      await siphon.stop('SIGKILL')
    }
  })

  it('shed and pool fire when handlers hang', { skip: missing('prometheus') }, async () => {
    const script = `import { proxy } from 'siphon'
proxy.onRequest(async (request) => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
  return request.reply(200)
})
`
    const scriptOptions = { sync_pool_size: 1, sync_pool_max: 2, executor_queue_capacity: 8 }
    const siphon = await startSiphon({ script, scriptOptions })
    const prometheus = await startPrometheus(siphon, 60)
    const phone = await RawPhone.open()
    const pressure = setInterval(() => {
      for (let i = 0; i < 10; i++) phone.send(requestText('MESSAGE', 'sip:x@127.0.0.1'), siphon.sip)
    }, 200)
    try {
      await until(
        'both alerts to fire',
        async () => {
          const names = await prometheus.firing()
          return names.includes('SIPhonHandlerJobsShed') && names.includes('SIPhonHandlerPoolSaturated')
        },
        60_000,
      )
      clearInterval(pressure)
      await until('them to stop', async () => (await prometheus.firing()).length === 0, 60_000)
    } finally {
      clearInterval(pressure)
      phone.close()
      await prometheus.process.stop('SIGKILL')
      await siphon.stop('SIGKILL')
    }
  })

  it('rtpengine fires while one of two is gone', { skip: missing('prometheus', 'rtpengine') }, async (t) => {
    const stays = await startRtpengine({ rtpPorts: [26_000, 26_099] })
    t.after(() => stays.stop())
    const goes = await startRtpengine({ rtpPorts: [27_000, 27_099] })
    t.after(() => goes.stop())
    const instances = [stays, goes].map(({ address }) => `{ address: "${address}", timeout_ms: 300 }`)
    const siphon = await startSiphon({
      yaml: `media: { rtpengine: { instances: [${instances.join(', ')}] }, health_check_interval_secs: 1 }`,
    })
    t.after(() => siphon.stop('SIGKILL'))
    const prometheus = await startPrometheus(siphon, 60)
    t.after(() => prometheus.process.stop('SIGKILL'))
    const fires = async (): Promise<boolean> => (await prometheus.firing()).includes('SIPhonRtpengineDown')
    await until(
      'both to be scraped',
      async () => (await prometheus.value('siphon_rtpengine_instances_up')) === 2,
    )
    assert.equal(await fires(), false)
    await goes.process.stop('SIGKILL')
    await until('the alert to fire', fires, 20_000)
    const back = await startRtpengine({ port: goes.port, rtpPorts: [27_000, 27_099] })
    t.after(() => back.stop())
    await until('it to stop', async () => !(await fires()), 20_000)
  })

  it(
    'dialogs fire when calls never end at a flat call rate',
    { skip: missing('prometheus', 'sipp') },
    async () => {
      const siphon = await startSiphon()
      const calleePort = await freePort()
      const callee = startCallee(calleePort)
      const prometheus = await startPrometheus(siphon, 180)
      await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${calleePort}`)
      // Callers that hang up after ten minutes: for this test, never.
      const enough = Promise.withResolvers<void>()
      const ended = runCaller({
        target: siphon.target,
        localPort: await freePort(),
        rate: 20,
        calls: 2_000,
        holdMs: 600_000,
        until: enough.promise,
      })
      try {
        await until(
          'the alert to fire',
          async () => (await prometheus.firing()).includes('SIPhonDialogsNotDraining'),
          58_000,
        )
      } finally {
        enough.resolve()
        await ended
        await callee.stop('SIGKILL')
        await prometheus.process.stop('SIGKILL')
        await siphon.stop('SIGKILL')
      }
    },
  )
})
