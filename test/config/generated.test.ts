import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { schemaText } from '../../src/cli/schema.ts'
import { supported, type SchemaNode } from '../../src/config/json-schema.ts'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

function leafNames(node: SchemaNode): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => [key, ...leafNames(child)])
}

describe('what is generated from the schema', () => {
  it('schema/siphon.schema.json is `siphon schema`', () => {
    assert.equal(read('schema/siphon.schema.json'), schemaText('json'))
  })
  it('docs/configuration.md ends with `siphon schema --format markdown`', () => {
    assert.ok(read('docs/configuration.md').endsWith(schemaText('markdown')))
  })
  it('siphon.yaml shows every key', () => {
    const source = read('siphon.yaml')
    const missing = leafNames(supported()).filter((key) => !new RegExp(`\\b${key}\\b`).test(source))
    assert.deepEqual(missing, [])
  })
})
