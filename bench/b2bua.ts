/**
 * CPU and memory per call of the back-to-back user agent, beside our own proxy in the same run:
 *
 *     npm run bench:b2bua -- [--rate 300] [--secs 10] [--rounds 3] [--live 4000]
 *
 * INVITE-180-200-ACK-BYE-200 over UDP on loopback with sipp, the four ways off; the two alternate within each round, because
 * the machine's speed drifts: quote the ratio. Then `--live` calls are held at once, and the resident memory that they take is
 * told per call.
 */
import { writeFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cpuSeconds, installed, residentBytes, until } from '../test/support/programs.ts'
import { median, runCaller, startCallee } from '../test/support/sipp.ts'
import { siphon, type Subject } from './subjects.ts'

const folder = mkdtempSync(join(tmpdir(), 'siphon-bench-'))

/** Both do the same: contacts of who is called, and everything else by the book. */
const proxied = join(folder, 'proxy.ts')
writeFileSync(
  proxied,
  `import { proxy, registrar } from 'siphon'
proxy.onRequest(async (request) => {
  if (request.method === 'REGISTER') return registrar.save(request)
  if (request.inDialog) return request.looseRoute() ? request.relay() : request.reply(404)
  const contacts = await registrar.lookup(request.ruri)
  if (contacts.length === 0) return request.reply(404)
  request.recordRoute()
  return request.fork(contacts)
})
`,
)
const script = join(folder, 'b2bua.ts')
writeFileSync(
  script,
  `import { b2bua, proxy, registrar } from 'siphon'
proxy.onRequest('REGISTER', (request) => registrar.save(request))
proxy.onRequest((request) => request.reply(405))
b2bua.onInvite(async (call) => {
  const contacts = await registrar.lookup(call.ruri)
  return contacts.length > 0 ? call.fork(contacts) : call.reject(404)
})
`,
)

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '300' },
    secs: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
    live: { type: 'string', default: '4000' },
  },
})
const [rate, secs, rounds, live] = [values.rate, values.secs, values.rounds, values.live].map(Number) as [
  number,
  number,
  number,
  number,
]

if (!installed('sipp')) {
  console.error('bench: sipp is not installed (Debian: sip-tester)')
  process.exit(1)
}
const proxy = siphon('bare', proxied, 'proxy')
const b2bua = siphon('bare', script, 'b2bua')

/** CPU of one call, µs. */
async function cost(subject: Subject): Promise<{ readonly cpuUs: number; readonly failed: number }> {
  const server = await subject.start()
  const callee = startCallee(subject.calleePort)
  try {
    const common = { target: `127.0.0.1:${subject.port}`, localPort: subject.port - 10, rate }
    await runCaller({ ...common, calls: rate * 5 }) // Warm: code compiled, pools grown.
    const before = cpuSeconds(server.pid)
    const calls = rate * secs
    const { successful } = await runCaller({ ...common, calls })
    await new Promise((done) => setTimeout(done, 500))
    return { cpuUs: ((cpuSeconds(server.pid) - before) / calls) * 1e6, failed: calls - successful }
  } finally {
    await callee.stop('SIGKILL')
    await server.stop('SIGKILL')
  }
}

/** Resident bytes that a call takes while it is up. */
async function held(subject: Subject): Promise<number> {
  const server = await subject.start()
  const callee = startCallee(subject.calleePort)
  try {
    const common = { target: `127.0.0.1:${subject.port}`, localPort: subject.port - 10, rate }
    await runCaller({ ...common, calls: rate * 3 })
    // The transactions of the calls before live for 32 s.
    await new Promise((done) => setTimeout(done, 35_000))
    const before = residentBytes(server.pid)
    let most = before
    const watch = setInterval(() => (most = Math.max(most, residentBytes(server.pid))), 500)
    // All of them are up together once the last has begun; those that began first have shed their transactions by then.
    const holdMs = (live / rate) * 1000 + 35_000
    const calling = runCaller({ ...common, calls: live, holdMs, extra: ['-l', String(live + 100)] })
    await new Promise((done) => setTimeout(done, holdMs - 1_000))
    const now = residentBytes(server.pid)
    clearInterval(watch)
    await Promise.race([calling, until('the calls to end', () => false, 30_000).catch(() => undefined)])
    console.log(`${subject.name}: ${live} calls up, peak ${((most - before) / 1e6).toFixed(0)} MB over idle`)
    return (now - before) / live
  } finally {
    await callee.stop('SIGKILL')
    await server.stop('SIGKILL')
  }
}

const costs: Record<string, number[]> = { proxy: [], b2bua: [] }
for (let round = 0; round < rounds; round++) {
  for (const subject of [proxy, b2bua]) {
    const { cpuUs, failed } = await cost(subject)
    costs[subject.name]?.push(cpuUs)
    console.log(`${subject.name}: ${cpuUs.toFixed(0)} µs a call, ${failed} failed of ${rate * secs}`)
  }
}
const ratios = (costs['b2bua'] ?? []).map((cpu, i) => cpu / (costs['proxy']?.[i] ?? Number.NaN))
console.log(`b2bua / proxy: ${median(ratios).toFixed(2)} (${ratios.map((r) => r.toFixed(2)).join(', ')})`)
if (live > 0) console.log(`b2bua: ${((await held(b2bua)) / 1024).toFixed(1)} KiB resident for each live call`)
