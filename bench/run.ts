/**
 * CPU per call through a record-routing proxy, SIPhon beside Kamailio when it is installed:
 *
 *     npm run bench -- [--rates 500,1000] [--cycles 7] [--warm 40000] [--only siphon|kamailio|bare|full]
 *                      [--accounting calls|transactions]
 *
 * INVITE-180-200-ACK-BYE-200 over UDP on loopback with sipp at fixed rates. "bare" has the four ways off; "full" has metrics (scraped
 * each second), the admin API, CDRs to a file and HEP over UDP on; Kamailio's equivalents are siptrace HEP, dialog and acc, whose
 * CDRs go to a file, too (`--accounting transactions`: its two lines a call without duration instead). That they are on is counted:
 * who is "full" has sent the messages that crossed its socket to the HEP server (whose own socket loses a few) and written one
 * record a call, or the program exits with 1.
 *
 * The machine's speed drifts by a third within minutes. So all subjects are up at the same time and are called in turns of a few
 * seconds, and what is quoted is their ratio in the same cycle. A cycle takes as long as a transaction lingers: what a turn leaves to
 * be cleaned up falls into the next turn of the same subject. Before, each is called `--warm` times: V8 goes on compiling for
 * some 30,000 calls what it then runs for months.
 */
import { createSocket } from 'node:dgram'
import { parseArgs } from 'node:util'
import { cpuSeconds, installed, residentBytes, type Running } from '../test/support/programs.ts'
import { median, percentile, runCaller, startCallee } from '../test/support/sipp.ts'
import { HEP_PORT, kamailio, METRICS_PORT, siphon, type Subject } from './subjects.ts'

interface Figure {
  readonly cpuUs: number
  readonly failed: number
  readonly retransmissions: number
  readonly p50: number
  readonly p99: number
  readonly rssMb: number
  readonly hepPackets: number
  readonly records: number
}

/** What crosses the socket of a proxy for one call: INVITE, 180, 200, ACK, BYE and 200, each in and out, and its own 100. */
const MESSAGES_A_CALL = 13

interface Contestant {
  readonly subject: Subject
  readonly server: Running
  readonly figures: Figure[]
}

/** How long transactions linger over UDP (64 * T1), and so long a cycle takes. */
const CYCLE_MS = 32_000
/** Of each turn nothing is called in the last second: sipp has to start and its last calls to end. */
const REST_MS = 1_000

const { values } = parseArgs({
  options: {
    rates: { type: 'string', default: '500,1000' },
    cycles: { type: 'string', default: '7' },
    warm: { type: 'string', default: '40000' },
    only: { type: 'string' },
    accounting: { type: 'string', default: 'calls' },
  },
})
const rates = values.rates.split(',').map(Number)
const cycles = Number(values.cycles)
const warm = Number(values.warm)

if (!installed('sipp')) {
  console.error('bench: sipp is not installed (Debian: sip-tester)')
  process.exit(1)
}
const { accounting } = values
if (accounting !== 'calls' && accounting !== 'transactions') {
  console.error(`bench: --accounting is 'calls' or 'transactions', not '${accounting}'`)
  process.exit(2)
}
const subjects = [kamailio('bare'), siphon('bare'), kamailio('full', accounting), siphon('full')].filter(
  (s) =>
    (!values.only || s.name.includes(values.only)) &&
    (!s.name.startsWith('kamailio') || installed('kamailio')),
)
if (subjects.length === 0) {
  console.error(`bench: nothing is called '${values.only}', or Kamailio is not installed`)
  process.exit(1)
}
const turnMs = Math.floor(CYCLE_MS / subjects.length)

let hepPackets = 0
const sink = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 })
sink.on('message', () => hepPackets++)
await new Promise<void>((done) => sink.bind(HEP_PORT, '127.0.0.1', done))

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, Math.max(0, ms)))

const call = (subject: Subject, rate: number, calls: number): ReturnType<typeof runCaller> =>
  runCaller({ target: `127.0.0.1:${subject.port}`, localPort: subject.port - 10, rate, calls })

/** One turn, of exactly `turnMs`. */
async function turn({ subject, server }: Contestant, rate: number): Promise<Figure> {
  const ends = performance.now() + turnMs
  const calls = Math.round((rate * (turnMs - REST_MS)) / 1_000)
  const scraper = setInterval(() => {
    if (subject.name === 'siphon full')
      void fetch(`http://127.0.0.1:${METRICS_PORT}/metrics`)
        .then((r) => r.arrayBuffer())
        .catch(() => undefined)
  }, 1_000)
  try {
    hepPackets = 0
    const recordsBefore = subject.records()
    const before = cpuSeconds(server.pid)
    const result = await call(subject, rate, calls)
    await sleep(ends - performance.now())
    return {
      cpuUs: ((cpuSeconds(server.pid) - before) / calls) * 1e6,
      failed: result.failed + (calls - result.successful - result.failed),
      retransmissions: result.retransmissions,
      p50: percentile(result.responseTimes, 0.5),
      p99: percentile(result.responseTimes, 0.99),
      rssMb: residentBytes(server.pid) / 1e6,
      hepPackets: hepPackets / calls,
      records: (subject.records() - recordsBefore) / calls,
    }
  } finally {
    clearInterval(scraper)
  }
}

/** All turns at one rate. */
async function compete(rate: number): Promise<Contestant[]> {
  const callees = [...new Set(subjects.map(({ calleePort }) => calleePort))].map((port) => startCallee(port))
  const contestants: Contestant[] = []
  try {
    for (const subject of subjects) contestants.push({ subject, server: await subject.start(), figures: [] })
    for (const { subject } of contestants) await call(subject, rate, warm)
    // In the first cycle falls what the calls before it have left.
    for (let cycle = 0; cycle <= cycles; cycle++) {
      const told: string[] = []
      for (const contestant of contestants) {
        const figure = await turn(contestant, rate)
        if (cycle > 0) contestant.figures.push(figure)
        told.push(`${contestant.subject.name} ${figure.cpuUs.toFixed(0)}`)
      }
      if (cycle > 0) console.error(`cycle ${cycle} at ${rate}/s, µs a call: ${told.join(', ')}`)
    }
    return contestants
  } finally {
    for (const { server } of contestants) await server.stop('SIGTERM', 3_000)
    for (const callee of callees) await callee.stop('SIGKILL')
  }
}

for (const rate of rates) {
  const contestants = await compete(rate)
  const of = (name: string, field: keyof Figure): number[] =>
    contestants.filter((c) => c.subject.name === name).flatMap((c) => c.figures.map((f) => f[field]))
  console.log(`\n${rate} calls/s, median of ${cycles} turns of ${turnMs / 1_000} s, after ${warm} calls`)
  console.log(
    'subject          µs CPU a call   failed   retrans.   p50 ms   p99 ms   RSS MB   HEP a call   records a call',
  )
  for (const { name } of subjects) {
    const m = (field: keyof Figure): number => median(of(name, field))
    const sum = (field: keyof Figure): number => of(name, field).reduce((a, b) => a + b, 0)
    console.log(
      `${name.padEnd(16)} ${m('cpuUs').toFixed(0).padStart(13)} ${String(sum('failed')).padStart(8)} ` +
        `${String(sum('retransmissions')).padStart(10)} ${m('p50').toFixed(1).padStart(8)} ${m('p99').toFixed(1).padStart(8)} ` +
        `${m('rssMb').toFixed(0).padStart(8)} ${m('hepPackets').toFixed(1).padStart(12)} ${m('records').toFixed(2).padStart(16)}`,
    )
    if (name.endsWith('full') && (m('hepPackets') < 0.95 * MESSAGES_A_CALL || m('records') < 0.99)) {
      console.error(`bench: not all that ${name} stands for was on`)
      process.exitCode = 1
    }
  }
  const ratio = (a: string, b: string): string => {
    const pairs = of(a, 'cpuUs').map((v, i) => v / (of(b, 'cpuUs')[i] ?? Number.NaN))
    return `${a} / ${b}: ${median(pairs).toFixed(2)} (${pairs.map((p) => p.toFixed(2)).join(' ')})`
  }
  const has = (name: string): boolean => subjects.some((s) => s.name === name)
  if (has('kamailio full') && has('siphon full')) console.log(ratio('siphon full', 'kamailio full'))
  if (has('kamailio bare') && has('siphon bare')) console.log(ratio('siphon bare', 'kamailio bare'))
  if (has('siphon full') && has('siphon bare')) console.log(ratio('siphon full', 'siphon bare'))
}
sink.close()
