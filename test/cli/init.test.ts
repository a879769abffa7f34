import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { initCommand } from '../../src/cli/init.ts'
import { loadConfig } from '../../src/config/load.ts'
import { checkScript } from '../../src/server/check-script.ts'

const TSC = join(import.meta.dirname, '../../node_modules/typescript/bin/tsc')

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'siphon-init-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

function init(folder: string): { code: number; out: string; err: string } {
  const said = { out: '', err: '' }
  const code = initCommand(folder, { out: (text) => (said.out += text), err: (text) => (said.err += text) })
  return { code, ...said }
}

describe('siphon init', () => {
  it('writes a project that type-checks, whose configuration and script load', async (t) => {
    const folder = join(folderOf(t), 'new/project')
    assert.equal(init(folder).code, 0)
    assert.deepEqual(readdirSync(folder).sort(), ['script.ts', 'siphon.yaml', 'tsconfig.json'])
    assert.equal(spawnSync(process.execPath, [TSC, '-p', folder], { encoding: 'utf8' }).stdout, '')
    const loaded = loadConfig(join(folder, 'siphon.yaml'), {})
    assert.ok(loaded.ok)
    assert.deepEqual(loaded.warnings, [])
    assert.equal(loaded.config.script.path, join(folder, 'script.ts'))
    const check = await checkScript(loaded.config.script.path, { memoryLimitMb: 64 })
    assert.deepEqual(check, { faults: [], doubts: [] })
  })
  it('names the schema for editors, and says how to run it, whatever the folder is called', (t) => {
    const folder = join(folderOf(t), "Joe's project")
    const { out } = init(folder)
    const [, schema = ''] = /\$schema=(.*)/.exec(readFileSync(join(folder, 'siphon.yaml'), 'utf8')) ?? []
    assert.ok(existsSync(schema), schema)
    const [, words = ''] = / run -c (.*)\n/.exec(out) ?? []
    const echoed = spawnSync('sh', ['-c', `printf %s ${words}`], { encoding: 'utf8' }).stdout
    assert.equal(echoed, join(folder, 'siphon.yaml'))
  })
  it('makes tsc find a mistake in it', (t) => {
    const folder = folderOf(t)
    init(folder)
    const script = readFileSync(join(folder, 'script.ts'), 'utf8')
    writeFileSync(join(folder, 'script.ts'), script.replace('registrar.lookup(', 'registrar.lookUp('))
    const { stdout } = spawnSync(process.execPath, [TSC, '-p', folder], { encoding: 'utf8' })
    assert.match(stdout, /script\.ts\(\d+,\d+\): error TS2551/)
  })
  it('overwrites nothing: one file that is there, and none is written', (t) => {
    const folder = folderOf(t)
    writeFileSync(join(folder, 'script.ts'), 'mine')
    const { code, err } = init(folder)
    assert.equal(code, 1)
    assert.match(err, /^siphon: script\.ts in .*: there already, nothing was written\n$/)
    assert.deepEqual(readdirSync(folder), ['script.ts'])
    assert.equal(readFileSync(join(folder, 'script.ts'), 'utf8'), 'mine')
  })
  it('says when the folder cannot be made', (t) => {
    const folder = folderOf(t)
    writeFileSync(join(folder, 'file'), '')
    const { code, err } = init(join(folder, 'file', 'project'))
    assert.equal(code, 1)
    assert.match(err, /^siphon: .*\n$/)
  })
})
