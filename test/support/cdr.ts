import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { CdrPipeline, type CdrPipelineOptions, type SinkOptions } from '../../src/observe/cdr/pipeline.ts'
import type { SinkLevels } from '../../src/observe/cdr/outbox.ts'
import { callRecord } from './call-record.ts'

export function scratch(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'siphon-test-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A pipeline on real time with short waits. Its log lines are kept. */
export function pipeline(t: TestContext, sinks: SinkOptions[], changes: Partial<CdrPipelineOptions> = {}) {
  const lines: string[] = []
  const p = new CdrPipeline({
    sinks,
    node: 'node-1',
    channelSize: 10_000,
    spoolDir: null,
    deadLetterPath: null,
    clock: systemClock,
    log: (level, text) => void lines.push(`${level} ${text}`),
    minBackoffMs: 20,
    maxBackoffMs: 100,
    ...changes,
  })
  t.after(() => p.close())
  return { pipeline: p, lines }
}

export function accept(p: CdrPipeline, from: number, count: number): void {
  for (let i = from; i < from + count; i++) p.accept(callRecord({ id: `r-${i}`, callId: `call-${i}` }))
}

/** The account of the first sink, after a check that it adds up. */
export function levelsOf(p: CdrPipeline, n = 0): SinkLevels {
  for (const l of p.levels()) {
    assert.equal(
      l.enqueued,
      l.delivered + l.retried + l.dropped + l.dead + l.spooled + l.queued,
      JSON.stringify(l),
    )
  }
  const levels = p.levels()[n]
  assert.ok(levels)
  return levels
}

/** Waits for a condition of the outside world (a socket, a file), at most `ms`. */
export async function until(what: () => boolean, ms = 5000): Promise<void> {
  const end = performance.now() + ms
  while (!what()) {
    if (performance.now() > end) assert.fail(`not within ${ms} ms: ${what.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
