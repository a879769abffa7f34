import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Exposition } from '../../src/observe/metrics/exposition.ts'
import type { Format } from '../../src/observe/metrics/negotiate.ts'
import { everything } from '../observe/metrics/everything.ts'

const has = (command: string, args: string[]): boolean => spawnSync(command, args).status === 0
const promtool = has('promtool', ['--version']) ? false : 'promtool is not installed'
const python = has('/usr/bin/python3', ['-c', 'import prometheus_client'])
  ? false
  : 'python3 with prometheus_client is not installed'
const omCheck = fileURLToPath(new URL('./tools/om_check.py', import.meta.url))

const judge = (command: string, args: string[], input: string): void => {
  const { status, stdout, stderr } = spawnSync(command, args, { input, encoding: 'utf8' })
  assert.equal(status, 0, `${stdout}${stderr}`)
}

/** Everything the server has, and script metrics that try to break the format. */
const exposition = (format: Format): string => {
  const { reader, writer } = everything()
  const script = writer('worker-1', 'script')
  const odd = script.counter('odd_total', 'Odd "values", \\ and\nlines', { labels: ['value'] })
  for (const value of [
    '',
    '"',
    '\\',
    '\n',
    '\\n',
    '\0',
    '\r',
    '\ud800',
    '€ 😀',
    '__proto__',
    '{a="b"}',
    'x'.repeat(999),
  ]) {
    odd.labels({ value }).inc(0.1)
  }
  script
    .histogram('sizes_bytes', 'Sizes', { buckets: [1e-7, 0.5, 1, 1e9], labels: ['of'] })
    .labels({ of: 'a b' })
    .observe(3)
  script.gauge('huge_ratio', 'Huge').set(1e300)
  return new Exposition(reader).render(format)
}

describe('other programs read our metrics', () => {
  it('promtool check metrics', { skip: promtool }, () =>
    judge('promtool', ['check', 'metrics'], exposition('text')),
  )
  it('om_check.py, text 0.0.4', { skip: python }, () =>
    judge('/usr/bin/python3', [omCheck], exposition('text')),
  )
  it('om_check.py, OpenMetrics', { skip: python }, () =>
    judge('/usr/bin/python3', [omCheck, '--om'], exposition('openmetrics')),
  )
})
