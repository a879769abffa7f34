import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { FileWatch } from '../../src/base/file-watch.ts'
import { until } from '../support/programs.ts'

function room(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'siphon-watch-'))
  const told: string[] = []
  const watch = new FileWatch((file) => void told.push(file))
  t.after(() => {
    watch.close()
    rmSync(folder, { recursive: true })
  })
  const write = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  }
  return { told, watch, write }
}

describe('watching files', () => {
  it('tells which file has changed, once, and not of one that was written as it was', async (t) => {
    const { told, watch, write } = room(t)
    const [a, b] = [write('a', '1'), write('b', '1')]
    await watch.begin([a])
    await watch.follow([a, pathToFileURL(b).href])
    assert.deepEqual(told, [])
    write('a', '1')
    write('b', '2')
    await until('the change to be told', () => told.length > 0)
    assert.deepEqual(told, [b])
    await watch.begin([a])
    await watch.follow([a, b])
    assert.deepEqual(told, [b])
  })

  it('tells at once what has changed while the files were read', async (t) => {
    const { told, watch, write } = room(t)
    const a = write('a', '')
    await watch.begin([a])
    write('a', 'the rest of it')
    await watch.follow([a])
    assert.deepEqual(told, [a])
  })
})
