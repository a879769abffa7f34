import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import type { ContactView, Job, LocationView, Outcome } from '../../src/core/verdict.ts'
import { createMetricsShared } from '../../src/metrics/shared.ts'
import { MetricsReader } from '../../src/metrics/reader.ts'
import type { MetricsMessage } from '../../src/metrics/messages.ts'
import type { Services } from '../../src/script/conversation.ts'
import { hostReceiver } from '../../src/script/attach.ts'
import { ScriptHost, type HostLimits } from '../../src/script/host.ts'
import { Supervisor, type LoadResult, type SupervisorOptions } from '../../src/script/supervisor.ts'
import { HeaderFields } from '../../src/sip/message/header-fields.ts'
import { Request, Response } from '../../src/sip/message/message.ts'
import type { LogLine, ScriptFailed, ScriptJobDone } from '../../src/spine/facts.ts'
import { createSpine, type Spine } from '../../src/spine/spine.ts'

export interface RigOptions {
  readonly limits?: Partial<HostLimits>
  readonly contacts?: (uri: string) => readonly ContactView[]
  /** What the engine does for scripts, given its spine. */
  readonly services?: (spine: Spine) => Services
  readonly supervisor?: Partial<SupervisorOptions>
}

export type Rig = Awaited<ReturnType<typeof rig>>

/** Host and supervisor on one thread, with real workers, serving a script written to a folder of its own. */
export async function rig(t: TestContext, script: string, options: RigOptions = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'siphon-script-'))
  const path = join(folder, 'script.ts')
  writeFileSync(path, script)
  const limits: HostLimits = {
    queueCapacity: 256,
    handlerTimeoutMs: 2000,
    poolSize: 2,
    poolMax: 4,
    handlersPerWorker: 16,
    ...options.limits,
  }
  const faults: unknown[] = []
  const spine = createSpine((_, error) => faults.push(error))
  const failed: ScriptFailed[] = []
  const jobs: ScriptJobDone[] = []
  const served: (readonly string[])[] = []
  const lines: LogLine[] = []
  spine.scriptFailed.subscribe((fact) => failed.push(fact))
  spine.scriptJobDone.subscribe((fact) => jobs.push(fact))
  spine.scriptServes.subscribe(({ handlers }) => served.push(handlers))
  let lookups = 0
  const location: LocationView = {
    lookup: (uri) => {
      lookups++
      return options.contacts?.(uri) ?? []
    },
  }
  const shared = createMetricsShared()
  const reader = new MetricsReader(shared)
  const supervisor: Supervisor = new Supervisor({
    script: path,
    reload: 'sighup',
    poolSize: limits.poolSize,
    handlersPerWorker: limits.handlersPerWorker,
    metrics: shared,
    toEngine: (message) => receive(message),
    onLog: (line) => lines.push(line),
    onMetrics: (thread, message) => reader.receive(thread, message as MetricsMessage),
    onThread: (thread, moved) => (moved === 'up' ? reader.attach(thread) : reader.detach(thread)),
    onMetricNames: (names) => reader.retireAllBut(names),
    ...options.supervisor,
  })
  const host = new ScriptHost({
    clock: systemClock,
    spine,
    location,
    limits,
    control: supervisor,
    services: options.services?.(spine) ?? new Map(),
  })
  const receive = hostReceiver(host, systemClock)
  t.after(async () => {
    host.close()
    await supervisor.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const started: LoadResult = await supervisor.start()
  return {
    spine,
    folder,
    path,
    host,
    supervisor,
    started,
    failed,
    served,
    jobs,
    lines,
    faults,
    reader,
    lookups: () => lookups,
    write: (text: string) => writeFileSync(path, text),
    run: (job: Job, share: 'initial' | 'in-dialog' = 'initial') => run(host, job, share),
  }
}

export function run(
  host: ScriptHost,
  job: Job,
  share: 'initial' | 'in-dialog' = 'initial',
): Promise<Outcome> {
  const place = host.reserve(share, job.request.method)
  if (place === null) return Promise.reject(new Error('shed'))
  return new Promise((resolve) => place.decide(job, resolve))
}

let calls = 0

export interface Asked {
  readonly method?: string
  readonly uri?: string
  readonly callId?: string
  readonly toTag?: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly body?: string
}

export function request(asked: Asked = {}): Request {
  const method = asked.method ?? 'INVITE'
  const headers = new HeaderFields()
  headers.append('Via', `SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK${++calls}`)
  headers.append('Max-Forwards', '70')
  headers.append('From', '"Alice" <sip:alice@example.com>;tag=a1')
  headers.append('To', `<sip:bob@example.com>${asked.toTag === undefined ? '' : `;tag=${asked.toTag}`}`)
  headers.append('Call-ID', asked.callId ?? `call-${calls}@192.0.2.1`)
  headers.append('CSeq', `1 ${method}`)
  headers.append('Contact', '<sip:alice@192.0.2.1:5060>;expires=600')
  headers.append('User-Agent', 'phone/1')
  for (const [name, value] of asked.headers ?? []) headers.append(name, value)
  return new Request(method, asked.uri ?? 'sip:bob@example.com', headers, asked.body ?? '')
}

export function job(
  asked: Asked & {
    readonly kind?: Job['kind']
    readonly response?: Response
    readonly elapsedMs?: number
  } = {},
): Job {
  return {
    kind: asked.kind ?? 'request',
    request: request(asked),
    response: asked.response ?? null,
    path: {
      protocol: 'udp',
      local: { host: '127.0.0.1', port: 5060 },
      remote: { host: '192.0.2.1', port: 5062 },
    },
    routeConsumed: asked.toTag !== undefined,
    elapsedMs: asked.elapsedMs ?? 0,
  }
}

export function response(status: number, reason: string): Response {
  return new Response(status, reason, request().headers)
}

export const until = async (condition: () => boolean, ms = 5000): Promise<void> => {
  const end = performance.now() + ms
  while (!condition()) {
    if (performance.now() > end) throw new Error('what was waited for did not come')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
