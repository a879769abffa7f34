import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createSocket } from 'node:dgram'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { root, start, until, type Running } from '../test/support/programs.ts'

/** What is measured: a server before one fixed callee, with the four ways off or on. All can be up at once. */
export interface Subject {
  readonly name: string
  readonly port: number
  readonly calleePort: number
  start(): Promise<Running>
  /** Call detail records that stand in its file. */
  records(): number
}

/** Lines of a file in which `sign` stands. */
const linesWith = (file: string, sign: string): number =>
  existsSync(file)
    ? readFileSync(file, 'latin1')
        .split('\n')
        .filter((line) => line.includes(sign)).length
    : 0

/** Where HEP goes, and who counts it. */
export const HEP_PORT = 15060

/** What Kamailio's acc writes: a record a call with its duration, as SIPhon does, or a line for the INVITE and one for the BYE. */
export type Accounting = 'calls' | 'transactions'

export const kamailio = (kind: 'bare' | 'full', accounting: Accounting = 'calls'): Subject => {
  const port = kind === 'bare' ? 15080 : 15084
  const log = join(mkdtempSync(join(tmpdir(), 'kamailio-bench-')), 'log')
  return {
    name: `kamailio ${kind}`,
    port,
    calleePort: 15090,
    start: async () => {
      const config = join(root, `bench/kamailio/${kind}.cfg`)
      const listen = ['-l', `udp:127.0.0.1:${port}`]
      const defines = accounting === 'transactions' ? ['-A', 'ACCOUNT_TRANSACTIONS'] : []
      const args = [...defines, '-f', config, ...listen, '-x', 'fm', '-X', 'fm', '-m', '512', '-DD', '-E']
      // Its records go to a file, as SIPhon's.
      const server = start('sh', ['-c', 'exec kamailio "$@" 2> "$0"', log, ...args])
      await until('kamailio to listen', () => answers(port))
      return server
    },
    records: () =>
      accounting === 'calls'
        ? linesWith(log, 'log_write_cdr()')
        : linesWith(log, 'ACC: transaction answered: ') / 2,
  }
}

/** Where SIPhon with the four ways on is scraped. */
export const METRICS_PORT = 15464

/** @param script of `examples/`, or a path */
export const siphon = (
  kind: 'bare' | 'full',
  script = 'proxy-registrar.ts',
  name = `siphon ${kind}`,
): Subject => {
  const port = kind === 'bare' ? 15082 : 15086
  const folder = mkdtempSync(join(tmpdir(), 'siphon-bench-'))
  const cdr = join(folder, 'cdr.jsonl')
  return {
    name,
    port,
    calleePort: 15092,
    start: async () => {
      const config = join(folder, 'siphon.yaml')
      writeFileSync(config, siphonYaml(kind, port, cdr, resolve(root, 'examples', script)))
      const server = start(join(root, 'node_modules/.bin/node'), ['src/bin/siphon.ts', 'run', '-c', config])
      await until('siphon to listen', () => answers(port), 15_000)
      await register(port, 'sip:service@127.0.0.1', 'sip:service@127.0.0.1:15092')
      return server
    },
    records: () => linesWith(cdr, '"call_id"'),
  }
}

function siphonYaml(kind: 'bare' | 'full', port: number, cdr: string, script: string): string {
  const base = `
listen: { udp: ["127.0.0.1:${port}"] }
domain: { local: ["127.0.0.1"] }
script: { path: "${script}", reload: sighup }
log: { level: warn, format: json }
`
  if (kind === 'bare') return base
  return `${base}
metrics: { prometheus: { listen: "127.0.0.1:${METRICS_PORT}" } }
admin: { listen: "127.0.0.1:15465" }
cdr: { enabled: true, backend: file, file: { path: "${cdr}" } }
tracing: { hep: { endpoint: "127.0.0.1:${HEP_PORT}", transport: udp, agent_id: bench } }
`
}

/** Sends one datagram and waits so long for any answer. */
function ask(port: number, text: string, ms = 200): Promise<string | null> {
  return new Promise((done) => {
    const socket = createSocket('udp4')
    const end = (answer: string | null): void => {
      clearTimeout(timer)
      socket.close()
      done(answer)
    }
    const timer = setTimeout(() => end(null), ms)
    socket.on('message', (m) => end(m.toString('latin1')))
    socket.on('error', () => end(null))
    socket.bind(0, '127.0.0.1', () => {
      const own = socket.address().port
      socket.send(text.replaceAll('OWN', `127.0.0.1:${own}`), port, '127.0.0.1')
    })
  })
}

let count = 0

/** A request that every server answers somehow: with Max-Forwards 0 none forwards it. */
export async function answers(port: number): Promise<boolean> {
  const id = `${process.pid}-${++count}`
  const text = `OPTIONS sip:127.0.0.1:${port} SIP/2.0\r\nVia: SIP/2.0/UDP OWN;branch=z9hG4bKp${id}\r\nMax-Forwards: 0\r\nFrom: <sip:p@OWN>;tag=${id}\r\nTo: <sip:127.0.0.1>\r\nCall-ID: ${id}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n`
  return (await ask(port, text)) !== null
}

/** Binds a contact; throws unless answered 200. */
export async function register(port: number, aor: string, contact: string): Promise<void> {
  const id = `${process.pid}-${++count}`
  const text = `REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP OWN;branch=z9hG4bKr${id}\r\nMax-Forwards: 70\r\nFrom: <${aor}>;tag=${id}\r\nTo: <${aor}>\r\nCall-ID: ${id}\r\nCSeq: 1 REGISTER\r\nContact: <${contact}>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n`
  // A machine that is busy with something else may take long for one answer.
  const answer = await ask(port, text, 5_000)
  if (!answer?.startsWith('SIP/2.0 200'))
    throw new Error(`REGISTER: ${answer?.split('\r\n')[0] ?? 'no answer'}`)
}
