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

/** The only fault of a script. */
async function fault(text: string, loadTimeoutMs?: number) {
  const { faults } = await check(text, loadTimeoutMs)
  assert.equal(faults.length, 1, JSON.stringify(faults))
  return faults[0] ?? { what: '', where: null }
}

const places = (told: readonly { where: string | null }[]) => told.map(({ where }) => where)

const PROXY = "import { proxy } from 'siphon'\n"
const HANDLER = 'proxy.onRequest((request) => request.reply(404))\n'

describe('checking a script', () => {
  it('finds nothing wrong with one that loads', async () => {
    assert.deepEqual(await check(PROXY + HANDLER), { faults: [], doubts: [] })
  })
  it('says where one does not parse', async () => {
    const { faults } = await check(`${PROXY}const a = 1\nconst = 3\n${HANDLER}`)
    assert.deepEqual(places(faults).slice(0, 1), ['script.ts:3:7'])
  })
  it('says where one throws while it loads', async () => {
    assert.deepEqual(await fault("const a = 1\n\n  throw new Error('no')\n"), {
      what: 'Error: no',
      where: 'script.ts:3:9',
    })
  })
  it('says where one declares what cannot be', async () => {
    const { what, where } = await fault("import { metrics } from 'siphon'\nmetrics.counter('1st', 'x')\n")
    assert.equal(where, 'script.ts:2:9')
    assert.match(what, /is no metric name/)
  })
  it('finds every fault at once: where it throws, and what the compiler says of the rest', async () => {
    const { faults } = await check(
      [
        "import { metrics, proxy } from 'siphon'",
        "const counted = metrics.counter('x_total', 'x', { labels: ['result'] })",
        "const n: number = 'text'",
        "metrics.counter('1st', 'x')",
        "proxy.onRequst('INVITE', () => n)",
        "proxy.onRequest((request) => { counted.labels({ reslt: 'a' }).inc() })",
      ].join('\n'),
    )
    assert.deepEqual(places(faults), [
      'script.ts:3:7',
      'script.ts:5:7',
      'script.ts:6:17',
      'script.ts:6:49',
      'script.ts:4:9',
    ])
    assert.match(faults[1]?.what ?? '', /Did you mean 'onRequest'/)
    assert.match(faults[3]?.what ?? '', /Did you mean to write 'result'/)
  })
  it('tells a fault that the compiler and the server find once', async () => {
    const { faults } = await check(`${PROXY}proxy.onRequst(() => null)\n`)
    assert.deepEqual(places(faults), ['script.ts:2:7'])
  })
  it('finds faults in files that the script imports, and none in its own API', async () => {
    writeFileSync(join(folder, 'lib.ts'), "export const n: number = 'text'\n")
    const { faults } = await check(`import { n } from './lib.ts'\n${PROXY}console.log(n)\n${HANDLER}`)
    assert.deepEqual(places(faults), ['lib.ts:1:14'])
  })
  it('refuses the name of a metric of the server', async () => {
    for (const name of ['siphon_calls_active', 'siphon_requests_total', 'nodejs_heap_size_used_bytes']) {
      const { what } = await fault(`import { metrics } from 'siphon'\nmetrics.counter('${name}', 'x')\n`)
      assert.match(what, new RegExp(name), name)
    }
  })
  it('refuses labels that are given as other languages give them', async () => {
    const script = join(folder, 'plain.js')
    writeFileSync(script, "import { metrics } from 'siphon'\nmetrics.counter('x_total', 'x', ['result'])\n")
    const { faults } = await checkScript(script, { memoryLimitMb: 64 })
    assert.deepEqual(places(faults), ['plain.js:2:9'])
    assert.match(faults[0]?.what ?? '', /write \{ labels: \['result'\] \}/)
  })
  it('names an import that is not there, with its place and what to write', async () => {
    const { faults } = await check(`${PROXY}import { a } from './gone.ts'\nconsole.log(a)\n${HANDLER}`)
    assert.deepEqual(places(faults), ['script.ts:2:19'])
    writeFileSync(join(folder, 'lib.ts'), 'export const n = 1\n')
    assert.deepEqual(await fault(`${PROXY}import { n } from './lib'\nconsole.log(n)\n${HANDLER}`), {
      what: "MissingImport: cannot find './lib'; write './lib.ts'",
      where: 'script.ts:2:19',
    })
  })
  it('gives up on one that never finishes, spinning or waiting', async () => {
    for (const text of [
      'for (;;) {}\n',
      'await new Promise(() => setInterval(() => {}, 1000))\n',
      'await new Promise(() => {})\nexport {}\n',
    ]) {
      assert.deepEqual(
        await fault(text, 300),
        { what: 'the script did not load within 300 ms', where: null },
        text,
      )
    }
  })
  it('ends a script that keeps its thread busy with timers', async () => {
    assert.deepEqual((await check('setInterval(() => {}, 1)\n')).faults, [])
  })
  it('doubts a script without a handler of requests, and methods that no RFC knows', async () => {
    assert.deepEqual(await check("import { log } from 'siphon'\nlog.info('x')\n"), {
      faults: [],
      doubts: [
        {
          what: 'declares neither proxy.onRequest nor b2bua.onInvite: requests will be answered with 500',
          where: null,
        },
      ],
    })
    const { faults, doubts } = await check(
      `${PROXY}proxy.onRequest('INVIT|MESSAGE|FROBNICATE', (request) => request.reply(404))\n`,
    )
    assert.deepEqual(faults, [])
    const name = 'onRequest(INVIT|MESSAGE|FROBNICATE)'
    assert.deepEqual(doubts, [
      {
        what: `${name}: INVIT is no method that an RFC defines; did you mean INVITE?`,
        where: 'script.ts:2:7',
      },
      { what: `${name}: FROBNICATE is no method that an RFC defines`, where: 'script.ts:2:7' },
    ])
  })
})
