import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { register } from '../../bench/subjects.ts'
import { scratch } from '../support/cdr.ts'
import { missing, until } from '../support/programs.ts'
import { freePort, startSiphon, type Siphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'

/** What happens to the file of records, and to the process that writes it, while calls go on. */

const full = process.env['SIPHON_FULL'] === '1'
const RATE = 200
const delivered = 'siphon_cdr_records_total{sink="file",outcome="delivered"}'

/** Every record of every file in the folder. Rejects when a line is not a whole one. */
function allRecords(folder: string): { id: string; call_id: string }[] {
  return readdirSync(folder)
    .filter((name) => name.includes('cdr'))
    .flatMap((name) => {
      const text = readFileSync(join(folder, name), 'utf8')
      assert.ok(text === '' || text.endsWith('\n'), `${name} ends within a line`)
      const lines = text.split('\n').slice(0, -1)
      return lines.map((line) => JSON.parse(line) as { id: string; call_id: string })
    })
}

const distinct = (values: readonly unknown[]): number => new Set(values).size

async function loaded(t: TestContext, yaml: string): Promise<{ siphon: Siphon; calleePort: number }> {
  const siphon = await startSiphon({ yaml })
  t.after(() => siphon.stop('SIGKILL'))
  const calleePort = await freePort()
  const callee = startCallee(calleePort)
  t.after(() => callee.stop('SIGKILL'))
  await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${calleePort}`)
  return { siphon, calleePort }
}

/** Most bytes of a file that the process may write; beyond, the kernel refuses as it does on a full disk. */
function limitFiles({ process }: Siphon, bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`])
}

describe('the file of records', { skip: missing('sipp', 'prlimit') }, () => {
  it('F10, F11: moved away, rotated, and refused by the disk: every call has its line, and no line is torn', async (t) => {
    const folder = scratch(t)
    const path = join(folder, 'cdr.jsonl')
    const { siphon } = await loaded(
      t,
      `cdr: { enabled: true, backend: file, file: { path: "${path}", rotate_size_mb: 0.2 } }`,
    )
    const seconds = full ? 30 : 8
    const calls = RATE * seconds
    const localPort = await freePort()
    const running = runCaller({ target: siphon.target, localPort, rate: RATE, calls })
    const written = (count: number): Promise<unknown> =>
      until(`${count} records`, async () => (await siphon.metric(delivered)) >= count, 30_000)

    await written(calls * 0.1)
    renameSync(path, join(folder, 'moved-cdr.jsonl'))
    await written(calls * 0.2)
    renameSync(path, join(folder, 'told-cdr.jsonl'))
    siphon.process.child.kill('SIGUSR1')
    await written(calls * 0.3)

    limitFiles(siphon, readFileSync(path).length + 500)
    await until('records to wait', async () => (await siphon.sum('siphon_cdr_queue_depth')) > 50, 30_000)
    // Calls that have ended are in the book, wherever their records are.
    const [answered, open] = ['siphon_call_attempts_total', 'siphon_cdr_sessions']
    await until('the account to be exact', async () => {
      const m = await siphon.metrics()
      const sum = (name: string): number =>
        [...m].reduce((n, [key, value]) => n + (key.startsWith(`${name}{`) ? value : 0), 0)
      const booked = sum('siphon_cdr_records_total') + sum('siphon_cdr_queue_depth')
      return booked > 0 && booked === sum(answered) - (m.get(open) ?? 0)
    })
    limitFiles(siphon, 'unlimited')

    const result = await running
    assert.deepEqual([result.successful, result.failed], [calls, 0])
    await until('every record', () => allRecords(folder).length >= calls, 30_000)
    const records = allRecords(folder)
    assert.equal(records.length, calls)
    assert.equal(distinct(records.map((r) => r.id)), calls)
    assert.equal(distinct(records.map((r) => r.call_id)), calls)
    assert.ok(readdirSync(folder).length >= 4, 'it was not rotated')
    assert.equal(await siphon.sum('siphon_cdr_records_total', /dropped|dead/), 0)
    const told = siphon.process.output().match(/CDR file .*records wait/g)?.length ?? 0
    assert.ok(told >= 1 && told <= 1 + seconds / 5, `${told} lines about it`)
  })

  const kills = full ? 20 : 2
  it(`F13: killed ${kills} times under load: what was told as written is there, once, in whole lines`, async (t) => {
    const folder = scratch(t)
    const yaml = `cdr: { enabled: true, backend: file, file: { path: "${join(folder, 'cdr.jsonl')}" } }`
    let known = 0
    for (let i = 0; i < kills; i++) {
      const { siphon } = await loaded(t, yaml)
      const enough = Promise.withResolvers<void>()
      const localPort = await freePort()
      const calls = RATE * 60
      const running = runCaller({
        target: siphon.target,
        localPort,
        rate: RATE,
        calls,
        until: enough.promise,
      })
      await until('calls to end', async () => (await siphon.metric(delivered)) > 100)
      // Ended by now; a second later they are in the file at the latest, whenever the process is killed.
      const m = await siphon.metrics()
      const ended =
        (m.get('siphon_call_attempts_total{result="answered"}') ?? 0) - (m.get('siphon_cdr_sessions') ?? 0)
      await setTimeout(1_000 + ((i * 137) % 500))
      await siphon.stop('SIGKILL')
      enough.resolve()
      await running
      known += ended
      // The next start repairs what the kill has left: a line that is not whole is set aside.
      const next = await startSiphon({ yaml })
      await next.stop('SIGTERM')
      const records = allRecords(folder)
      assert.ok(records.length >= known, `${records.length} records of ${known} calls that had ended`)
      assert.equal(distinct(records.map((r) => r.id)), records.length)
      known = records.length
    }
  })
})
