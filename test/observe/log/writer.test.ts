import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createLogWriter, type LogOptions } from '../../../src/observe/log/writer.ts'
import type { LogLine } from '../../../src/spine/facts.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function lab(options: Partial<LogOptions> = {}) {
  const clock = new FakeClock()
  const out: string[] = []
  const sink = { write: (text: string) => void out.push(text), close: () => Promise.resolve(), dropped: 0 }
  const writer = createLogWriter({ level: 'info', format: 'json', clock, sink, color: false, ...options })
  const say = (text: string, more: Partial<LogLine> = {}): void =>
    writer.write({ level: 'info', module: 'engine', text, fields: null, at: clock.wallTime(), ...more })
  return { clock, out, writer, say }
}

describe('the log as JSON', () => {
  it('is one object a line, with fields that cannot take the place of ours', () => {
    const { out, say } = lab()
    say('two\nlines', { level: 'warn', fields: { call_id: 'x', msg: 'forged', level: 'forged', time: 1 } })
    assert.equal(out.length, 1)
    assert.equal(out[0]!.trimEnd().includes('\n'), false)
    assert.deepEqual(JSON.parse(out[0]!), {
      level: 'warn',
      time: '2026-01-01T00:00:00.000Z',
      module: 'engine',
      call_id: 'x',
      msg_: 'forged',
      level_: 'forged',
      time_: 1,
      msg: 'two\nlines',
    })
  })
  it('has nothing in it that a terminal obeys, and means the same', () => {
    const { out, say } = lab()
    const text = 'a\x1b[2J\x7f\x9b2J\u2028\u202e\ud800é'
    say(text, { fields: { [text]: text } })
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(out[0]!.trimEnd(), /[\x00-\x1f\x7f-\x9f\u2028\u202e]/)
    const line = JSON.parse(out[0]!) as Record<string, unknown>
    assert.deepEqual([line['msg'], line[text]], [text, text])
  })
  it('holds back what is less severe than the level', () => {
    const { out, say, writer } = lab({ level: 'warn' })
    say('a')
    say('b', { level: 'error' })
    writer.setLevel('debug')
    say('c', { level: 'debug' })
    assert.deepEqual(
      out.map((l) => (JSON.parse(l) as { msg: string }).msg),
      ['b', 'c'],
    )
  })
})

describe('the log for people', () => {
  it('is one line a message, with nothing that a terminal obeys', () => {
    const { out, say } = lab({ format: 'pretty' })
    say('bad \x1b[2J\r\nINFO forged \u202e', {
      fields: { from: 'a\nb\x1b', deep: { list: ['\x07'], 'k\n': 1 } },
    })
    const text = out.join('')
    assert.match(text, /engine: bad \\x1b\[2J\\r\\nINFO forged \\u202e/)
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(text.slice(0, -1), /[\x00-\x1f\x7f\u202e]/)
    assert.ok(text.endsWith('\n'))
  })
})

describe('repeated lines', () => {
  it('pass ten times in ten seconds, and are summed up at their end', () => {
    const { clock, out, say } = lab()
    for (let i = 0; i < 500; i++) say('queue full')
    say('other')
    assert.equal(out.length, 11)
    clock.advance(10_000)
    assert.equal((JSON.parse(out[11]!) as { msg: string }).msg, 'queue full (490 more times in 10 s)')
    assert.equal(clock.pendingTimers, 0)
    say('queue full')
    assert.equal(out.length, 13)
  })
  it('are summed up before the log is closed, leaving no timer', async () => {
    const { clock, out, say, writer } = lab()
    for (let i = 0; i < 12; i++) say('x')
    await writer.close()
    say('too late')
    assert.equal((JSON.parse(out.at(-1)!) as { repeated: number }).repeated, 2)
    assert.equal(clock.pendingTimers, 0)
  })
  it('of ever new texts are bounded as well', () => {
    const { clock, out, say } = lab()
    for (let i = 0; i < 5000; i++) say(`text ${i}`)
    assert.equal(out.length, 1000)
    clock.advance(10_000)
    assert.match(out.at(-1)!, /4000 further lines of other texts/)
  })
  it('at level debug pass all', () => {
    const { out, say } = lab({ level: 'debug' })
    for (let i = 0; i < 50; i++) say('x', { level: 'debug' })
    assert.equal(out.length, 50)
  })
})

describe('standard output', () => {
  const folder = mkdtempSync(join(tmpdir(), 'siphon-log-'))
  after(() => rmSync(folder, { recursive: true }))
  const source = fileURLToPath(new URL('../../../src/observe/log/writer.ts', import.meta.url))
  const clock = fileURLToPath(new URL('../../../src/base/clock.ts', import.meta.url))
  it('has every line once the log is closed', () => {
    const script = `
      import { createLogWriter } from ${JSON.stringify(source)}
      import { systemClock } from ${JSON.stringify(clock)}
      const log = createLogWriter({ level: 'info', format: 'pretty', clock: systemClock })
      for (let i = 0; i < 500; i++) log.write({ level: 'info', module: 'm', text: 'line ' + i, fields: null, at: Date.now() })
      await log.close()
      process.exit(0)`
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    })
    assert.equal(stderr, '')
    assert.equal(stdout.split('\n').filter((l) => /INFO: m: line \d+$/.test(l)).length, 500)
  })
  it('that nobody reads does not keep the process from ending', () => {
    const script = `
      import { createLogWriter } from ${JSON.stringify(source)}
      import { systemClock } from ${JSON.stringify(clock)}
      const log = createLogWriter({ level: 'debug', format: 'json', clock: systemClock })
      const started = performance.now()
      for (let i = 0; i < 20_000; i++) log.write({ level: 'debug', module: 'm', text: 'x'.repeat(500), fields: null, at: 0 })
      await log.close()
      process.stderr.write(JSON.stringify({ dropped: log.dropped }))
      process.exit(0)`
    spawnSync('mkfifo', [join(folder, 'ended')])
    // The reader waits for the writer's end instead of reading: the pipe stays full.
    const command = `{ "$1" --input-type=module -e "$2"; echo > "$3"; } | cat "$3"`
    const { stderr } = spawnSync(
      'sh',
      ['-c', command, 'sh', process.execPath, script, join(folder, 'ended')],
      { encoding: 'utf8', timeout: 20_000 },
    )
    assert.ok((JSON.parse(stderr) as { dropped: number }).dropped > 1000, stderr)
  })
})
