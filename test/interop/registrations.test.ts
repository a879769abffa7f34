import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { root, start, until } from '../support/programs.ts'
import { registerMany } from '../support/register-many.ts'
import { freePort, RawPhone, requestText, startSiphon } from '../support/siphon.ts'
import { runCaller } from '../support/sipp.ts'
import { recv, scenarioFile, send } from '../support/sipp-scenario.ts'

const full = process.env['SIPHON_FULL'] === '1'
const count = full ? 100_000 : 5_000

describe('registrations', () => {
  const bySipp = full ? 20_000 : 2_000
  it(`takes ${bySipp} from sipp, none of them sent twice`, async () => {
    const siphon = await startSiphon()
    try {
      const user = '<sip:sipp[call_number]@[remote_ip]>'
      const uri = 'sip:[remote_ip]:[remote_port]'
      const scenario = scenarioFile('register', [
        send('REGISTER', 1, { uri, from: user, to: user, headers: ['Expires: 3600'] }),
        recv(200),
      ])
      const result = await runCaller({
        ...{ target: siphon.target, localPort: await freePort(), scenario },
        ...{ rate: 1_000, calls: bySipp, holdMs: 0 },
      })
      assert.deepEqual(
        [result.successful, result.failed, result.retransmissions],
        [bySipp, 0, 0],
        result.output.slice(-2_000),
      )
      assert.equal(await siphon.metric('siphon_registrations_active'), bySipp)
    } finally {
      await siphon.stop('SIGKILL')
    }
  })

  it(`takes ${count} addresses-of-record, lists them page by page, and forgets whom it is told to`, async () => {
    const siphon = await startSiphon()
    const run = async (): Promise<string> => {
      const args = [siphon.target, '-n', String(count), '--rate', '2000']
      const tool = start('python3', [`${root}/test/interop/tools/regmany.py`, ...args])
      await tool.exited
      return tool.output()
    }
    // On a busy machine some are sent twice; each is answered 200 all the same.
    const all = new RegExp(`\\{'200': ${count}(?:, 'retrans': \\d+)?\\}`)
    try {
      assert.match(await run(), all)
      assert.equal(await siphon.metric('siphon_registrations_active'), count)
      const seen = new Set<string>()
      let path: string | null = '/admin/registrations?limit=700'
      while (path !== null) {
        const answer: Response = await fetch(`${siphon.adminUrl}${path}`)
        for (const row of (await answer.json()) as { aor: string }[]) seen.add(row.aor)
        path = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1] ?? null
      }
      assert.equal(seen.size, count)
      for (const aor of [...seen].slice(0, 100)) {
        const answer = await siphon.admin(`/admin/registrations/${encodeURIComponent(aor)}`, {
          method: 'DELETE',
        })
        assert.deepEqual(answer, { status: 200, body: { status: 'removed', aor } })
      }
      assert.equal(await siphon.metric('siphon_registrations_active'), count - 100)
      // Again, from other ports: a second contact each, and an address-of-record is still counted once.
      assert.match(await run(), all)
      assert.equal(await siphon.metric('siphon_registrations_active'), count)
    } finally {
      await siphon.stop('SIGKILL')
    }
  })

  it(`F57: ${count} that expire within one second go at once, and requests beside them are answered`, async () => {
    const siphon = await startSiphon({ yaml: 'registrar: { min_expires: 1 }' })
    const phone = await RawPhone.open()
    try {
      // Time enough for all of them, on a machine with other things to do.
      const end = performance.now() + (full ? 90_000 : 8_000)
      const expires = (): number => Math.max(1, Math.ceil((end - performance.now()) / 1_000))
      const bound = await registerMany({ port: siphon.sip, count, perSecond: 2_500, expires })
      assert.equal(bound, count)
      const left = end - performance.now()
      assert.ok(left > 500, `${left} ms too late`)
      assert.equal(await siphon.metric('siphon_registrations_active'), count)
      const slowest = { before: 0, during: 0 }
      let gone = Infinity
      while (performance.now() < end + 3_000 && gone === Infinity) {
        const begun = performance.now()
        assert.equal(await phone.ask(requestText('OPTIONS', 'sip:127.0.0.1'), siphon.sip), 200)
        const now = performance.now()
        const when = now < end ? 'before' : 'during'
        slowest[when] = Math.max(slowest[when], now - begun)
        if (when === 'during' && (await siphon.metric('siphon_registrations_active')) === 0) gone = now - end
      }
      // Each lives to the end of the second it was asked for, and no sweep comes later to find it.
      assert.ok(gone < 2_000, `${gone} ms`)
      console.log(
        `# slowest OPTIONS ${slowest.during.toFixed(0)} ms, before it ${slowest.before.toFixed(0)} ms`,
      )
      // `ask` looks every 20 ms.
      assert.ok(slowest.during < Math.max(100, 2 * slowest.before), JSON.stringify(slowest))
      await until(
        'the list to be empty',
        async () => ((await siphon.admin('/admin/registrations')).body as []).length === 0,
      )
    } finally {
      phone.close()
      await siphon.stop('SIGKILL')
    }
  })
})
