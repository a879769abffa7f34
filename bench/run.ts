/**
 * CPU per call through a record-routing proxy, SIPhon beside Kamailio when it is installed:
 *
 *     npm run bench -- [--rates 500,1000] [--secs 10] [--warm 40] [--rounds 3] [--only siphon|kamailio]
 *
 * Each subject is first called for `--warm` seconds: transactions linger for 32 s, and only then does a server hold what it holds for
 * good; and V8 compiles for half a minute what it runs for months.
 *
 * INVITE-180-200-ACK-BYE-200 over UDP on loopback with sipp at fixed rates. Subjects alternate within each round, because the
 * machine's speed drifts: quote the ratios, not the absolute figures. "bare" has the four ways off; "full" has metrics (scraped
 * each second), the admin API, CDRs to a file and HEP over UDP on; Kamailio's equivalents are siptrace HEP, dialog and acc.
 */
import { createSocket } from 'node:dgram'
import { parseArgs } from 'node:util'
import { cpuSeconds, installed, residentBytes } from '../test/support/programs.ts'
import { median, percentile, runCaller, startCallee } from '../test/support/sipp.ts'
import { HEP_PORT, kamailio, siphon, type Subject } from './subjects.ts'

interface Figure {
  readonly cpuUs: number
  readonly failed: number
  readonly retransmissions: number
  readonly p50: number
  readonly p99: number
  readonly rssMb: number
  readonly hepPackets: number
}

const { values } = parseArgs({
  options: {
    rates: { type: 'string', default: '500,1000' },
    secs: { type: 'string', default: '10' },
    warm: { type: 'string', default: '40' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
  },
})
const rates = values.rates.split(',').map(Number)
const secs = Number(values.secs)
const warm = Number(values.warm)
const rounds = Number(values.rounds)

if (!installed('sipp')) {
  console.error('bench: sipp is not installed (Debian: sip-tester)')
  process.exit(1)
}
const subjects = [kamailio('bare'), siphon('bare'), kamailio('full'), siphon('full')].filter(
  (s) =>
    (!values.only || s.name.startsWith(values.only)) &&
    (!s.name.startsWith('kamailio') || installed('kamailio')),
)

let hepPackets = 0
const sink = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 })
sink.on('message', () => hepPackets++)
await new Promise<void>((done) => sink.bind(HEP_PORT, '127.0.0.1', done))

async function measure(subject: Subject, rate: number): Promise<Figure> {
  const server = await subject.start()
  const callee = startCallee(subject.calleePort)
  const full = subject.name === 'siphon full'
  const scraper = setInterval(() => {
    if (full)
      void fetch('http://127.0.0.1:15464/metrics')
        .then((r) => r.arrayBuffer())
        .catch(() => undefined)
  }, 1_000)
  try {
    const common = { target: `127.0.0.1:${subject.port}`, localPort: subject.port - 10, rate }
    await runCaller({ ...common, calls: rate * warm })
    hepPackets = 0
    const before = cpuSeconds(server.pid)
    const calls = rate * secs
    const result = await runCaller({ ...common, calls })
    await new Promise((done) => setTimeout(done, 500))
    return {
      cpuUs: ((cpuSeconds(server.pid) - before) / calls) * 1e6,
      failed: result.failed + (calls - result.successful - result.failed),
      retransmissions: result.retransmissions,
      p50: percentile(result.responseTimes, 0.5),
      p99: percentile(result.responseTimes, 0.99),
      rssMb: residentBytes(server.pid) / 1e6,
      hepPackets: hepPackets / calls,
    }
  } finally {
    clearInterval(scraper)
    await callee.stop('SIGKILL')
    await server.stop('SIGTERM', 3_000)
  }
}

for (const rate of rates) {
  const figures = new Map<Subject, Figure[]>(subjects.map((s) => [s, []]))
  for (let round = 0; round < rounds; round++) {
    for (const subject of subjects) {
      const figure = await measure(subject, rate)
      figures.get(subject)?.push(figure)
      console.error(`round ${round + 1}  ${subject.name} at ${rate}/s: ${figure.cpuUs.toFixed(0)} µs a call`)
    }
  }
  const of = (name: string, field: keyof Figure): number[] =>
    [...figures].filter(([s]) => s.name === name).flatMap(([, fs]) => fs.map((f) => f[field]))
  console.log(`\n${rate} calls/s, ${secs} s after ${warm} s, median of ${rounds}`)
  console.log('subject          µs CPU a call   failed   retrans.   p50 ms   p99 ms   RSS MB   HEP a call')
  for (const { name } of subjects) {
    const m = (field: keyof Figure): number => median(of(name, field))
    console.log(
      `${name.padEnd(16)} ${m('cpuUs').toFixed(0).padStart(13)} ${String(m('failed')).padStart(8)} ` +
        `${String(m('retransmissions')).padStart(10)} ${m('p50').toFixed(1).padStart(8)} ${m('p99').toFixed(1).padStart(8)} ` +
        `${m('rssMb').toFixed(0).padStart(8)} ${m('hepPackets').toFixed(1).padStart(12)}`,
    )
  }
  const ratio = (a: string, b: string): string => {
    const pairs = of(a, 'cpuUs').map((v, i) => v / (of(b, 'cpuUs')[i] ?? Number.NaN))
    return `${a} / ${b}: ${median(pairs).toFixed(2)} (${pairs.map((p) => p.toFixed(2)).join(' ')})`
  }
  const has = (name: string): boolean => subjects.some((s) => s.name === name)
  if (has('kamailio full') && has('siphon full')) console.log(ratio('siphon full', 'kamailio full'))
  if (has('kamailio bare') && has('siphon bare')) console.log(ratio('siphon bare', 'kamailio bare'))
  if (has('siphon full')) console.log(ratio('siphon full', 'siphon bare'))
}
sink.close()
