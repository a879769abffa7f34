import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { start } from '../support/programs.ts'
import { freePort, node } from '../support/siphon.ts'

interface Ports {
  readonly udp: number
  readonly tcp: number
  readonly metrics: number
  readonly admin: number
}

const GOOD = "import { proxy } from 'siphon'\nproxy.onRequest((request) => request.reply(404))\n"

async function project(t: TestContext, script = GOOD): Promise<{ config: string; ports: Ports }> {
  const folder = mkdtempSync(join(tmpdir(), 'siphon-start-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const ports = {
    udp: await freePort(),
    tcp: await freePort(),
    metrics: await freePort(),
    admin: await freePort(),
  }
  writeFileSync(join(folder, 'script.ts'), script)
  const config = join(folder, 'siphon.yaml')
  writeFileSync(
    config,
    `listen: { udp: ["127.0.0.1:${ports.udp}"], tcp: ["127.0.0.1:${ports.tcp}"] }
script: { path: script.ts }
metrics: { prometheus: { listen: "127.0.0.1:${ports.metrics}" } }
admin: { listen: "127.0.0.1:${ports.admin}" }
cdr: { enabled: true }
`,
  )
  return { config, ports }
}

async function siphon(...args: string[]): Promise<{ code: number | null; output: string }> {
  const running = start(node, ['src/bin/siphon.ts', ...args])
  const code = await running.exited
  return { code, output: running.output() }
}

function occupy(t: TestContext, protocol: 'udp' | 'tcp', port: number): Promise<void> {
  if (protocol === 'udp') {
    const socket = createSocket('udp4')
    t.after(() => void socket.close())
    return new Promise((done) => socket.bind(port, '127.0.0.1', done))
  }
  const server = createServer()
  t.after(() => void server.close())
  return new Promise((done) => server.listen(port, '127.0.0.1', done))
}

describe('siphon run, where it cannot', { concurrency: true }, () => {
  const keys = [
    ['udp', 'listen.udp'],
    ['tcp', 'listen.tcp'],
    ['metrics', 'metrics.prometheus.listen'],
    ['admin', 'admin.listen'],
  ] as const
  for (const [which, key] of keys) {
    it(`names ${key} in one line when its port is taken, and ends with 1`, async (t) => {
      const { config, ports } = await project(t)
      await occupy(t, which === 'udp' ? 'udp' : 'tcp', ports[which])
      const { code, output } = await siphon('run', '-c', config)
      const said = output.split('\n').filter((line) => !/INFO: script: script generation 1 serves/.test(line))
      const why = 'is taken by another program: end that, or choose another port'
      assert.deepEqual(said, [`siphon: ${key}: 127.0.0.1:${ports[which]} ${why}`, ''])
      // The process has ended, so nothing is left running.
      assert.equal(code, 1)
    })
  }

  it('says of a script that does not load what check says, and ends with 78', async (t) => {
    const { config } = await project(t, `${GOOD}\n  JSON.parse('nonsense')\n`)
    const ran = await siphon('run', '-c', config)
    const checked = await siphon('check', '-c', config)
    assert.deepEqual(ran, checked)
    const place = config.replace('siphon.yaml', 'script.ts:4:8')
    assert.deepEqual(checked, {
      code: 78,
      output: `${place} — SyntaxError: Unexpected token 'o', "nonsense" is not valid JSON\n`,
    })
  })
})

describe('siphon check, on a script', { concurrency: true }, () => {
  it('gives up on one that never finishes loading, and says so', async (t) => {
    const { config } = await project(t, 'for (;;) {}\n')
    const { code, output } = await siphon('check', '-c', config)
    const place = config.replace('siphon.yaml', 'script.ts:1:1')
    assert.deepEqual(
      { code, output },
      { code: 78, output: `${place} — the script did not load within 10000 ms\n` },
    )
  })
  it('prints JSON for programs, faults of the file and of the script at once', async (t) => {
    const { config } = await project(t, "throw new Error('no')\n")
    writeFileSync(config, 'script: { path: script.ts }\nlogg: {}\n')
    const { code, output } = await siphon('check', '-c', config, '--format', 'json')
    assert.equal(code, 78)
    const { ok, faults } = JSON.parse(output) as { ok: boolean; faults: { file: string; what: string }[] }
    assert.equal(ok, false)
    assert.deepEqual(
      faults.map(({ file, what }) => [file, what]),
      [
        [config, 'is not a key of the configuration'],
        [config.replace('siphon.yaml', 'script.ts'), 'Error: no'],
      ],
    )
  })
})
