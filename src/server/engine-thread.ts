import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { processTime, systemClock } from '../base/clock.ts'
import { randomIdentifiers } from '../base/identifiers.ts'
import { controlByMessage } from '../script/conversation.ts'
import { hostReceiver } from '../script/attach.ts'
import type { EngineStart, FromEngine, ToEngine } from './conversation.ts'
import { Engine } from './engine.ts'
import { Outbox } from './outbox.ts'

/** The engine thread: an `Engine`, and the port to the control thread. */

/** How often the engine shows that it lives, ms. */
const TICK_MS = 1_000

if (!parentPort) throw new Error('engine-thread.ts is started by the server')
const control: MessagePort = parentPort
const start = workerData as EngineStart
const post = (message: FromEngine): void => control.postMessage(message)

const engine = new Engine(start, {
  clock: systemClock,
  identifiers: randomIdentifiers(),
  outbox: new Outbox(systemClock, (batch) => post({ what: 'facts', batch })),
  pool: controlByMessage((message) => post({ what: 'pool', message })),
  onMetrics: (message) => post({ what: 'metrics', message }),
})
// Changes nothing about the end that follows: the control thread gets the error, and the process exits.
process.once('uncaughtExceptionMonitor', () => engine.salvage())
const receiveScript = hostReceiver(engine.host, systemClock)

control.on('message', (message: ToEngine) => {
  if (message.what === 'script') return receiveScript(message.message)
  const { id, question, argument } = message
  void engine.answer(question, argument as never).then(
    (value) => post({ what: 'answer', id, value }),
    (error: unknown) =>
      post({ what: 'refused', id, why: error instanceof Error ? error.message : String(error) }),
  )
  return undefined
})

const ticked = new Float64Array(start.heartbeat)
const tick = (): void => {
  // Not the time of day: whoever sets the machine's clock must not make the engine look stuck.
  ticked[0] = processTime()
}
tick()
setInterval(tick, TICK_MS)

post({ what: 'up' })
