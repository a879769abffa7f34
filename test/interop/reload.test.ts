import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { register } from '../../bench/subjects.ts'
import { missing, residentBytes, root, until } from '../support/programs.ts'
import { freePort, node, startSiphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'

const full = process.env['SIPHON_FULL'] === '1'
const reloads = full ? 100 : 10

const threadsOf = (pid: number): number => readdirSync(`/proc/${pid}/task`).length

describe('reload', () => {
  it(
    `${reloads} times under 200 calls/s: no call fails, metrics keep their values`,
    { skip: missing('sipp') },
    async () => {
      const source = readFileSync(`${root}/examples/proxy-registrar.ts`, 'utf8')
      const siphon = await startSiphon({ script: source })
      const calleePort = await freePort()
      const callee = startCallee(calleePort)
      try {
        await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${calleePort}`)
        const seconds = full ? 60 : 8
        const calls = 200 * seconds
        const start = performance.now()
        const running = runCaller({ target: siphon.target, localPort: await freePort(), rate: 200, calls })
        const threads = threadsOf(siphon.process.pid)
        const sizes: number[] = []
        for (let i = 0; i < reloads; i++) {
          writeFileSync(siphon.script, `${source}\n// ${i}\n`)
          siphon.process.child.kill('SIGHUP')
          await until(
            'the new script to serve',
            async () => (await siphon.metric('siphon_script_generation')) === i + 2,
          )
          // The engine's heap holds the calls of the last 32 s, reloads or not.
          const calls = await siphon.metric('nodejs_heap_size_total_bytes{thread="engine"}')
          sizes.push(residentBytes(siphon.process.pid) - calls)
          await until(
            'the time of the next',
            () => performance.now() - start > (i * seconds * 1000) / reloads,
          )
        }
        const result = await running
        assert.equal(result.failed, 0)
        assert.equal(result.successful, calls)
        await until(
          'every call to be counted',
          async () => (await siphon.metric('calls_routed_total{result="found"}')) === calls,
        )
        assert.equal(await siphon.metric('registrations_total'), 1)
        await until('the threads before to end', () => threadsOf(siphon.process.pid) === threads)
        const resident = sizes.map((s) => (s / 1e6).toFixed(0)).join(' ')
        console.log(`# ${reloads} reloads, resident without the engine's heap: ${resident} MB`)
        // What ended threads leave is garbage until the control thread collects it, after some 75 reloads:
        // memory is flat when the level reached by then is not passed any more. A leak of 1.5 MB a reload would pass it.
        const late = sizes.length * 0.75
        const growth = Math.max(...sizes.slice(late)) / Math.max(...sizes.slice(0, late))
        if (full) assert.ok(growth < 1.08, `the last quarter of the reloads took ${growth} times the memory`)
      } finally {
        await callee.stop('SIGKILL')
        await siphon.stop('SIGKILL')
      }
    },
  )

  it('keeps the old script when the new one does not load, and says why with the line', async () => {
    const source = readFileSync(`${root}/examples/proxy-registrar.ts`, 'utf8')
    const siphon = await startSiphon({ script: source })
    try {
      const generation = await siphon.metric('siphon_script_generation')
      writeFileSync(siphon.script, `${source}\nconst = 3\n`)
      siphon.process.child.kill('SIGHUP')
      await until('the refusal to be told', () => /script\.ts:\d+/.test(siphon.process.output()))
      assert.equal(await siphon.metric('siphon_script_generation'), generation)
      await register(siphon.sip, 'sip:still@127.0.0.1', 'sip:still@127.0.0.1:9')
      // What it declared before it failed is not taken.
      const more = `${source}\nimport { metrics as m } from 'siphon'\n`
      writeFileSync(siphon.script, `${more}m.counter('young', 'x')\nthrow new Error('half way')\n`)
      siphon.process.child.kill('SIGHUP')
      await until('the second refusal', () => siphon.process.output().includes('half way'))
      writeFileSync(siphon.script, `${more}m.gauge('young', 'x').set(7)\n`)
      siphon.process.child.kill('SIGHUP')
      await until('the mended script', async () => (await siphon.metric('young')) === 7)
      assert.equal(await siphon.metric('registrations_total'), 1)
    } finally {
      await siphon.stop('SIGKILL')
    }
  })

  it('F53: a configuration that was broken meanwhile changes nothing: SIGHUP takes the script, a start refuses the file', async () => {
    const source = readFileSync(`${root}/examples/proxy-registrar.ts`, 'utf8')
    const siphon = await startSiphon({ script: source })
    const config = join(siphon.folder, 'siphon.yaml')
    try {
      await register(siphon.sip, 'sip:still@127.0.0.1', 'sip:still@127.0.0.1:9')
      writeFileSync(config, `${readFileSync(config, 'utf8')}listen: [what is this\n`)
      writeFileSync(siphon.script, `${source}\n// again\n`)
      siphon.process.child.kill('SIGHUP')
      await until('the script', async () => (await siphon.metric('siphon_script_generation')) === 2)
      await register(siphon.sip, 'sip:more@127.0.0.1', 'sip:more@127.0.0.1:9')
      assert.equal(await siphon.metric('siphon_registrations_active'), 2)
      const check = spawnSync(node, ['src/bin/siphon.ts', 'check', '-c', config], {
        cwd: root,
        encoding: 'utf8',
      })
      assert.equal(check.status, 78)
      assert.match(check.stdout + check.stderr, /siphon\.yaml:\d+/)
    } finally {
      await siphon.stop('SIGKILL')
    }
  })
})
