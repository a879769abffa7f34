import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { scratch } from '../support/cdr.ts'
import { until } from '../support/programs.ts'
import { RawPhone, requestText, startSiphon, type Siphon } from '../support/siphon.ts'

const script = `import { proxy } from 'siphon'

proxy.onRequest('INVITE|MESSAGE', async (request) => {
  if (request.ruri.includes('spin')) while (true) {}
  if (request.ruri.includes('block')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  if (request.ruri.includes('never')) await new Promise(() => {})
  if (request.ruri.includes('throw')) throw new Error('as asked')
  if (request.ruri.includes('exit')) process.exit(3)
  if (request.ruri.includes('eat')) {
    const eaten: number[][] = []
    while (true) eaten.push(new Array(100_000).fill(1.5))
  }
  return request.reply(200)
})
`

describe('a script that misbehaves costs its own call a 500 and nobody else anything', () => {
  let siphon: Siphon
  let phone: RawPhone
  before(async () => {
    phone = await RawPhone.open()
    siphon = await startSiphon({
      script,
      scriptOptions: {
        // A machine with other work needs a second to eat 64 MB, which is to end before this does.
        handler_timeout_secs: 3,
        sync_pool_size: 2,
        sync_pool_max: 4,
        executor_queue_capacity: 16,
        memory_limit_mb: 64,
      },
    })
  })
  after(async () => {
    phone.close()
    await siphon.stop('SIGKILL')
  })

  const pool = async (): Promise<{ size: number; max: number; inflight: number; queued: number }> => {
    const m = await siphon.metrics()
    const level = (name: string): number => m.get(`siphon_pyexec_${name}`) ?? Number.NaN
    return {
      size: level('pool_size'),
      max: level('pool_max'),
      inflight: level('inflight'),
      queued: level('queue_depth'),
    }
  }
  const call = (user: string): Promise<number> =>
    phone.ask(requestText('INVITE', `sip:${user}@127.0.0.1`), siphon.sip, 15_000)
  /** Good calls, one after another, until `work` has its answer: each must pass, whatever `work` does. */
  const beside = async (work: Promise<number>): Promise<{ code: number; good: number }> => {
    let done = false
    const end = (): void => void (done = true)
    work.then(end, end)
    let good = 0
    do {
      const code = await phone.ask(requestText('MESSAGE', 'sip:good@127.0.0.1'), siphon.sip)
      assert.equal(code, 200)
      good++
    } while (!done)
    return { code: await work, good }
  }

  for (const [user, reason] of [
    ['spin', 'timeout'],
    ['block', 'timeout'],
    ['never', 'timeout'],
    ['throw', 'exception'],
    ['eat', 'worker_lost'],
    ['exit', 'worker_lost'],
  ] as const) {
    it(`${user}: 500, named in log and metrics, and calls beside it go on`, async () => {
      const series = `siphon_script_errors_total{handler="onRequest(INVITE|MESSAGE)",reason="${reason}"}`
      const earlier = await siphon.metric(series)
      const { code, good } = await beside(call(user))
      assert.equal(code, 500)
      // Had the good calls waited for the stuck one, a single one would have ended before it.
      if (reason === 'timeout') assert.ok(good > 2, `${good} calls passed beside it`)
      await until('the error to be counted', async () => (await siphon.metric(series)) === earlier + 1)
      await until('a log line to name the handler and the reason', async () =>
        siphon.process
          .output()
          .split('\n')
          .some((l) => l.includes('script.ts:') && l.includes(reason)),
      )
      await until('the pool to be whole and idle', async () => {
        const { size, inflight, queued } = await pool()
        return size >= 2 && inflight === 0 && queued === 0
      })
    })
  }

  it('tells what is in flight while handlers are stuck, and nothing after', async () => {
    for (const [user, count] of [
      ['spin', 1],
      ['never', 3],
    ] as const) {
      await until('the pool to be idle', async () => (await pool()).inflight === 0)
      const calls = Array.from({ length: count }, () => call(user))
      await until(`${count} in flight`, async () => {
        const { inflight, queued } = await pool()
        return inflight === count && queued === 0
      })
      assert.deepEqual(new Set(await Promise.all(calls)), new Set([500]))
      await until('nothing to be in flight', async () => (await pool()).inflight === 0)
    }
  })
})

describe('a pool whose workers are all held', () => {
  it('fills, sheds, and recovers when they are let go', async (t) => {
    // A handler that holds its thread as long as there is a file, but no processor, which new workers need.
    const hold = join(scratch(t), 'hold')
    writeFileSync(hold, '')
    const siphon = await startSiphon({
      script: `import { existsSync } from 'node:fs'
import { proxy } from 'siphon'

const never = new Int32Array(new SharedArrayBuffer(4))

proxy.onRequest((request) => {
  if (request.ruri.includes('hold')) while (existsSync(process.env['HOLD'] ?? '')) Atomics.wait(never, 0, 0, 50)
  return request.reply(480)
})
`,
      scriptOptions: { sync_pool_size: 2, sync_pool_max: 4, executor_queue_capacity: 16 },
      env: { HOLD: hold },
    })
    t.after(() => siphon.stop('SIGKILL'))
    const phone = await RawPhone.open()
    t.after(() => phone.close())
    phone.acknowledge(siphon.sip)
    const shed = (): Promise<number> => siphon.metric('siphon_pyexec_jobs_shed_total')
    const level = (name: string): Promise<number> => siphon.metric(`siphon_pyexec_${name}`)

    let sent = 0
    const press = (calls: number): void => {
      for (let i = 0; i < calls; i++) phone.send(requestText('INVITE', 'sip:hold@127.0.0.1'), siphon.sip)
      sent += calls
    }
    press(100)
    await until('requests to be shed', async () => (await shed()) > 0)
    await until('every worker to be busy and jobs to wait', async () => {
      const levels = [await level('pool_size'), await level('pool_max'), await level('inflight')]
      return levels.every((n) => n === 4) && (await level('queue_depth')) > 0
    })
    // The workers that came last have taken what waited: there is room again, until that is full, too.
    const before = await shed()
    await until('calls to be shed again', async () => {
      press(5)
      return (await shed()) > before
    })

    rmSync(hold)
    await until('all that were taken to be answered', async () => {
      const answers = phone.received.filter((m) => m.startsWith('SIP/2.0 480'))
      return answers.length === sent - (await shed())
    })
    assert.equal(await phone.ask(requestText('INVITE', 'sip:good@127.0.0.1'), siphon.sip), 480)
    assert.deepEqual([await level('inflight'), await level('queue_depth')], [0, 0])
    await until(
      'transactions to end',
      async () => (await siphon.sum('siphon_transactions_active')) === 0,
      20_000,
    )
    await until('records to be closed', async () => (await siphon.metric('siphon_cdr_sessions')) === 0)
    assert.equal(await siphon.sum('siphon_script_errors_total'), 0)
  })
})
