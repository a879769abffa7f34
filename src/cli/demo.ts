import { fileURLToPath } from 'node:url'
import { formatAddress, type Address } from '../base/address.ts'
import type { Config } from '../config/config.ts'
import type { ConfigFault } from '../config/fault.ts'
import { loadConfig, parseConfig, type Loaded, type LoadResult } from '../config/load.ts'
import type { ServerAddresses } from '../server/server.ts'
import { startDemoCollector } from './demo-collector.ts'
import { type DemoPhones, startDemoPhones } from './demo-phones.ts'
import { EXIT } from './exit-codes.ts'
import { faultsAsText } from './faults.ts'
import { figures } from './figures.ts'
import { usable } from './run.ts'
import { serve } from './serve.ts'
import { version } from './version.ts'
import { looks, whereToLook } from './welcome.ts'

export interface DemoOptions {
  /** Null: the quick start's, in memory. */
  readonly config: string | null
  /** 0.1 … 100. */
  readonly callsPerSecond: number
}

/** How often the figures are shown, ms. */
const SHOW_MS = 3_000
/** Where the quick start's trace goes in the demo: heplify's and sngrep's usual port. */
const HEP = { host: '127.0.0.1', port: 9060 }

/** `siphon demo`: a server and two phones that call each other, until told to stop. Resolves to the exit code. */
export async function demoCommand({ config: file, callsPerSecond }: DemoOptions): Promise<number> {
  const loaded = await usable(file === null ? quickStart() : loadConfig(file, process.env))
  if (loaded === null || !suits(loaded)) return EXIT.configuration
  const { config } = loaded
  const collector = file === null ? await startDemoCollector(HEP.host, HEP.port) : null
  let phones: DemoPhones | null = null
  let show: NodeJS.Timeout | null = null
  return serve(config, {
    onReady: (addresses) => {
      say(`SIPhon ${version()} with two simulated phones\n\n${whereToLook(addresses, config)}`)
      say(['Look, in another terminal:', ...looks(addresses), '', 'Ctrl-C ends it.', ''].join('\n'))
      if (collector !== null) {
        say(
          `Nobody listens for HEP on ${formatAddress(HEP)}: the demo does, and counts. (sngrep -L first, to see more.)\n`,
        )
      }
      phones = startDemoPhones({
        server: reachable(addresses),
        domain: config.domain.local[0] ?? '',
        callsPerSecond,
        log: (line) => say(`  phones | ${line}`),
      })
      const scrape = scrapeOf(addresses, config)
      if (scrape === null) return
      show = setInterval(() => {
        scrape().then(
          (text) => {
            say(`  server | ${figures(text)}`)
            if (collector)
              say(`     HEP | ${collector.packets} packets with ${collector.calls} Call-IDs received`)
          },
          (error: unknown) => say(`  server | no figures: ${String(error)}`),
        )
      }, SHOW_MS)
    },
    beforeDrain: async () => {
      if (show !== null) clearInterval(show)
      await phones?.stop()
    },
    onStopped: () => collector?.close(),
    // Our callers have gone: nobody repeats anything that would have to be answered.
    waitFor: 'calls',
  })
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** As `npm start`, but quieter. Records go to the folder that the demo was started in. */
function quickStart(): LoadResult {
  const script = fileURLToPath(new URL('../../examples/proxy-registrar.ts', import.meta.url))
  const text = `
domain: { local: ["example.com", "127.0.0.1"] }
script: { path: ${JSON.stringify(script)} }
metrics: { prometheus: { listen: "127.0.0.1:9464" } }
admin: { listen: "127.0.0.1:9465" }
cdr: { enabled: true, file: { path: cdr.jsonl } }
tracing: { hep: { endpoint: "${formatAddress(HEP)}" } }
log: { level: warn }
`
  return parseConfig('siphon demo', text.replaceAll('$', '$$$$'), process.env)
}

/** The phones need UDP and a domain. Otherwise says what is missing. */
function suits({ config, fault }: Loaded): boolean {
  const faults: ConfigFault[] = []
  if (config.listen.udp.length === 0)
    faults.push(fault(['listen', 'udp'], 'is empty', "the demo's phones speak UDP: add a listener"))
  if (config.domain.local.length === 0)
    faults.push(fault(['domain', 'local'], 'is empty', 'the phones register at its first name: add one'))
  process.stderr.write(faultsAsText(faults, []))
  return faults.length === 0
}

/** Where the phones find the server. */
function reachable({ sip }: ServerAddresses): Address {
  const udp = sip.find(({ protocol }) => protocol === 'udp')?.address
  if (udp === undefined) throw new Error('a demo without a UDP listener')
  const anywhere: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
  return { ...udp, host: anywhere[udp.host] ?? udp.host }
}

/** Reads /metrics as anybody can; null when it is served nowhere. */
function scrapeOf({ metrics, admin }: ServerAddresses, config: Config): (() => Promise<string>) | null {
  const url = metrics ?? (admin === null ? null : `${admin}/metrics`)
  if (url === null) return null
  const token = config.admin?.auth.token ?? null
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` }
  return async () => (await fetch(url, { headers, signal: AbortSignal.timeout(SHOW_MS) })).text()
}
