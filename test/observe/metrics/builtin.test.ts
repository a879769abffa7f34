import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { everything } from './everything.ts'

const shapes = () => {
  const { reader } = everything()
  return [...reader.families(), ...reader.pulled()].map(({ shape, help }) => ({ ...shape, help }))
}

describe('the built-in metrics', () => {
  it('are the ones docs/metrics.md tells of, with their types and labels', () => {
    const page = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8')
    const told = [...page.matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]*?) ?\| (.*?) \| /gm)].map(
      ([, name, type, labels]) => {
        return `${name} ${type} ${(labels ?? '').replaceAll('`', '').trim()}`
      },
    )
    const declared = shapes().map(({ name, type, labels }) => `${name} ${type} ${labels.join(', ')}`)
    assert.deepEqual(told.toSorted(), declared.toSorted())
  })

  it('are named by the conventions of promlint', () => {
    for (const { name, type, labels, help } of shapes()) {
      assert.match(name, /^(siphon|process|nodejs)_[a-z][a-z0-9_]*$/, name)
      assert.equal(name.endsWith('_total'), type === 'counter', `${name}: _total is for counters`)
      assert.doesNotMatch(name, /_(count|sum|bucket|counter|gauge|histogram|created)$/, name)
      assert.doesNotMatch(
        name,
        /_(ms|milliseconds|minutes|kilobytes|kb|mb|percent)(_|$)/,
        `${name}: base units`,
      )
      if (type === 'histogram') assert.match(name, /_(seconds|bytes)$/, name)
      for (const label of labels) assert.match(label, /^[a-z][a-z_]*$/, name)
      assert.ok(help.length > 10 && !help.endsWith('.'), name)
    }
  })
})
