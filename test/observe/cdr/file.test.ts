import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { accept, levelsOf, pipeline, scratch, until } from '../../support/cdr.ts'

function callIds(...files: string[]): string[] {
  return files.flatMap((f) => {
    const text = readFileSync(f, 'utf8')
    assert.ok(text === '' || text.endsWith('\n'), 'a torn last line')
    return text
      .split('\n')
      .filter((l) => l !== '')
      .map((l) => (JSON.parse(l) as { call_id: string }).call_id)
  })
}

const expected = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `call-${from + i}`)

describe('the CDR file', () => {
  it('holds one line a record, in order, in a folder it makes itself', async (t) => {
    const path = join(scratch(t), 'a/b/cdr.jsonl')
    const { pipeline: p } = pipeline(t, [{ kind: 'file', path, rotateSizeMb: 0 }])
    await p.start()
    accept(p, 0, 5000)
    assert.equal(levelsOf(p).queued, 5000)
    assert.equal(await p.flush(5000), true)
    assert.deepEqual(callIds(path), expected(0, 5000))
    assert.equal(levelsOf(p).delivered, 5000)
  })

  it('is renamed before it grows past its size, and no two renamed files have one name', async (t) => {
    const dir = scratch(t)
    const path = join(dir, 'cdr.jsonl')
    const { pipeline: p } = pipeline(t, [{ kind: 'file', path, rotateSizeMb: 0.01 }])
    await p.start()
    accept(p, 0, 500)
    assert.equal(await p.flush(5000), true)
    const files = readdirSync(dir).map((f) => join(dir, f))
    assert.ok(files.length > 10)
    for (const f of files) assert.ok(statSync(f).size <= 0.01 * 2 ** 20)
    assert.match(files.find((f) => f !== path) ?? '', /cdr\.jsonl\.\d{8}T\d{9}Z(-\d+)?$/)
    assert.deepEqual(callIds(...files).sort(), expected(0, 500).sort())
  })

  it('goes on in a new file when it was moved or removed, and on request', async (t) => {
    const dir = scratch(t)
    const path = join(dir, 'cdr.jsonl')
    const { pipeline: p } = pipeline(t, [{ kind: 'file', path, rotateSizeMb: 0 }])
    await p.start()
    accept(p, 0, 10)
    await p.flush(5000)
    renameSync(path, `${path}.1`)
    accept(p, 10, 10)
    await p.flush(5000)
    assert.deepEqual(callIds(`${path}.1`, path), expected(0, 20))
    renameSync(path, `${path}.2`)
    p.reopen()
    await until(() => existsSync(path))
    rmSync(dir, { recursive: true })
    accept(p, 20, 10)
    await p.flush(5000)
    assert.deepEqual(callIds(path), expected(20, 10))
  })

  it('goes on in the file that somebody has put in its place (logrotate: create)', async (t) => {
    const path = join(scratch(t), 'cdr.jsonl')
    const { pipeline: p } = pipeline(t, [{ kind: 'file', path, rotateSizeMb: 0 }])
    await p.start()
    accept(p, 0, 10)
    await p.flush(5000)
    renameSync(path, `${path}.1`)
    writeFileSync(path, '')
    accept(p, 10, 10)
    await p.flush(5000)
    assert.deepEqual(callIds(`${path}.1`), expected(0, 10))
    assert.deepEqual(callIds(path), expected(10, 10))
  })

  it('follows a truncation from outside', async (t) => {
    const path = join(scratch(t), 'cdr.jsonl')
    const { pipeline: p } = pipeline(t, [{ kind: 'file', path, rotateSizeMb: 0 }])
    await p.start()
    accept(p, 0, 10)
    await p.flush(5000)
    writeFileSync(path, '')
    accept(p, 10, 10)
    await p.flush(5000)
    assert.deepEqual(callIds(path), expected(10, 10))
  })

  it('keeps records while the path cannot be written, drops past the bound, and writes when it can again', async (t) => {
    const dir = scratch(t)
    const blocked = join(dir, 'd')
    writeFileSync(blocked, 'a file where a folder should be')
    const path = join(blocked, 'cdr.jsonl')
    const { pipeline: p, lines } = pipeline(t, [{ kind: 'file', path, rotateSizeMb: 0 }], {
      channelSize: 100,
    })
    await p.start()
    accept(p, 0, 150)
    await until(() => lines.some((l) => l.includes('ENOTDIR') || l.includes('EEXIST')))
    assert.deepEqual([levelsOf(p).queued, levelsOf(p).dropped], [100, 50])
    assert.match(
      lines.join('\n'),
      /CDR file \S+cdr\.jsonl \(cdr\.file\.path\): E[A-Z]+: .*; 100 records wait/,
    )
    rmSync(blocked)
    assert.equal(await p.flush(5000), true)
    assert.deepEqual(callIds(path), expected(0, 100))
    assert.equal(lines.filter((l) => l.includes('queue of 100 full')).length, 1)
  })

  it('repairs what a killed process left: a whole line gets its end, a torn one moves away', async (t) => {
    const path = join(scratch(t), 'cdr.jsonl')
    for (const [left, torn] of [
      ['{"call_id":"old"}\n{"call_id":"whole"}', false],
      ['{"call_id":"old"}\n{"call_id":"to', true],
      ['{"call', true],
    ] as const) {
      writeFileSync(path, left)
      rmSync(`${path}.torn`, { force: true })
      const { pipeline: p } = pipeline(t, [{ kind: 'file', path, rotateSizeMb: 0 }])
      await p.start()
      accept(p, 0, 1)
      assert.equal(await p.flush(5000), true)
      await p.close()
      const ids = callIds(path)
      assert.equal(ids.at(-1), 'call-0')
      assert.equal(ids.includes('whole'), !torn)
      assert.equal(existsSync(`${path}.torn`), torn)
    }
  })

  it('waits out a full disk without a torn line', { skip: !existsSync('/dev/full') }, async (t) => {
    const { pipeline: p, lines } = pipeline(t, [{ kind: 'file', path: '/dev/full', rotateSizeMb: 0 }])
    await p.start()
    accept(p, 0, 10)
    await until(() => lines.some((l) => l.includes('ENOSPC')))
    assert.equal(await p.flush(50), false)
    assert.equal(levelsOf(p).queued, 10)
    assert.ok(levelsOf(p).retries >= 10)
    await p.close()
    assert.equal(levelsOf(p).dropped, 10)
  })

  it('leaves no torn line when a write ends half-way', async (t) => {
    const dir = scratch(t)
    const path = join(dir, 'cdr.jsonl')
    const script = join(dir, 'write.mjs')
    const url = (file: string): string => JSON.stringify(new URL(`../../../${file}`, import.meta.url).href)
    writeFileSync(
      script,
      `const { CdrPipeline } = await import(${url('src/observe/cdr/pipeline.ts')})
      const { systemClock } = await import(${url('src/base/clock.ts')})
      const { callRecord } = await import(${url('test/support/call-record.ts')})
      const p = new CdrPipeline({ sinks: [{ kind: 'file', path: ${JSON.stringify(path)}, rotateSizeMb: 0 }], node: 'n',
        channelSize: 1000, spoolDir: ${JSON.stringify(dir)}, deadLetterPath: null, clock: systemClock, log: console.error })
      await p.start()
      for (let i = 0; i < 100; i++) p.accept(callRecord({ id: 'r-' + i, callId: 'call-' + i }))
      await p.flush(300)
      await p.close()
      console.log(JSON.stringify(p.levels()[0]))`,
    )
    // The limit stands for a full disk: the write that meets it is short, the next one fails. The signal is ignored.
    const limited = `trap '' XFSZ; ulimit -f 8; exec "${process.execPath}" --no-warnings "${script}"`
    const { stdout, stderr } = spawnSync('sh', ['-c', limited], { encoding: 'utf8' })
    const levels = JSON.parse(stdout) as { delivered: number; dropped: number }
    assert.match(stderr, /EFBIG/)
    assert.equal(levels.delivered, callIds(path).length)
    assert.ok(levels.delivered >= 5)
    // The spool meets the same limit, so the rest is lost: counted, and said.
    assert.equal(levels.dropped, 100 - levels.delivered)
    assert.match(stderr, /records not delivered at the end: dropped/)
  })

  it('waits for permission', { skip: process.getuid?.() === 0 }, async (t) => {
    const dir = join(scratch(t), 'd')
    mkdirSync(dir, { mode: 0o500 })
    const path = join(dir, 'cdr.jsonl')
    const { pipeline: p, lines } = pipeline(t, [{ kind: 'file', path, rotateSizeMb: 0 }])
    await p.start()
    accept(p, 0, 3)
    await until(() => lines.some((l) => l.includes('EACCES')))
    chmodSync(dir, 0o700)
    assert.equal(await p.flush(5000), true)
  })
})
