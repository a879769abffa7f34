import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads'
import type { LogLine } from '../spine/facts.ts'
import { Claims } from './claims.ts'
import type {
  Attachment,
  HandlerSettings,
  Manifest,
  ScriptFault,
  WorkerMessage,
  WorkerStart,
} from './conversation.ts'
import { createMailbox, type MailboxShared } from './mailbox.ts'

export interface HandlerWorkerOptions {
  readonly id: number
  readonly generation: number
  /** Absolute path. */
  readonly script: string
  /** Most handlers under way at once. */
  readonly slots: number
  /** Megabytes of JavaScript heap, and as much again of buffers outside it. */
  readonly memoryLimitMb: number
  /** Milliseconds to load the script. */
  readonly loadTimeoutMs: number
  /** `MetricsShared`. */
  readonly metrics: unknown
  readonly setup: string | null
  readonly settings: HandlerSettings
  readonly onLog: (line: LogLine) => void
  readonly onMetrics: (thread: string, message: unknown) => void
  /** The thread is over. `why` is null when it was asked to end. */
  readonly onExit: (worker: HandlerWorker, why: string | null) => void
}

export type Loaded =
  | { readonly ok: true; readonly files: readonly string[]; readonly manifest: Manifest }
  | { readonly ok: false; readonly files: readonly string[]; readonly fault: ScriptFault }

/** A released worker may finish what its script still awaits for so long, in milliseconds. */
const GRACE_MS = 5000
const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

/** One handler thread, as the control thread holds it: from its start until it has really ended. */
export class HandlerWorker {
  readonly id: number
  readonly generation: number
  readonly thread: string
  /** Settles once: when the script has loaded, or cannot. Never rejects. */
  readonly loaded: Promise<Loaded>
  readonly #options: HandlerWorkerOptions
  readonly #worker: Worker
  readonly #claims: Claims
  readonly #mailbox: MailboxShared = createMailbox()
  readonly #port: MessagePort
  #settle: (loaded: Loaded) => void = () => {}
  #why: string | null = null
  #expected = false
  #timer: NodeJS.Timeout

  constructor(options: HandlerWorkerOptions) {
    this.#options = options
    this.id = options.id
    this.generation = options.generation
    this.thread = `script-${options.id}`
    this.#claims = Claims.create(options.slots)
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    const { script, generation, metrics, setup, settings } = options
    const start: WorkerStart = {
      thread: this.thread,
      script,
      generation,
      metrics,
      port: port2,
      claims: this.#claims.buffer,
      mailbox: this.#mailbox,
      setup,
      settings,
    }
    this.#worker = new Worker(new URL(`./worker${EXTENSION}`, import.meta.url), {
      name: this.thread,
      workerData: start,
      transferList: [port2],
      resourceLimits: { maxOldGenerationSizeMb: options.memoryLimitMb },
    })
    this.loaded = new Promise((resolve) => (this.#settle = resolve))
    this.#worker.on('message', (message: WorkerMessage) => this.#heard(message))
    this.#worker.on('error', (error: Error & { code?: string }) => {
      const memory = error.code === 'ERR_WORKER_OUT_OF_MEMORY'
      this.#why ??= memory
        ? `out of memory (${options.memoryLimitMb} MB)`
        : `its thread failed: ${error.message}`
    })
    this.#worker.on('exit', (code) => this.#exited(code))
    this.#timer = setTimeout(() => {
      this.#fail(`the script did not load within ${options.loadTimeoutMs} ms`)
      this.kill()
    }, options.loadTimeoutMs)
  }

  /** What the engine needs to use this worker; its port must be transferred with it. */
  attachment(manifest: Manifest): Attachment {
    const { id, generation } = this
    const claims = this.#claims.buffer
    return { id, generation, manifest, port: this.#port, claims, mailbox: this.#mailbox }
  }

  get port(): MessagePort {
    return this.#port
  }

  /** Nothing more will be asked of it: it ends by itself, by force after a while. */
  release(): void {
    if (this.#expected) return
    this.#expected = true
    this.#worker.postMessage('end')
    this.#timer = setTimeout(() => void this.#worker.terminate(), GRACE_MS)
    this.#timer.unref()
  }

  /** Ends it now, whatever it does. A thread inside a blocking system call ends after that. */
  kill(): void {
    this.#expected = true
    clearTimeout(this.#timer)
    void this.#worker.terminate()
  }

  /** Ends it as a worker that failed: `why` is told to `onExit`. */
  fail(why: string): void {
    if (this.#expected) return
    this.#why ??= why
    void this.#worker.terminate()
  }

  /** Bytes in buffers outside the JavaScript heap, which no limit of V8's holds. Answered even by a thread that spins. */
  async externalBytes(): Promise<number> {
    const statistics = await this.#worker.getHeapStatistics()
    return statistics.external_memory
  }

  #heard(message: WorkerMessage): void {
    switch (message.what) {
      case 'loaded':
        clearTimeout(this.#timer)
        return this.#settle({ ok: true, files: message.files, manifest: message.manifest })
      case 'refused':
        clearTimeout(this.#timer)
        this.#settle({ ok: false, files: message.files, fault: message.fault })
        return this.kill()
      case 'log':
        return this.#options.onLog(message.line)
      case 'metrics':
        return this.#options.onMetrics(this.thread, message.message)
    }
  }

  #exited(code: number): void {
    clearTimeout(this.#timer)
    // Closes both ends when the engine never got this one.
    this.#port.close()
    const why = this.#why ?? `the script ended its thread with process.exit(${code})`
    this.#fail(why)
    this.#options.onExit(this, this.#expected ? null : why)
  }

  #fail(what: string): void {
    this.#settle({ ok: false, files: [], fault: { what, where: null } })
  }
}
