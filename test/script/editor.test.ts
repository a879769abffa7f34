import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { editorConfig } from '../../src/script/editor.ts'

const TSC = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))

it('a script outside the checkout is checked against the API', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'siphon-editor-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'tsconfig.json'), editorConfig())
  const check = (handler: string): string => {
    writeFileSync(join(folder, 'script.ts'), `import { proxy } from 'siphon'\nproxy.onRequest(${handler})\n`)
    return spawnSync(process.execPath, [TSC, '-p', folder], { encoding: 'utf8' }).stdout
  }
  assert.equal(check('(request) => request.relay()'), '')
  assert.match(check('(request) => { request.relay() }'), /script\.ts\(2,17\): error TS2345/)
})
