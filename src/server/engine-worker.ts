import { Worker } from 'node:worker_threads'
import { errorText } from '../base/error-text.ts'
import type { EngineStart, FromEngine, ToEngine } from './conversation.ts'
import { EngineLink } from './engine-link.ts'
import { StartError } from './start-error.ts'
import { keepHeapsLarge } from './tidy.ts'

export interface EngineWorkerOptions {
  /** What the engine says that is no answer. */
  readonly onMessage: (message: FromEngine) => void
  /** The thread ended, by itself or because it was told to. Called at most once. */
  readonly onEnd: (why: string) => void
}

/** The engine thread as the control thread holds it. */
export class EngineWorker {
  readonly link: EngineLink
  /** Resolves when the engine answers questions. @throws StartError when it ended instead */
  readonly up: Promise<void>
  readonly #worker: Worker

  constructor(start: EngineStart, { onMessage, onEnd }: EngineWorkerOptions) {
    keepHeapsLarge()
    const worker = new Worker(new URL('./engine-thread.ts', import.meta.url), {
      workerData: start,
      name: 'engine',
      // Messages live for milliseconds: a large nursery lets most of them die before anybody copies them.
      resourceLimits: { maxYoungGenerationSizeMb: 64, maxOldGenerationSizeMb: 4096 },
    })
    this.#worker = worker
    const link = new EngineLink({ postMessage: (message, transfer) => this.post(message, transfer) })
    this.link = link
    this.up = new Promise((resolve, reject) => {
      worker.on('message', (message: FromEngine) => {
        if (message.what === 'up') resolve()
        else if (!link.receive(message)) onMessage(message)
      })
      let why = 'the engine thread ended'
      worker.on('error', (error) => {
        why = `the engine thread failed: ${errorText(error)}`
      })
      worker.on('exit', () => {
        reject(new StartError(why))
        link.fail(why)
        onEnd(why)
      })
    })
  }

  post(message: ToEngine, transfer: Parameters<Worker['postMessage']>[1] = []): void {
    this.#worker.postMessage(message, transfer)
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
    this.link.fail('the engine has stopped')
  }
}
