import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { root, start } from '../support/programs.ts'
import { startSiphon } from '../support/siphon.ts'

const full = process.env['SIPHON_FULL'] === '1'
const count = full ? 100_000 : 5_000

describe('registrations', () => {
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
})
