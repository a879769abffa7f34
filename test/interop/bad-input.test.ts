import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { mkdtempSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { missing, residentBytes, root, start, until } from '../support/programs.ts'
import { RawPhone, requestText, startSiphon, type Siphon } from '../support/siphon.ts'

/** Answers everything but what is the registrar's, so that what is refused was refused by the stack. */
const answerAll = `import { proxy, registrar } from 'siphon'
proxy.onRequest((request) => (request.method === 'REGISTER' ? registrar.save(request) : request.reply(200)))
`
const tools = `${root}/test/interop/tools`

async function python(tool: string, ...args: string[]): Promise<{ code: number | null; output: string }> {
  const running = start('python3', [`${tools}/${tool}`, ...args])
  const code = await running.exited
  return { code, output: running.output() }
}

interface Outcome {
  readonly name: string
  readonly got: number | 'none'
  readonly conn: string
}

/** Runs stand side by side and answers go to the port that a file's Via names: each run has an address of its own. */
let sources = 9

/** Sends each file of a corpus to a fresh server; rejects when an answer is not what the RFC allows. */
async function torture(corpus: string, ...flags: string[]): Promise<Outcome[]> {
  const siphon = await startSiphon({ script: answerAll })
  const json = join(mkdtempSync(join(tmpdir(), 'torture-')), 'out.json')
  try {
    // Its wait for an answer, 1.2 s, is longer than the server's for the end of a head, or of a body without Content-Length.
    const args = [`${root}/test/fixtures/${corpus}`, '--target', siphon.target, '--json', json]
    args.push('--src', `127.0.0.${sources++}`)
    const { code, output } = await python('torture_run.py', ...args, ...flags)
    assert.equal(code, 0, output)
    const outcomes = JSON.parse(readFileSync(json, 'utf8')) as Outcome[]
    return outcomes.map(({ name, got, conn }) => ({ name, got, conn }))
  } finally {
    await siphon.stop('SIGKILL')
  }
}

// Side by side: most of their time they wait for answers that must not come.
const torturing = { skip: missing('python3'), concurrency: true }

describe('torture messages: the answer that the RFC names', torturing, () => {
  for (const [corpus, files] of [
    ['rfc4475', 49],
    ['rfc5118', 12],
  ] as const) {
    it(`${corpus} over UDP`, async () => {
      assert.equal((await torture(corpus)).length, files)
    })
    it(`${corpus} over TCP, and byte by byte to the same end`, async () => {
      const whole = await torture(corpus, '--tcp')
      assert.equal(whole.length, files)
      // The head of this one never ends, but what is there of it is broken already.
      if (corpus === 'rfc4475') assert.equal(whole.find(({ name }) => name === 'baddn')?.got, 400)
      // The body of this one ends with silence, and its connection is there for the answer.
      const { got, conn } = whole.find(({ name }) => name === 'inv2543') ?? {}
      if (corpus === 'rfc4475') assert.deepEqual([got, conn], [200, 'open'])
      assert.deepEqual(await torture(corpus, '--tcp', '--bytewise'), whole)
    })
  }
})

describe('attacks: no crash, no growth, others are served', { skip: missing('python3') }, () => {
  let siphon: Siphon
  let phone: RawPhone
  let live = 0
  before(async () => {
    siphon = await startSiphon({ script: answerAll })
    phone = await RawPhone.open()
    // A server that has been busy: what it needs for that is no growth.
    await python('attack.py', 'reader', '--target', siphon.target, '-n', '50', '--secs', '3')
    live = await siphon.metric('siphon_memory_allocated_bytes')
  })
  after(async () => {
    phone.close()
    await siphon.stop('SIGKILL')
  })
  const alive = async (): Promise<void> =>
    assert.equal(await phone.ask(requestText('OPTIONS', 'sip:ping@127.0.0.1'), siphon.sip), 200)

  for (const [name, ...args] of [
    ['framing'],
    ['smuggle'],
    ['slowloris', '-n', '200', '--secs', '3'],
    ['bigcl', '-n', '50', '--secs', '3'],
    ['nocrlf', '-n', '10', '--secs', '3'],
    // More at once than the handlers' queue holds: what comes by UDP has room all the same.
    ['reader', '-n', '50', '--secs', '3'],
  ] as const) {
    it(name, async () => {
      const { code, output } = await python(
        'attack.py',
        name,
        '--target',
        siphon.target,
        '--pid',
        String(siphon.process.pid),
        ...args,
      )
      assert.equal(code, 0, output)
      await alive()
    })
  }

  it('redos', async () => {
    // It compares times: a pause of the machine looks the same as a slow parser, but does not come back at the same place.
    const suspects = async (): Promise<readonly string[]> => {
      const { output } = await python('attack.py', 'redos', '--target', siphon.target)
      const { suspects } = JSON.parse(output) as { suspects: readonly (readonly unknown[])[] }
      return suspects.map(([header, pattern]) => `${String(header)} ${String(pattern)}`)
    }
    let slow = await suspects()
    for (let more = 0; slow.length > 0 && more < 2; more++) {
      const again = await suspects()
      slow = slow.filter((s) => again.includes(s))
    }
    assert.deepEqual(slow, [])
    await alive()
  })

  it('random bytes over UDP and TCP', async () => {
    const socket = createSocket('udp4')
    const resident = residentBytes(siphon.process.pid)
    for (let i = 0; i < 5_000; i++) {
      socket.send(randomBytes(1 + (i % 1_400)), siphon.sip, '127.0.0.1')
      if (i % 100 === 0) await new Promise((done) => setImmediate(done))
    }
    for (let i = 0; i < 50; i++) {
      const peer = connect(siphon.sip, '127.0.0.1')
      peer.on('error', () => undefined)
      peer.end(randomBytes(5_000))
    }
    await alive()
    socket.close()
    assert.ok(residentBytes(siphon.process.pid) - resident < 128e6)
    assert.ok((await siphon.sum('siphon_malformed_messages_total')) > 0)
  })

  for (const [what, headers] of [
    ['a header field of 60 kB', [`Subject: ${'a'.repeat(60_000)}`]],
    ['six thousand header fields', Array.from({ length: 6_000 }, (_, i) => `X-${i}: 1`)],
  ] as const) {
    it(`${what} is answered with 513 over UDP and over TCP`, async () => {
      assert.equal(await phone.ask(requestText('OPTIONS', 'sip:a@127.0.0.1', { headers }), siphon.sip), 513)
      const peer = connect(siphon.sip, '127.0.0.1')
      const answer = reading(peer)
      peer.write(requestText('OPTIONS', 'sip:a@127.0.0.1', { headers }).replaceAll('OWN', '127.0.0.1:9'))
      await until('the answer', () => answer().startsWith('SIP/2.0 513 '))
      // Where the next message begins cannot be told: the server ends the connection.
      await until('the end', () => peer.readableEnded)
      await alive()
    })
  }

  it('a peer that never reads is cut when 1 MB waits for it', async () => {
    const resident = residentBytes(siphon.process.pid)
    const peer = connect({ port: siphon.sip, host: '127.0.0.1', readableHighWaterMark: 1 } as never)
    let closed = false
    peer.on('error', () => undefined)
    peer.on('close', () => (closed = true))
    peer.pause()
    const port = await until('to connect', () => peer.localPort)
    // The answer repeats the From field: large answers fill the kernel's buffers with few requests.
    const from = `sip:${'a'.repeat(8_000)}@127.0.0.1`
    const end = performance.now() + 15_000
    for (let sent = 0; !closed && performance.now() < end; sent++) {
      const text = requestText('OPTIONS', 'sip:a@127.0.0.1', { from }).replaceAll('OWN', '127.0.0.1:9')
      if (!peer.write(text)) await Promise.race([drained(peer), new Promise((done) => setTimeout(done, 100))])
      if (sent % 20 === 0) await new Promise((done) => setTimeout(done, 1))
    }
    assert.ok(closed)
    await until('the reason in the log', () =>
      siphon.process
        .output()
        .split('\n')
        .some((l) => l.includes('the peer does not read') && l.includes(`127.0.0.1:${port}"`)),
    )
    assert.ok(residentBytes(siphon.process.pid) - resident < 128e6)
    await alive()
  })

  it('leaves no connection behind', async () => {
    await until(
      'all connections to end',
      async () => (await siphon.sum('siphon_connections_active')) === 0,
      20_000,
    )
    // The figure is that of the last full collection, which may have been in the midst of it: work brings the next one. One
    // request again and again: new ones would be remembered for 32 s each.
    const again = requestText('OPTIONS', 'sip:ping@127.0.0.1')
    await until(
      'memory to be back',
      async () => {
        for (let i = 0; i < 2_000; i++) {
          phone.send(again, siphon.sip)
          if (i % 50 === 0) await new Promise((done) => setImmediate(done))
        }
        await alive()
        return (await siphon.metric('siphon_memory_allocated_bytes')) - live < 64e6
      },
      60_000,
    )
  })
})

/** Puts what peers say into everything that is written: log, labels, records, answers. */
const gossip = `import { cdr, log, metrics, proxy, registrar } from 'siphon'
const said = metrics.counter('said_total', 'What peers say', { labels: ['agent', 'from'] })
proxy.onRequest((request) => {
  if (request.method === 'REGISTER') return registrar.save(request)
  const agent = request.userAgent ?? ''
  const from = request.getHeader('from') ?? ''
  said.labels({ agent, from }).inc()
  log.info(\`from \${from} by \${agent}\`, { agent, [agent]: from, call: request.callId })
  if (request.method !== 'INVITE') return request.reply(200)
  cdr.write(request, { extra: { agent, from, [\`x \${agent}\`]: 1 } })
  return request.reply(486)
})
`
const objectKeys = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']

describe(
  'injection: what a peer says stays a value wherever it is written',
  { skip: missing('python3') },
  () => {
    let siphon: Siphon
    before(async () => {
      siphon = await startSiphon({ script: gossip, yaml: 'log: { level: debug, format: json }' })
      const { code, output } = await python('attack.py', 'inject', '--target', siphon.target)
      assert.equal(code, 0, output)
    })
    after(() => siphon.stop('SIGKILL'))

    it('records: one a line for each attempt that was a valid INVITE, and no key of a peer beside ours', async () => {
      const attempts = await siphon.sum('siphon_call_attempts_total')
      assert.ok(attempts > 50, String(attempts))
      const records = await until('all records', () => {
        const all = siphon.records()
        return all.length >= attempts ? all : null
      })
      assert.equal(records.length, attempts)
      const keys = JSON.stringify(Object.keys(records[0] ?? {}))
      for (const record of records) {
        assert.equal(JSON.stringify(Object.keys(record)), keys)
        assert.ok(String(record['call_id']).length > 0)
      }
      const text = readFileSync(join(siphon.folder, 'cdr.jsonl'))
      assert.ok(!text.includes(0x1b) && !text.includes(0) && !text.includes('\r'))
      assert.deepEqual(Buffer.from(text.toString('utf8')), text, 'valid UTF-8')
    })

    it('log: each line is one JSON object of ours', () => {
      const lines = siphon.process.output().split('\n').slice(0, -1)
      assert.ok(lines.length > 100, String(lines.length))
      for (const line of lines) {
        const entry = JSON.parse(line) as Record<string, unknown>
        assert.ok(typeof entry['level'] === 'string' && typeof entry['msg'] === 'string', line)
        assert.ok(!('forged' in entry), line)
        // oxlint-disable-next-line no-control-regex -- the very characters that must not be there
        assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f]/)
      }
    })

    it(
      'metrics: promtool and a strict reader have nothing to say',
      { skip: missing('promtool') },
      async () => {
        const body = await (await fetch(siphon.metricsUrl)).text()
        assert.match(body, /said_total\{agent="__proto__"/)
        for (const [command, ...args] of [
          ['promtool', 'check', 'metrics'],
          ['/usr/bin/python3', `${tools}/om_check.py`],
        ] as const) {
          const run = spawnSync(command, args, { input: body, encoding: 'utf8' })
          assert.equal(run.status, 0, `${run.stdout}${run.stderr}`)
        }
      },
    )

    it('addresses-of-record named as parts of every object register, are listed, and can be removed', async () => {
      const phone = await RawPhone.open()
      for (const name of objectKeys) {
        const aor = `sip:${name}@127.0.0.1`
        const text = requestText('REGISTER', 'sip:127.0.0.1', { from: aor, to: aor })
        assert.equal(await phone.ask(text, siphon.sip), 200)
      }
      phone.close()
      const list = (await siphon.admin('/admin/registrations')).body as { aor: string }[]
      assert.deepEqual(list.map((r) => r.aor).sort(), objectKeys.map((n) => `sip:${n}@127.0.0.1`).sort())
      for (const name of objectKeys) {
        const path = `/admin/registrations/${name}@127.0.0.1`
        assert.equal((await siphon.admin(path)).status, 200)
        assert.equal((await siphon.admin(path, { method: 'DELETE' })).status, 200)
        assert.equal((await siphon.admin(path)).status, 404)
      }
      assert.deepEqual((await siphon.admin('/admin/registrations')).body, [])
      assert.equal((await siphon.admin('/admin/calls')).status, 200)
    })
  },
)

function reading(peer: Socket): () => string {
  let text = ''
  peer.on('error', () => undefined)
  peer.on('data', (bytes) => (text += bytes.toString('latin1')))
  return () => text
}

function drained(peer: Socket): Promise<void> {
  return new Promise((done) => {
    peer.once('drain', done)
    peer.once('close', () => done())
  })
}
