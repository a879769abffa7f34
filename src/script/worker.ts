import { format } from 'node:util'
import { parentPort, workerData } from 'node:worker_threads'
import type { LogLine } from '../spine/facts.ts'
import { MetricsWriter } from '../metrics/writer.ts'
import type { MetricsShared } from '../metrics/shared.ts'
import { log } from './api/log.ts'
import { registry } from './api/registry.ts'
import { connect } from './api/services.ts'
import { Claims } from './claims.ts'
import type { Batch, ThreadSetup, WorkerMessage, WorkerStart } from './conversation.ts'
import { hookScriptImports, scriptUrl } from './loader.ts'
import { MailboxWriter } from './mailbox.ts'
import { Runtime } from './runtime.ts'
import { callSite, describe, placeOf, setScript } from './where.ts'

/** Entry of a handler thread: loads one script, says what it declared, and runs its handlers until it is let go. */
const start = workerData as WorkerStart
const control = parentPort
if (control === null) throw new Error('worker.ts runs in a worker thread')
const tell = (message: WorkerMessage): void => control.postMessage(message)

const mailbox = new MailboxWriter(start.mailbox, (batch) => start.port.postMessage(batch))
const runtime = new Runtime(new Claims(start.claims), (batch, urgent) => mailbox.send(batch, urgent))
const files = hookScriptImports()
setScript(start.script)
const writer = new MetricsWriter({
  thread: start.thread,
  shared: start.metrics as MetricsShared,
  post: (message) => tell({ what: 'metrics', message }),
  origin: 'script',
  onMisuse: (metric) =>
    log.warn(
      `${callSite()}: a use of metric '${metric}' is ignored: wrong labels, a negative increment, or no number`,
    ),
})
connect({
  log: limited(post),
  lookup: (uri) => runtime.lookup(uri),
  call: (service, ...args) => runtime.call(service, args),
  tell: (service, ...args) => runtime.tell(service, args),
  settings: start.settings,
  generation: start.generation,
  metrics: writer,
})

// What a script prints belongs into the log: one writer, one format.
for (const level of ['debug', 'info', 'warn', 'error'] as const) {
  console[level] = (...args: unknown[]) => log[level](format(...args))
}
console.log = console.info

// A mistake outside any handler must not end the calls of this worker.
process.on('uncaughtException', (error) => runtime.stray(error))
process.on('unhandledRejection', (error) => runtime.stray(error))

let tearDown = (): void => {}
// A script that awaits what never comes would end its thread otherwise, and be told that it called process.exit.
const loading = setInterval(() => undefined, 60_000)
try {
  if (start.setup !== null) {
    const setup = (await import(start.setup)) as ThreadSetup
    tearDown = setup.setUpThread(writer)
  }
  await import(scriptUrl(start.script))
  const manifest = registry.seal()
  start.port.on('message', (batch: Batch) => runtime.receive(batch))
  tell({ what: 'loaded', manifest, files: [...files] })
  // The only word from the control thread: there will be no more jobs. What the script still awaits may end.
  control.once('message', () => {
    tearDown()
    start.port.close()
    control.close()
  })
} catch (error) {
  tell({ what: 'refused', fault: { what: describe(error), where: placeOf(error) }, files: [...files] })
  start.port.close()
} finally {
  clearInterval(loading)
}

function post(line: LogLine): void {
  try {
    tell({ what: 'log', line })
  } catch {
    // A field that cannot be cloned (a function, a request): as text.
    const fields = Object.entries(line.fields ?? {}).map(([key, value]) => [
      key,
      format('%o', value).slice(0, 1000),
    ])
    tell({ what: 'log', line: { ...line, fields: Object.fromEntries(fields) as Record<string, unknown> } })
  }
}

/** At most 1,000 lines a second: a handler that logs in a loop must not fill the control thread's memory. */
function limited(write: (line: LogLine) => void): (line: LogLine) => void {
  const most = 1000
  let second = 0
  let count = 0
  return (line) => {
    const now = Math.floor(performance.now() / 1000)
    if (now !== second) {
      const over = count - most
      second = now
      count = 0
      if (over > 0) {
        write({
          ...line,
          level: 'warn',
          text: `${over} lines of ${start.thread} were not logged`,
          fields: null,
        })
      }
    }
    if (++count <= most) write(line)
  }
}
