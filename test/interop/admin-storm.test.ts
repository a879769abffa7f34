import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { register } from '../../bench/subjects.ts'
import { missing, root, type Running, start } from '../support/programs.ts'
import { freePort, type Siphon, startSiphon } from '../support/siphon.ts'
import { median, percentile, runCaller, startCallee } from '../support/sipp.ts'

/** S37, S38: whoever asks the admin port slowly, or all the time, asks a thread that no call waits for. */
const full = process.env['SIPHON_FULL'] === '1'
const aors = full ? 100_000 : 2_000
const readers = full ? 50 : 20
const rate = full ? 100 : 50
const secs = full ? 10 : 3

/** p99 of INVITE to 200, ms; no call fails and none is repeated. */
async function calls(siphon: Siphon): Promise<number> {
  const { successful, failed, retransmissions, responseTimes } = await runCaller({
    target: siphon.target,
    localPort: await freePort(),
    rate,
    calls: rate * secs,
  })
  assert.deepEqual([successful, failed, retransmissions], [rate * secs, 0, 0])
  return percentile(responseTimes, 0.99)
}

describe('the admin port', { skip: missing('sipp', 'python3') }, () => {
  let siphon: Siphon
  let callee: Running
  before(async () => {
    siphon = await startSiphon()
    const port = await freePort()
    callee = startCallee(port)
    await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${port}`)
  })
  after(() => Promise.all([callee.stop('SIGKILL'), siphon.stop('SIGKILL')]))

  it(`S38: ${readers} that read /metrics and ${aors} registrations without a pause cost calls next to nothing`, async () => {
    const args = [siphon.target, '-n', String(aors), '--rate', '2000']
    const tool = start('python3', [`${root}/test/interop/tools/regmany.py`, ...args])
    await tool.exited
    assert.match(tool.output(), new RegExp(`'200': ${aors}\\b`))
    const ratios: number[] = []
    let answered = 0
    for (let round = 0; round < (full ? 3 : 1); round++) {
      const alone = await calls(siphon)
      let over = false
      const read = async (i: number): Promise<void> => {
        let path: string | null = null
        while (!over) {
          path ??= i % 2 === 0 ? '/admin/registrations?limit=1000' : '/metrics'
          const answer: Response = await fetch(`${siphon.adminUrl}${path}`)
          assert.equal(answer.status, 200)
          await answer.arrayBuffer()
          answered++
          path = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1] ?? null
        }
      }
      const storm = Array.from({ length: readers }, (_, i) => read(i))
      const beside = await calls(siphon)
      over = true
      await Promise.all(storm)
      ratios.push((beside + 1) / (alone + 1))
      console.log(`# p99 ${alone} ms alone, ${beside} ms beside ${answered} answers`)
    }
    assert.ok(answered > 10 * readers, String(answered))
    // The readers, the caller and the callee are on the same cores: what they take is no wait of the engine's for its admin port.
    if (full) assert.ok(median(ratios) <= 3, ratios.join(' '))
  })

  for (const [mode, what] of [
    ['-H', 'headers'],
    ['-B', 'bodies'],
    ['-X', 'readers'],
  ] as const) {
    it(
      `S37: slow ${what} (slowhttptest ${mode}) hold up neither a probe nor a call`,
      { skip: missing('slowhttptest') },
      async () => {
        const url = `${siphon.adminUrl}/admin/health`
        const attack = start('slowhttptest', [
          ...[mode, '-c', full ? '500' : '200', '-r', '200', '-i', '1', '-u', url],
          ...['-p', '1', '-l', String(full ? 20 : secs)],
        ])
        const running = calls(siphon)
        let slowest = 0
        let probes = 0
        let over = false
        void attack.exited.then(() => (over = true))
        for (; !over; probes++) {
          const begun = performance.now()
          const answer = await fetch(url, { headers: { connection: 'close' } })
          await answer.arrayBuffer()
          assert.equal(answer.status, 200)
          slowest = Math.max(slowest, performance.now() - begun)
          await new Promise((done) => setTimeout(done, 50))
        }
        await running
        assert.ok(probes > 10 && slowest < 1_000, `${probes} probes, the slowest took ${slowest} ms`)
        assert.match(attack.output(), /slow/i)
      },
    )
  }
})
