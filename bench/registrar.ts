/**
 * A registrar at size beside calls: so many addresses-of-record, then refreshes and calls together, and the whole list read
 * over the admin API page by page meanwhile; p99 of INVITE to 200 with the reader over without it, in the same run.
 *
 *     node bench/registrar.ts [--aors 100000] [--refreshes 500] [--rate 500] [--secs 10] [--rounds 3]
 *
 * Phases with and without the reader alternate, because the machine's speed drifts. sipp's clock ticks every 4 ms.
 */
import { parseArgs } from 'node:util'
import { installed, residentBytes } from '../test/support/programs.ts'
import { registerMany } from '../test/support/register-many.ts'
import { freePort, startSiphon } from '../test/support/siphon.ts'
import { median, percentile, runCaller, startCallee } from '../test/support/sipp.ts'
import { register } from './subjects.ts'

const { values } = parseArgs({
  options: {
    aors: { type: 'string', default: '100000' },
    refreshes: { type: 'string', default: '500' },
    rate: { type: 'string', default: '500' },
    secs: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
  },
})
const [aors, refreshes, rate, secs, rounds] = [
  Number(values.aors),
  Number(values.refreshes),
  Number(values.rate),
  Number(values.secs),
  Number(values.rounds),
]

if (!installed('sipp')) {
  console.error('bench: sipp (Debian: sip-tester) is needed')
  process.exit(1)
}

const siphon = await startSiphon({ yaml: 'log: { level: warn }' })
const calleePort = await freePort()
const callee = startCallee(calleePort)

/** REGISTERs for the first `count` users, the same contacts each time; resolves with how many were answered 200. */
const registerUsers = (count: number, perSecond: number): Promise<number> =>
  registerMany({ port: siphon.sip, count, perSecond, expires: () => 3_600, contactPort: 5_999 })

/** Reads the whole list once a second until told to stop, as a provisioning system might; how often it got through. */
function reader(): { stop(): Promise<number> } {
  let over = false
  let lists = 0
  const work = (async () => {
    while (!over) {
      const begun = performance.now()
      let path: string | null = '/admin/registrations?limit=1000'
      while (path !== null && !over) {
        const page: Response = await fetch(`${siphon.adminUrl}${path}`)
        await page.arrayBuffer()
        path = /<([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1] ?? null
      }
      lists++
      await new Promise((done) => setTimeout(done, Math.max(0, begun + 1_000 - performance.now())))
    }
  })()
  return {
    stop: async () => {
      over = true
      await work
      return lists
    },
  }
}

interface Phase {
  readonly p50: number
  readonly p99: number
  readonly failed: number
  readonly retransmissions: number
  readonly registered: number
  readonly lists: number
}

async function phase(reads: boolean): Promise<Phase> {
  const reading = reads ? reader() : null
  const refreshing = registerUsers(refreshes * secs, refreshes)
  const calls = rate * secs
  const result = await runCaller({ target: siphon.target, localPort: await freePort(), rate, calls })
  const registered = await refreshing
  return {
    p50: percentile(result.responseTimes, 0.5),
    p99: percentile(result.responseTimes, 0.99),
    failed: calls - result.successful,
    retransmissions: result.retransmissions,
    registered,
    lists: (await reading?.stop()) ?? 0,
  }
}

try {
  await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${calleePort}`)
  const begun = performance.now()
  const bound = await registerUsers(aors, 3_000)
  console.log(
    `${bound} of ${aors} addresses-of-record bound, ${((bound * 1_000) / (performance.now() - begun)).toFixed(0)}/s`,
  )
  const mb = (): string => (residentBytes(siphon.process.pid) / 1e6).toFixed(0)
  console.log(`registered: ${await siphon.metric('siphon_registrations_active')}, resident ${mb()} MB`)
  await phase(false) // Warm: code compiled, pools grown.
  const ratios: number[] = []
  for (let round = 1; round <= rounds; round++) {
    const without = await phase(false)
    const beside = await phase(true)
    ratios.push(beside.p99 / without.p99)
    for (const [name, p] of [
      ['alone', without],
      ['beside the reader', beside],
    ] as const) {
      console.log(
        `round ${round} ${name}: p50 ${p.p50} ms, p99 ${p.p99} ms, ${p.failed} calls failed, ${p.retransmissions} repeated, ${p.lists} lists read, ${p.registered} of ${refreshes * secs} refreshed`,
      )
    }
  }
  console.log(`p99 beside the reader / alone: ${median(ratios).toFixed(2)}; resident ${mb()} MB`)
} finally {
  await Promise.all([callee.stop('SIGKILL'), siphon.stop('SIGKILL')])
}
