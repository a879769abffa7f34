import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { missing, root, start, until, type Running } from '../support/programs.ts'
import { RawPhone, requestText } from '../support/siphon.ts'

/**
 * The README's commands as a newcomer types them: in a fresh clone, with the machine's own Node and npm and nothing of
 * this checkout. What is committed is what is tested.
 */
const [SIP, METRICS, ADMIN] = [5060, 9464, 9465]

function tcpFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer().once('error', () => done(false))
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)))
  })
}

function udpFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = createSocket('udp4').once('error', () => done(false))
    socket.bind(port, '127.0.0.1', () => socket.close(() => done(true)))
  })
}

/** Why the commands cannot be tried here; false when they can. */
async function taken(): Promise<string | false> {
  const free = [await udpFree(SIP), await tcpFree(SIP), await tcpFree(METRICS), await tcpFree(ADMIN)]
  const names = [`udp ${SIP}`, `tcp ${SIP}`, `tcp ${METRICS}`, `tcp ${ADMIN}`]
  const busy = names.filter((_, i) => free[i] === false)
  return busy.length === 0 ? false : `taken by another program: ${busy.join(', ')}`
}

/** Nothing that `npm test` has put into the environment, and no program of this checkout. */
function newcomersEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(npm_(?!config_(registry|cafile|.*proxy)$)|NODE_(?!EXTRA_CA))/i.test(name),
  )
  const path = (process.env['PATH'] ?? '').split(':').filter((folder) => !folder.includes('node_modules'))
  return { ...(Object.fromEntries(kept) as Record<string, string>), PATH: path.join(':') }
}

const folder = mkdtempSync(join(tmpdir(), 'siphon-clone-'))
const clone = join(folder, 'siphon')

/** A command line, whose process leads a group of its own: like a terminal's foreground. */
function type(line: string): Running {
  const env = Object.entries(newcomersEnvironment()).map(([name, value]) => `${name}=${value}`)
  return start('env', ['-i', ...env, 'sh', '-c', `exec ${line}`], { cwd: clone })
}

/** Ctrl-C, as a terminal does it: SIGINT to everybody in the foreground. */
function interrupt(running: Running): void {
  process.kill(-running.pid, 'SIGINT')
}

function killAll(running: Running): void {
  try {
    process.kill(-running.pid, 'SIGKILL')
  } catch {
    // Ended already.
  }
}

function records(): Record<string, unknown>[] {
  const lines = readFileSync(join(clone, 'cdr.jsonl'), 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>)
}

async function scrape(name: RegExp): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${METRICS}/metrics`)).text()
  let sum = 0
  for (const line of text.split('\n')) if (name.test(line)) sum += Number(line.slice(line.lastIndexOf(' ')))
  return sum
}

/** Sends a request over TCP; resolves with the status line of the answer. */
function askOverTcp(text: string): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(SIP, '127.0.0.1', () => {
      const own = `127.0.0.1:${socket.localPort}`
      socket.write(text.replaceAll('OWN', own).replace('SIP/2.0/UDP', 'SIP/2.0/TCP'), 'latin1')
    })
    socket.once('error', fail)
    socket.once('data', (bytes) => {
      done(bytes.toString('latin1').split('\r\n')[0] ?? '')
      socket.destroy()
    })
  })
}

const reason = missing('git', 'npm', 'node') || (await taken())

describe('quick start, in a fresh clone', { skip: reason }, () => {
  before(() => {
    const cloned = spawnSync('git', ['clone', '--quiet', root, clone], { encoding: 'utf8' })
    assert.equal(cloned.status, 0, cloned.stderr)
    const installed = spawnSync('npm', ['ci'], { cwd: clone, env: newcomersEnvironment(), encoding: 'utf8' })
    assert.equal(installed.status, 0, `${installed.stdout}${installed.stderr}`)
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('the README says what is tried here', () => {
    const blocks = [...readFileSync(join(clone, 'README.md'), 'utf8').matchAll(/```sh\n([^]*?)```/g)]
    const commands = blocks.flatMap((block) => (block[1] ?? '').trim().split('\n'))
    assert.deepEqual(commands, ['npm ci && npm start', 'npm run siphon -- demo', 'npm ci && npm test'])
  })

  it('npm start: says where to look, and it is there', async (t) => {
    const server = type('npm start')
    t.after(() => killAll(server))
    await until('it to be ready', () => server.output().includes('is ready'), 20_000).catch(() => {
      throw new Error(server.output())
    })
    const told = [
      `udp 127.0.0.1:${SIP}, tcp 127.0.0.1:${SIP}`,
      `http://127.0.0.1:${METRICS}/metrics`,
      `http://127.0.0.1:${ADMIN}/admin/stats`,
      join(clone, 'cdr.jsonl'),
    ]
    for (const text of told) assert.ok(server.output().includes(text), `${text} in: ${server.output()}`)
    assert.equal((await fetch(`http://127.0.0.1:${ADMIN}/admin/ready`)).status, 200)
    assert.equal(await scrape(/^siphon_build_info\{/), 1)

    const phone = await RawPhone.open()
    t.after(() => phone.close())
    const alice = { from: 'sip:alice@example.com', to: 'sip:alice@example.com' }
    assert.equal(await phone.ask(requestText('OPTIONS', `sip:127.0.0.1:${SIP}`), SIP), 200)
    assert.equal(await phone.ask(requestText('REGISTER', 'sip:example.com', alice), SIP), 200)
    assert.match(await askOverTcp(requestText('OPTIONS', `sip:127.0.0.1:${SIP}`)), /^SIP\/2\.0 200 /)
    const bob = { from: 'sip:bob@example.com', to: 'sip:bob@example.com' }
    assert.match(await askOverTcp(requestText('REGISTER', 'sip:example.com', bob)), /^SIP\/2\.0 200 /)
    assert.equal(await scrape(/^siphon_registrations_active /), 2)

    // Only npm hears it, as under a service manager or in a container, and must not leave the server behind.
    server.child.kill('SIGTERM')
    // Idle, it is gone in a moment: too soon to be seen draining.
    await server.exited
    await until('its ports to be free', async () => (await taken()) === false, 20_000)
  })

  it('npm run siphon -- demo: shows calls within ten seconds, and ends cleanly on Ctrl-C', async (t) => {
    const demo = type('npm run siphon -- demo')
    t.after(() => killAll(demo))
    await until('it to start', () => demo.output().includes('two simulated phones'), 20_000)
    await until(
      'answered calls in /metrics',
      async () => (await scrape(/^siphon_call_attempts_total\{result="answered"\}/)) >= 3,
    )
    await until('records in cdr.jsonl', () => records().length >= 3)
    await until('figures on the screen', () => /calls: \d+ active; .*\d+ answered/.test(demo.output()))
    await until('HEP on the screen', () => /HEP \| \d+ packets|HEP packets: [1-9]/.test(demo.output()))
    const calls = (await (await fetch(`http://127.0.0.1:${ADMIN}/admin/calls`)).json()) as unknown[]
    assert.ok(calls.length > 0)

    interrupt(demo)
    assert.equal(await demo.exited, 0, demo.output())
    assert.match(demo.output(), /the phones have stopped/)
    assert.doesNotMatch(demo.output(), /cut off|did not take|ERROR|WARN/)
    assert.equal(await taken(), false)
    // Every call has its record: none was cut off.
    assert.deepEqual(
      records().filter((record) => record['disconnect_initiator'] === 'server'),
      [],
    )
  })

  it('demo says in one line which port is taken', async (t) => {
    const blocker = createServer()
    await new Promise<void>((done) => blocker.listen(ADMIN, '127.0.0.1', done))
    t.after(() => void blocker.close())
    const demo = type('npm run --silent siphon -- demo')
    t.after(() => killAll(demo))
    assert.equal(await demo.exited, 1)
    assert.match(
      demo.output(),
      /^siphon: admin\.listen: 127\.0\.0\.1:9465 is taken by another program[^\n]*\n$/,
    )
  })
})
