/**
 * What misbehaving collectors do to calls: p99 of INVITE to 200 with each, over p99 with good ones in the same run.
 *
 *     node bench/collectors.ts [--rate 100] [--secs 10] [--rounds 3]
 *
 * Records go to an HTTP collector and the trace to a HEP server over TCP at the same time; good and bad phases alternate,
 * because the machine's speed drifts. The bar: at most 1.2 times, or 3 ms more.
 */
import { parseArgs } from 'node:util'
import { badCollector } from '../test/support/bad-collector.ts'
import { installed, residentBytes } from '../test/support/programs.ts'
import { freePort, startSiphon } from '../test/support/siphon.ts'
import { median, percentile, runCaller, startCallee } from '../test/support/sipp.ts'
import { register } from './subjects.ts'

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '100' },
    secs: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
  },
})
const [rate, secs, rounds] = [Number(values.rate), Number(values.secs), Number(values.rounds)]

if (!installed('sipp') || !installed('python3')) {
  console.error('bench: sipp (Debian: sip-tester) and python3 are needed')
  process.exit(1)
}

const [records, trace] = [await badCollector('http'), await badCollector('tcp')]
const siphon = await startSiphon({
  yaml: `cdr: { enabled: true, backend: http, channel_size: 1000000, http: { url: "http://127.0.0.1:${records.port}/cdr" } }
tracing: { hep: { endpoint: "127.0.0.1:${trace.port}", transport: tcp, agent_id: bench } }
log: { level: warn }`,
})
const calleePort = await freePort()
const callee = startCallee(calleePort)

interface Phase {
  readonly p99: number
  readonly failed: number
  readonly retransmissions: number
}

async function phase(mode: string, calls = rate * secs): Promise<Phase> {
  // A connection that is up would not notice that nobody listens any more.
  for (const m of mode === 'refuse' ? ['rst', mode] : [mode])
    await Promise.all([records.mode(m), trace.mode(m)])
  const result = await runCaller({ target: siphon.target, localPort: await freePort(), rate, calls })
  const { retransmissions } = result
  return { p99: percentile(result.responseTimes, 0.99), failed: calls - result.successful, retransmissions }
}

try {
  await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${calleePort}`)
  await phase('ok', rate * 5) // Warm: code compiled, pools grown.
  console.log(`${rate} calls/s for ${secs} s a phase, median of ${rounds}`)
  console.log('collectors  p99 ms  good ms  ratio  failed  repeated  RSS MB')
  for (const mode of ['slow:1', 'hang', 'rst', 'refuse', 'noread']) {
    const pairs: { good: Phase; bad: Phase }[] = []
    for (let i = 0; i < rounds; i++) pairs.push({ good: await phase('ok'), bad: await phase(mode) })
    const bad = median(pairs.map((p) => p.bad.p99))
    const good = median(pairs.map((p) => p.good.p99))
    const sum = (of: (p: Phase) => number): number => pairs.reduce((n, p) => n + of(p.good) + of(p.bad), 0)
    console.log(
      [
        mode.padEnd(11),
        bad.toFixed(1).padStart(6),
        good.toFixed(1).padStart(8),
        (bad / good).toFixed(2).padStart(6),
        String(sum((p) => p.failed)).padStart(7),
        String(sum((p) => p.retransmissions)).padStart(9),
        (residentBytes(siphon.process.pid) / 1e6).toFixed(0).padStart(7),
      ].join(' '),
    )
  }
} finally {
  await callee.stop('SIGKILL')
  await siphon.stop('SIGKILL')
  await Promise.all([records.stop(), trace.stop()])
}
