import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { checkScript } from '../../src/server/check-script.ts'

const folder = mkdtempSync(join(tmpdir(), 'siphon-check-'))
after(() => rmSync(folder, { recursive: true }))

function check(text: string, loadTimeoutMs = 5_000) {
  const path = join(folder, 'script.ts')
  writeFileSync(path, text)
  return checkScript(path, { memoryLimitMb: 64, loadTimeoutMs })
}

describe('checking a script', () => {
  it('finds nothing wrong with one that loads', async () => {
    assert.equal(
      await check("import { proxy } from 'siphon'\nproxy.onRequest((request) => request.reply(404))\n"),
      null,
    )
  })
  it('says where one does not parse', async () => {
    const fault = await check('const a = 1\nconst = 3\n')
    assert.equal(fault?.where, 'script.ts:2:7')
    assert.match(fault.what, /^SyntaxError/)
  })
  it('says where one throws while it loads', async () => {
    const fault = await check("const a = 1\n\n  throw new Error('no')\n")
    assert.deepEqual(fault, { what: 'Error: no', where: 'script.ts:3:9' })
  })
  it('says where one declares what cannot be', async () => {
    const fault = await check("import { metrics } from 'siphon'\nmetrics.counter('1st', 'x')\n")
    assert.equal(fault?.where, 'script.ts:2:9')
    assert.match(fault.what, /is no metric name/)
  })
  it('refuses the name of a metric of the server', async () => {
    for (const name of ['siphon_calls_active', 'siphon_requests_total', 'nodejs_heap_size_used_bytes']) {
      const fault = await check(`import { metrics } from 'siphon'\nmetrics.counter('${name}', 'x')\n`)
      assert.match(fault?.what ?? '', new RegExp(name), name)
    }
  })
  it('names an import that is not there', async () => {
    const fault = await check("import { a } from './gone.ts'\nconsole.log(a)\n")
    assert.match(fault?.what ?? '', /gone\.ts/)
    assert.equal(fault?.where, 'script.ts:1:1')
  })
  it('gives up on one that never finishes, spinning or waiting', async () => {
    for (const text of ['for (;;) {}\n', 'await new Promise(() => setInterval(() => {}, 1000))\n']) {
      const fault = await check(text, 300)
      assert.deepEqual(fault, { what: 'the script did not load within 300 ms', where: null }, text)
    }
  })
  it('ends a script that keeps its thread busy with timers', async () => {
    assert.equal(await check('setInterval(() => {}, 1)\n'), null)
  })
})
