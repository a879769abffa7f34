import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { CheckScript } from '../../src/cli/check.ts'
import { main } from '../../src/cli/main.ts'

const folder = mkdtempSync(join(tmpdir(), 'siphon-cli-'))
after(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

async function run(
  argv: string[],
  checkScript: CheckScript = () => Promise.resolve({ faults: [], doubts: [] }),
) {
  let out = ''
  let err = ''
  const code = await main(argv, { out: (t) => (out += t), err: (t) => (err += t), env: {}, checkScript })
  return { code, out, err }
}

describe('siphon check', () => {
  const script = file('s.ts', '')
  it('ends with 0 when there is no fault', async () => {
    const path = file('good.yaml', 'script: { path: s.ts }')
    assert.deepEqual(await run(['check', '-c', path]), { code: 0, out: `${path}: no fault\n`, err: '' })
  })
  it('ends with 78 and names every fault', async () => {
    const path = file('bad.yaml', 'script: { path: s.ts }\nlogg: {}\nlog: { level: 5 }\n')
    const { code, out } = await run(['check', '-c', path])
    assert.equal(code, 78)
    assert.equal(
      out,
      `${path}:2:1 logg — is not a key of the configuration; did you mean log?\n` +
        `${path}:3:15 log.level — is not one of debug, info, warn, error; write one of them\n`,
    )
  })
  it('names a script that is not there, where the file names it', async () => {
    const path = file('noscript.yaml', 'script:\n  path: gone.ts\n')
    const { code, out } = await run(['check', '-c', path])
    assert.equal(code, 78)
    assert.ok(
      out.startsWith(`${path}:2:9 script.path — names a file that is not there: ${join(folder, 'gone.ts')}`),
      out,
    )
  })
  it('names a file of authorities that is not there or holds none, of those that will be read', async () => {
    file('no-ca.pem', 'nothing')
    const path = file(
      'authorities.yaml',
      `script: { path: s.ts }
tracing:
  hep: { endpoint: "127.0.0.1:9061", transport: tls, ca_cert: gone.pem }
cdr:
  enabled: true
  backends: [http, syslog]
  http: { url: "https://127.0.0.1/cdr", ca: gone.pem }
  syslog: { target: "127.0.0.1:6514", transport: tls, ca: no-ca.pem }
`,
    )
    const { code, out } = await run(['check', '-c', path])
    assert.equal(code, 78)
    const gone = `names a file that is not there: ${join(folder, 'gone.pem')}; write the path of a PEM file`
    const where = 'paths start at the folder of this file'
    assert.deepEqual(out.split('\n').sort(), [
      '',
      `${path}:3:63 tracing.hep.ca_cert — ${gone}; ${where}`,
      `${path}:7:45 cdr.http.ca — ${gone}; ${where}`,
      `${path}:8:59 cdr.syslog.ca — holds no certificate; write the path of a PEM file`,
    ])
    writeFileSync(path, readFileSync(path, 'utf8').replace('[http, syslog]', '[file]'))
    assert.equal((await run(['check', '-c', path])).out.split('\n').length, 2)
  })
  it('warns of a records file that cannot be written', async () => {
    const path = (name: string): string =>
      file('records.yaml', `script: { path: s.ts }\ncdr: { enabled: true, file: { path: "${name}" } }\n`)
    const doubt = async (name: string): Promise<string> => {
      const { code, out } = await run(['check', '-c', path(name)])
      assert.equal(code, 0)
      return (
        /^warning: \S+records\.yaml:2:37 cdr\.file\.path — (.*); records would wait/.exec(out)?.[1] ?? out
      )
    }
    const fine = `${path('')}: no fault\n`
    mkdirSync(join(folder, 'closed'), { mode: 0o500 })
    mkdirSync(join(folder, 'folder'))
    file('there.jsonl', '')
    for (const name of ['cdr.jsonl', 'not/yet/there/cdr.jsonl', 'there.jsonl'])
      assert.equal(await doubt(name), fine)
    const why = 'cannot be written by this user'
    assert.equal(await doubt('s.ts/records/cdr.jsonl'), `${why}: ENOTDIR: ${script}`)
    assert.equal(await doubt('folder'), `${why}: EISDIR: ${join(folder, 'folder')}`)
    if (process.getuid?.() !== 0)
      assert.equal(await doubt('closed/x/cdr.jsonl'), `${why}: EACCES: ${join(folder, 'closed')}`)
  })
  it('asks the script itself', async () => {
    const path = file('script.yaml', 'script: { path: s.ts }')
    const fault = { what: 'throws', where: 'lib/routes.ts:3:7' }
    const check: CheckScript = (p) => Promise.resolve({ faults: p === script ? [fault] : [], doubts: [] })
    const { code, out } = await run(['check', '-c', path], check)
    assert.equal(code, 78)
    assert.equal(out, `${join(folder, 'lib/routes.ts')}:3:7 — throws\n`)
  })
  it('names faults of the configuration and of the script at once', async () => {
    const path = file('both.yaml', 'logg: {}\nscript: { path: s.ts }\n')
    const check: CheckScript = () =>
      Promise.resolve({ faults: [{ what: 'never loads', where: null }], doubts: [] })
    const { code, out } = await run(['check', '-c', path], check)
    assert.equal(code, 78)
    assert.equal(
      out,
      `${path}:1:1 logg — is not a key of the configuration; did you mean log?\n${script}:1:1 — never loads\n`,
    )
  })
  it('warns of what a script most likely does not mean, and is content', async () => {
    const path = file('doubt.yaml', 'script: { path: s.ts }')
    const doubts = [{ what: 'INVIT is no method', where: 's.ts:3:7' }]
    const { code, out } = await run(['check', '-c', path], () => Promise.resolve({ faults: [], doubts }))
    assert.equal(code, 0)
    assert.equal(out, `warning: ${script}:3:7 — INVIT is no method\n${path}: no fault\n`)
  })
  it('prints JSON for programs', async () => {
    const path = file('json.yaml', 'script: { path: s.ts }\nnumbering: { realm: x }\nx: 1')
    const { code, out } = await run(['check', '-c', path, '--format', 'json'])
    const report = JSON.parse(out) as {
      ok: boolean
      faults: { path: string }[]
      warnings: { path: string; line: number }[]
    }
    assert.equal(code, 78)
    assert.equal(report.ok, false)
    assert.deepEqual(
      report.faults.map((f) => f.path),
      ['x'],
    )
    assert.deepEqual(
      report.warnings.map((w) => `${w.line} ${w.path}`),
      ['2 numbering'],
    )
  })
  it('shows control characters in a key as text', async () => {
    const path = file('esc.yaml', 'script: { path: s.ts }\n"\\e[2Jx": 1')
    const { out } = await run(['check', '-c', path])
    assert.ok(out.includes(String.raw`\x1b[2Jx`) && !out.includes('\x1b'), out)
  })
})

describe('usage', () => {
  for (const argv of [['chek'], ['check', '--format', 'xml'], ['check', '--nope'], []]) {
    it(`siphon ${argv.join(' ')} ends with 2`, async () => assert.equal((await run(argv)).code, 2))
  }
  it('help ends with 0', async () => {
    const { code, out } = await run(['--help'])
    assert.equal(code, 0)
    assert.match(out, /check/)
  })
  it('--version is that of the package, and ends with 0', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    assert.deepEqual(await run(['--version']), { code: 0, out: `${version}\n`, err: '' })
  })
  it('is silent when whoever reads has had enough', () => {
    const { stderr } = spawnSync('sh', ['-c', `'${process.execPath}' src/bin/siphon.ts schema | head -1`], {
      cwd: new URL('../..', import.meta.url),
      encoding: 'utf8',
    })
    assert.equal(stderr, '')
  })
  it('a mistake of ours ends with 70', async () => {
    const path = file('internal.yaml', 'script: { path: s.ts }')
    const { code, err } = await run(['check', '-c', path], () => Promise.reject(new Error('boom')))
    assert.equal(code, 70)
    assert.match(err, /internal error: Error: boom/)
  })
})
