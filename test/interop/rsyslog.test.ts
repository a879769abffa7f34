import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { callRecord } from '../support/call-record.ts'
import { accept, levelsOf, pipeline, scratch } from '../support/cdr.ts'
import { missing, start, until } from '../support/programs.ts'
import { recordsLab } from '../support/records-lab.ts'

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const listening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })

/** rsyslogd with its parser set to RFC 5424, taking messages over tcp and udp. */
async function startRsyslog(t: TestContext): Promise<{ tcp: number; udp: number; rows(): string[][] }> {
  const dir = scratch(t)
  const [tcp, udp] = [await freePort(), await freePort()]
  const out = join(dir, 'out')
  const config = join(dir, 'rsyslog.conf')
  writeFileSync(
    config,
    `global(workDirectory="${dir}" maxMessageSize="128k" parser.escapeControlCharactersOnReceive="off")
module(load="imtcp")
module(load="imudp")
template(name="row" type="string" string="%inputname%|%pri%|%timereported:::date-rfc3339%|%hostname%|%app-name%|%msgid%|%structured-data%|%msg%\\n")
ruleset(name="cdr" parser="rsyslog.rfc5424") { action(type="omfile" file="${out}" template="row") }
input(type="imtcp" address="127.0.0.1" port="${tcp}" ruleset="cdr")
input(type="imudp" address="127.0.0.1" port="${udp}" ruleset="cdr")
`,
  )
  const rsyslogd = start('rsyslogd', ['-n', '-f', config, '-i', join(dir, 'pid')])
  t.after(() => rsyslogd.stop())
  await until('rsyslogd to listen', () => listening(tcp)).catch((error: Error) => {
    throw new Error(`${error.message}\n${rsyslogd.output()}`)
  })
  const rows = (): string[][] =>
    existsSync(out)
      ? readFileSync(out, 'utf8')
          .trim()
          .split('\n')
          .map((line) => line.split('|'))
      : []
  return { tcp, udp, rows }
}

describe('rsyslog', () => {
  it(
    'takes our records over tcp and udp, with its parser set to RFC 5424',
    { skip: missing('rsyslogd') },
    async (t) => {
      const { tcp, udp, rows } = await startRsyslog(t)
      const { pipeline: p } = pipeline(t, [
        { kind: 'syslog', host: '127.0.0.1', port: tcp, transport: 'tcp' },
        { kind: 'syslog', host: '127.0.0.1', port: udp, transport: 'udp' },
      ])
      await p.start()
      accept(p, 0, 200)
      p.accept(
        callRecord({
          id: 'odd',
          userAgent: 'Zo\xc3\xab \n<134>1 - - - - - - forged \u0000"\\',
          sipReason: 'x'.repeat(5000),
        }),
      )
      assert.equal(await p.flush(10_000), true)
      await until('402 messages', () => rows().length >= 402)
      assert.equal(rows().length, 402)
      for (const input of ['imtcp', 'imudp']) {
        const mine = rows().filter(([name]) => name === input)
        assert.equal(mine.length, 201)
        for (const [, pri, time, host, app, msgid, sd] of mine) {
          assert.deepEqual([pri, host, app, msgid, sd], ['134', 'node-1', 'siphon', 'CDR', '-'])
          assert.ok(Math.abs(Date.parse(time ?? '') - Date.now()) < 60_000)
        }
        const records = mine.map(
          (row) => JSON.parse(row.slice(7).join('|')) as { id: string; user_agent: string },
        )
        assert.equal(new Set(records.map((r) => r.id)).size, 201)
        assert.equal(
          records.find((r) => r.id === 'odd')?.user_agent,
          'Zoë \n<134>1 - - - - - - forged \u0000"\\',
        )
      }
      assert.deepEqual([levelsOf(p, 0).delivered, levelsOf(p, 1).delivered], [201, 201])
    },
  )

  it('takes the records of the real server over tcp', { skip: missing('rsyslogd') }, async (t) => {
    const { tcp, rows } = await startRsyslog(t)
    const lab = await recordsLab({
      yaml: `cdr: { enabled: true, backends: [file, syslog], file: { path: cdr.jsonl }, syslog: { target: "127.0.0.1:${tcp}", transport: tcp } }`,
    })
    t.after(() => lab.close())
    lab.answers(486)
    for (let i = 0; i < 5; i++) {
      const call = lab.call('relay', { headers: [`X-Extra: {"line":"a\\nb ${i}"}`] })
      await call.final()
      const record = { answered: false, response_code: 486, disconnect_initiator: 'callee' } as const
      await lab.record(call, { ...record, extra: { line: `a\nb ${i}` } })
    }
    await until('5 messages', () => rows().length === 5)
    // What follows the fields of the header is the record, byte for byte as in the file.
    const records = rows().map((row) => JSON.parse(row.slice(7).join('|')) as unknown)
    assert.deepEqual(records, lab.siphon.records())
    for (const [, pri, , host, app, msgid] of rows())
      assert.deepEqual([pri, host, app, msgid], ['134', 'records-test', 'siphon', 'CDR'])
  })
})
