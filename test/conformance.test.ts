import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, it } from 'node:test'

const root = resolve(import.meta.dirname, '..')

describe('docs/conformance.md', () => {
  it('names tests that exist', () => {
    const rows = readFileSync(resolve(root, 'docs/conformance.md'), 'utf8')
      .split('\n')
      .flatMap((line) => /^\|.*\| `(test\/[^`]+)`: (.+) \|$/.exec(line)?.slice(1) ?? [])
    const missing: string[] = []
    for (let i = 0; i < rows.length; i += 2) {
      const [file = '', name = ''] = rows.slice(i, i + 2)
      const text = readFileSync(resolve(root, file), 'utf8')
      if (!text.includes(`'${name}'`)) missing.push(`${file}: ${name}`)
    }
    assert.deepEqual(missing, [])
    assert.ok(rows.length > 100, `${rows.length / 2} rows`)
  })

  it('has every rule in a row of three columns', () => {
    const table = readFileSync(resolve(root, 'docs/conformance.md'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| '))
    for (const line of table) {
      if (line.startsWith('| rule') || line.startsWith('| ---')) continue
      assert.match(line, /^\| [^|]+ \| [^|]* ?\| `test\/[^`]+`: [^|]+ \|$/)
    }
  })
})
