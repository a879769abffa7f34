import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { missing, root, start, until } from '../support/programs.ts'
import { RawPhone, requestText, type Siphon, startSiphon } from '../support/siphon.ts'

/** Those who try names and passwords, against the example that asks for both. */
const yaml = `auth: { realm: "127.0.0.1", users: { alice: "secret" } }
security: { failed_auth_ban: { threshold: 20, ban_duration_secs: 600 } }`

describe('attacks on passwords', { skip: missing('python3', 'svwar', 'svcrack') }, () => {
  let siphon: Siphon
  before(async () => {
    siphon = await startSiphon({ script: 'authenticated-registrar.ts', yaml })
  })
  after(() => siphon.stop('SIGKILL'))

  const attack = async (...args: string[]): Promise<void> => {
    const running = start('python3', [
      `${root}/test/interop/tools/attack.py`,
      ...args,
      '--target',
      siphon.target,
    ])
    assert.equal(await running.exited, 0, running.output())
  }
  const lift = async (): Promise<void> => {
    for (const { ip } of (await siphon.admin('/admin/bans')).body as { ip: string }[]) {
      assert.equal((await siphon.admin(`/admin/bans/${ip}`, { method: 'DELETE' })).status, 200)
    }
  }

  it('credentials cannot be used twice, nor changed', () =>
    attack('replay', '--user', 'alice', '--pass', 'secret'))

  it('svcrack, which tries passwords, is banned; others register; an operator lifts it', async () => {
    const run = start('svcrack', ['-p', String(siphon.sip), '-u', 'alice', '-r', '1000-1040', '127.0.0.1'])
    await run.exited
    assert.doesNotMatch(run.output(), /\| alice /)
    const bans = await until('the ban', async () => {
      const found = (await siphon.admin('/admin/bans')).body as { reason: string }[]
      return found.length > 0 ? found : null
    })
    assert.deepEqual(
      bans.map((b) => b.reason),
      ['failed_auth'],
    )
    assert.ok((await siphon.sum('siphon_security_drops_total', /"banned",transport="udp"/)) > 0)
    const phone = await RawPhone.open('127.0.0.8')
    assert.equal(
      await phone.ask(requestText('REGISTER', 'sip:127.0.0.1', { to: 'sip:alice@127.0.0.1' }), siphon.sip),
      401,
    )
    phone.close()
    await lift()
    assert.equal(await siphon.metric('siphon_banned_ips'), 0)
  })
})

describe('names cannot be told apart', { skip: missing('python3', 'svwar') }, () => {
  it('by status or by time (attack.py enum), nor by svwar', async () => {
    const siphon = await startSiphon({
      script: 'authenticated-registrar.ts',
      yaml: 'auth: { realm: "127.0.0.1", users: { alice: "secret", "100": "secret" } }',
    })
    try {
      const running = start('python3', [
        `${root}/test/interop/tools/attack.py`,
        ...['enum', '--user', 'alice', '--target', siphon.target],
      ])
      assert.equal(await running.exited, 0, running.output())
      const svwar = start('svwar', ['-p', String(siphon.sip), '-e', '100-119', '-m', 'REGISTER', '127.0.0.1'])
      await svwar.exited
      assert.doesNotMatch(svwar.output(), /\| 1\d\d /)
    } finally {
      await siphon.stop('SIGKILL')
    }
  })
})
