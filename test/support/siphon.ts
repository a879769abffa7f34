import { createSocket } from 'node:dgram'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, start, until, type Running } from './programs.ts'

/** The real server in a process of its own, for interop tests. */

export interface SiphonOptions {
  /** A file of `examples/`, or the text of a script. Default: the quick start. */
  readonly script?: string
  /** More of the listen block: `tls: ["127.0.0.1:5061"]`. */
  readonly listen?: string
  /** YAML blocks beside listen, domain, metrics, admin; `FOLDER` stands for the test's own folder. */
  readonly yaml?: string
  /** Added to the `script:` block: `{ sync_pool_max: 2 }`. */
  readonly scriptOptions?: Readonly<Record<string, unknown>>
  /** More of the admin block: `auth: { token: s3cret }`. */
  readonly admin?: string
  readonly env?: Record<string, string>
}

export interface Siphon {
  readonly process: Running
  readonly folder: string
  readonly script: string
  readonly sip: number
  readonly target: string
  readonly metricsUrl: string
  readonly adminUrl: string
  /** All samples of a scrape, by name with labels as they are written. */
  metrics(): Promise<Map<string, number>>
  /** One sample; 0 when absent. */
  metric(name: string): Promise<number>
  /** Sum of all series of a family whose text matches. */
  sum(name: string, match?: RegExp): Promise<number>
  admin(path: string, init?: RequestInit): Promise<{ status: number; body: unknown }>
  records(): Record<string, unknown>[]
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<number | null>
}

const taken = new Set<number>()

/** A port that is free for UDP and TCP now, and given to nobody else in this process. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = await new Promise<number>((done, fail) => {
      const server = createServer()
      server.once('error', fail)
      server.listen(0, '127.0.0.1', () => {
        const address = server.address()
        server.close(() => done(typeof address === 'object' && address ? address.port : 0))
      })
    })
    const udpFree = await new Promise<boolean>((done) => {
      const socket = createSocket('udp4')
      socket.once('error', () => done(false))
      socket.bind(port, '127.0.0.1', () => socket.close(() => done(true)))
    })
    if (udpFree && !taken.has(port)) {
      taken.add(port)
      return port
    }
  }
}

export const node = join(root, 'node_modules/.bin/node')

export async function startSiphon(options: SiphonOptions = {}): Promise<Siphon> {
  const folder = mkdtempSync(join(tmpdir(), 'siphon-test-'))
  const [sip, metricsPort, adminPort] = [await freePort(), await freePort(), await freePort()]
  const given = options.script ?? 'proxy-registrar.ts'
  const script = given.includes('\n') ? join(folder, 'script.ts') : join(root, 'examples', given)
  if (given.includes('\n')) writeFileSync(script, given)
  const config = join(folder, 'siphon.yaml')
  const scriptBlock = JSON.stringify({ path: script, reload: 'sighup', ...options.scriptOptions })
  const cdr = options.yaml?.includes('cdr:')
    ? ''
    : 'cdr: { enabled: true, backend: file, file: { path: cdr.jsonl } }\n'
  writeFileSync(
    config,
    `listen: { udp: ["127.0.0.1:${sip}"], tcp: ["127.0.0.1:${sip}"]${options.listen ? `, ${options.listen}` : ''} }
domain: { local: ["127.0.0.1", "example.com"] }
script: ${scriptBlock}
metrics: { prometheus: { listen: "127.0.0.1:${metricsPort}" } }
admin: { listen: "127.0.0.1:${adminPort}"${options.admin ? `, ${options.admin}` : ''} }
${cdr}${(options.yaml ?? '').replaceAll('FOLDER', folder)}
`,
  )
  const process = start(node, ['src/bin/siphon.ts', 'run', '-c', config], { env: options.env ?? {} })
  const adminUrl = `http://127.0.0.1:${adminPort}`
  const metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`
  const ready = async (): Promise<boolean> => {
    if (process.child.exitCode !== null) return true
    const answer = await fetch(`${adminUrl}/admin/ready`)
    await answer.arrayBuffer()
    return answer.status === 200
  }
  await until('siphon to be ready', ready, 60_000).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${process.output()}`)
  })
  if (process.child.exitCode !== null)
    throw new Error(`siphon exited ${process.child.exitCode}\n${process.output()}`)

  const metrics = async (): Promise<Map<string, number>> => {
    const text = await (await fetch(metricsUrl)).text()
    const samples = text.split('\n').filter((l) => l !== '' && !l.startsWith('#'))
    return new Map(
      samples.map((l) => [l.slice(0, l.lastIndexOf(' ')), Number(l.slice(l.lastIndexOf(' ') + 1))] as const),
    )
  }
  const sum = async (name: string, match = /^/): Promise<number> => {
    let total = 0
    for (const [key, value] of await metrics()) {
      if ((key === name || key.startsWith(`${name}{`)) && match.test(key)) total += value
    }
    return total
  }
  return {
    process,
    folder,
    script,
    sip,
    target: `127.0.0.1:${sip}`,
    metricsUrl,
    adminUrl,
    metrics,
    metric: async (name) => (await metrics()).get(name) ?? 0,
    sum,
    admin: async (path, init) => {
      const answer = await fetch(`${adminUrl}${path}`, init)
      const text = await answer.text()
      return { status: answer.status, body: text === '' ? null : (JSON.parse(text) as unknown) }
    },
    records: () => {
      try {
        const lines = readFileSync(join(folder, 'cdr.jsonl'), 'utf8').split('\n')
        return lines.filter((l) => l !== '').map((l) => JSON.parse(l) as Record<string, unknown>)
      } catch {
        return []
      }
    },
    stop: (signal, graceMs) => process.stop(signal, graceMs),
  }
}

/** The ACK of a final response other than 2xx, RFC 3261 §17.1.1.3: the INVITE's own branch. */
export function ackOf(invite: string, answer: string): string {
  const to = /^To: .*$/m.exec(answer)?.[0] ?? ''
  return invite
    .replace(/^INVITE/, 'ACK')
    .replace(/^To: .*$/m, to)
    .replace(/^(CSeq: \d+) INVITE/m, '$1 ACK')
}

/** A callee's response to a request as it was received; `OWN` becomes the address it is sent from. */
export function responseText(request: string, status: string): string {
  const lines = request.slice(0, request.indexOf('\r\n\r\n')).split('\r\n')
  const kept = lines
    .filter((l) => /^(Via|Record-Route|From|To|Call-ID|CSeq):/.test(l))
    .map((l) => (l.startsWith('To:') ? `${l};tag=callee` : l))
  return [`SIP/2.0 ${status}`, ...kept, 'Contact: <sip:callee@OWN>', 'Content-Length: 0', '', ''].join('\r\n')
}

let requests = 0

/** A request in text form; `OWN` becomes the address it is sent from. */
export function requestText(
  method: string,
  uri: string,
  options: {
    readonly from?: string
    readonly to?: string
    readonly headers?: readonly string[]
    readonly body?: string
  } = {},
): string {
  const id = `${process.pid}-${++requests}`
  const body = options.body ?? ''
  return [
    `${method} ${uri} SIP/2.0`,
    `Via: SIP/2.0/UDP OWN;rport;branch=z9hG4bK${id}`,
    'Max-Forwards: 70',
    `From: <${options.from ?? 'sip:tester@127.0.0.1'}>;tag=${id}`,
    `To: <${options.to ?? uri}>`,
    `Call-ID: ${id}`,
    `CSeq: 1 ${method}`,
    'Contact: <sip:tester@OWN>',
    ...(options.headers ?? []),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n')
}

/** A bare UDP socket that sends what it is told and keeps what comes. */
export class RawPhone {
  readonly received: string[] = []
  readonly host: string
  readonly port: number
  readonly #socket

  private constructor(socket: ReturnType<typeof createSocket>) {
    this.#socket = socket
    this.host = socket.address().address
    this.port = socket.address().port
    socket.on('message', (m) => this.received.push(m.toString('latin1')))
  }

  /** @param host one of our loopback addresses */
  static open(host = '127.0.0.1'): Promise<RawPhone> {
    const socket = createSocket('udp4')
    return new Promise((done, fail) => {
      socket.once('error', fail)
      socket.bind(0, host, () => done(new RawPhone(socket)))
    })
  }

  send(text: string, port: number): void {
    this.#socket.send(
      Buffer.from(text.replaceAll('OWN', `${this.host}:${this.port}`), 'latin1'),
      port,
      '127.0.0.1',
    )
  }

  /** From now on refusals of INVITEs are acknowledged, so that their transactions end. */
  acknowledge(port: number): void {
    this.#socket.on('message', (m) => {
      const answer = m.toString('latin1')
      if (!/^SIP\/2\.0 [3-6]/.test(answer) || !/^CSeq: \d+ INVITE\r$/m.test(answer)) return
      const headers = answer.split('\r\n').filter((line) => /^(Via|From|To|Call-ID|CSeq):/.test(line))
      const ack = ['ACK sip:x@127.0.0.1 SIP/2.0', ...headers, 'Max-Forwards: 70', 'Content-Length: 0', '', '']
      this.send(ack.join('\r\n').replace(/^(CSeq: \d+) INVITE/m, '$1 ACK'), port)
    })
  }

  /** Sends the request and waits for its final response: the status line's code. */
  async ask(text: string, port: number, ms = 5_000): Promise<number> {
    const callId = /^Call-ID: (.*)$/m.exec(text)?.[1] ?? ''
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const hear = (bytes: Buffer): void => {
      const m = bytes.toString('latin1')
      if (/^SIP\/2\.0 [2-6]/.test(m) && m.includes(`Call-ID: ${callId}\r\n`)) resolve(m)
    }
    const what = `a final response to ${text.slice(0, 40)}`
    const limit = setTimeout(() => reject(new Error(`waited ${ms} ms for: ${what}`)), ms)
    this.#socket.on('message', hear)
    this.send(text, port)
    const answer = await promise.finally(() => {
      clearTimeout(limit)
      this.#socket.off('message', hear)
    })
    const code = Number(answer.slice(8, 11))
    if (text.startsWith('INVITE') && code >= 300) this.send(ackOf(text, answer), port)
    return code
  }

  close(): void {
    this.#socket.close()
  }
}
