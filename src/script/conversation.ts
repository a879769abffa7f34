import type { MessagePort } from 'node:worker_threads'
import type { MetricsWriter } from '../metrics/writer.ts'
import type { LogLine } from '../spine/facts.ts'
import type { AuthSettings } from './auth/settings.ts'
import type { MailboxShared } from './mailbox.ts'

/**
 * What the three threads say to each other about scripts.
 *
 *   control ── Attachment, gone ──▶ engine          (ScriptHost.receive)
 *   engine  ── need, release, kill ──▶ control   (HostControlPort)
 *   engine  ◀── batches ──▶ worker                  (a MessagePort of their own: a job never passes the control thread;
 *                                                    towards a busy engine a `mailbox` in shared memory)
 *   worker  ── loaded, log, metrics ──▶ control     (parentPort)
 *
 * A batch is one flat array of strings and numbers for everything of one tick: cloning it costs a tenth of what
 * the same as objects does.
 */
export type Item = string | number | null
export type Batch = Item[]

/** Kinds of run, by their number in a batch. */
export const KINDS = [
  'request',
  'reply',
  'failure',
  'cancel',
  'timer',
  'invite',
  'early',
  'answered',
  'refused',
  'bye',
  'calledOff',
  'refer',
] as const
export type RunKind = (typeof KINDS)[number]
/** Runs of `b2bua`, which are about a call. */
export const OF_CALLS: ReadonlySet<RunKind> = new Set([
  'invite',
  'early',
  'answered',
  'refused',
  'bye',
  'calledOff',
  'refer',
])
/** Runs that are about a response. */
export const RESPONDED: ReadonlySet<RunKind> = new Set(['reply', 'failure', 'early', 'answered', 'refused'])

/**
 * engine → worker. JOB: id, slot, kind, then the run; ANSWER: question, contacts; PING: nothing;
 * RESULT: question, count, items; REFUSED: question, what.
 */
export const ToWorker = { job: 1, answer: 2, ping: 3, result: 4, refused: 5 } as const
/**
 * worker → engine. DONE: id, handler, ms it took, decision; FAILED: id, handler, ms it took, reason, what, where; PARKED: id; ASK: question, uri;
 * STRAY: what, where; CALL: question, service, count, items; TELL: service, count, items.
 */
export const ToHost = { done: 1, failed: 2, parked: 3, ask: 4, stray: 5, call: 6, tell: 7 } as const

/**
 * What the engine thread does for scripts, by name: `gateway.select`, `proxy.sendRequest` … It answers once, now or later,
 * with items or with why not. All texts are binary text. What it throws becomes a refusal.
 */
export type Service = (
  args: BatchReader,
  answer: (items: readonly Item[]) => void,
  refuse: (what: string) => void,
) => void

export type Services = ReadonlyMap<string, Service>

/** Reads a batch from its start. A batch is written by our own code: a wrong item is a bug, and loud. */
export class BatchReader {
  readonly #items: Batch
  #at = 0

  constructor(items: Batch) {
    this.#items = items
  }

  get done(): boolean {
    return this.#at >= this.#items.length
  }

  string(): string {
    const item = this.#items[this.#at++]
    if (typeof item !== 'string') throw new Error(`batch item ${this.#at - 1} is not a string`)
    return item
  }

  number(): number {
    const item = this.#items[this.#at++]
    if (typeof item !== 'number') throw new Error(`batch item ${this.#at - 1} is not a number`)
    return item
  }

  /** The next `count` items, as a reader of their own. */
  slice(count: number): BatchReader {
    const items = this.#items.slice(this.#at, this.#at + count)
    this.#at += count
    return new BatchReader(items)
  }

  text(): string | null {
    const item = this.#items[this.#at++]
    if (typeof item === 'string' || item === null) return item
    throw new Error(`batch item ${this.#at - 1} is not a string or null`)
  }
}

/** A handler that a script declared. */
export interface HandlerInfo {
  readonly kind: RunKind
  /** Upper case; null: every method. */
  readonly methods: readonly string[] | null
  /** `onRequest(INVITE|REGISTER)`, `timer(health)`. */
  readonly name: string
  /** `script.ts:12:7`: where it was declared. */
  readonly where: string
}

export interface TimerInfo {
  /** Index of the timer's entry in `handlers`. */
  readonly handler: number
  /** Between the starts of two runs; the first starts after one such interval. */
  readonly seconds: number
  /** At most so many seconds are added to each interval, at random. */
  readonly jitter: number
}

/** What a script declared while it loaded. Equal in every worker of a generation. */
export interface Manifest {
  readonly handlers: readonly HandlerInfo[]
  readonly timers: readonly TimerInfo[]
}

/** Why a script does not serve. */
export interface ScriptFault {
  readonly what: string
  /** `file:line:col`, when the fault has a place. */
  readonly where: string | null
}

/** One worker, ready to serve, as it is handed to the engine. `port` must be in the transfer list. */
export interface Attachment {
  readonly id: number
  readonly generation: number
  readonly port: MessagePort
  /** See `Claims`. */
  readonly claims: SharedArrayBuffer
  readonly mailbox: MailboxShared
  readonly manifest: Manifest
}

/** control → engine. */
export type HostMessage =
  /** A new generation whose workers have all loaded: it serves from now on. */
  | { readonly what: 'generation'; readonly generation: number; readonly workers: readonly Attachment[] }
  /** One more worker of the serving generation. */
  | { readonly what: 'worker'; readonly worker: Attachment }
  /** A worker has exited that nobody asked to. */
  | { readonly what: 'gone'; readonly id: number; readonly why: string }

/** engine → control, when the port between them is a message channel. */
export type ControlMessage =
  | { readonly what: 'need'; readonly count: number }
  | { readonly what: 'release'; readonly id: number }
  | { readonly what: 'kill'; readonly id: number; readonly why: string }

/** worker → control. */
export type WorkerMessage =
  | { readonly what: 'loaded'; readonly manifest: Manifest; readonly files: readonly string[] }
  | { readonly what: 'refused'; readonly fault: ScriptFault; readonly files: readonly string[] }
  | { readonly what: 'log'; readonly line: LogLine }
  | { readonly what: 'metrics'; readonly message: unknown }

/** What the configuration says to the APIs of scripts; each adds its own key. */
export interface HandlerSettings {
  /** Networks that requests of each group of siphon.yaml come from, by its name. */
  readonly gatewaySources?: Readonly<Record<string, readonly string[]>>
  /** Names of the caches. */
  readonly caches?: readonly string[]
  /** Absent in a server that has no users. */
  readonly auth?: AuthSettings
  /** Null: no media engine. */
  readonly media?: {
    /** Names of the profiles that there are. */
    readonly profiles: readonly string[]
    /** Session name of SDP that leaves; null: unchanged. */
    readonly sdpName: string | null
  } | null
}

/** What a worker is started with. */
export interface WorkerStart {
  readonly thread: string
  readonly script: string
  readonly generation: number
  readonly port: MessagePort
  readonly claims: SharedArrayBuffer
  readonly mailbox: MailboxShared
  readonly metrics: unknown
  /** URL of a module that is a `ThreadSetup`; null: none. */
  readonly setup: string | null
  /** Plain data of the configuration, by API namespace: what an API can know without asking the engine. */
  readonly settings: HandlerSettings
}

/** What the composition root wants done in every handler thread before the script loads: a probe of its memory. */
export interface ThreadSetup {
  /** @returns called when the thread is let go; must leave no timer that would keep it alive */
  setUpThread(writer: MetricsWriter): () => void
}

/** What the engine may ask of the control thread. `Supervisor` implements it; between threads it is a message each. */
export interface HostControlPort {
  /** Start `count` more workers of the serving generation. Tried until it works, with growing pauses. */
  needWorkers(count: number): void
  /** The worker has nothing more to do and gets nothing more: let it end. */
  releaseWorker(id: number): void
  /** The worker does not answer: end it by force. Another is asked for by `needWorkers`. */
  killWorker(id: number, why: string): void
}

/** Performs a message from the engine on the control thread. */
export function performControl(message: ControlMessage, port: HostControlPort): void {
  switch (message.what) {
    case 'need':
      return port.needWorkers(message.count)
    case 'release':
      return port.releaseWorker(message.id)
    case 'kill':
      return port.killWorker(message.id, message.why)
  }
}

/** The engine's side of `performControl`: every request becomes a message. */
export function controlByMessage(post: (message: ControlMessage) => void): HostControlPort {
  return {
    needWorkers: (count) => post({ what: 'need', count }),
    releaseWorker: (id) => post({ what: 'release', id }),
    killWorker: (id, why) => post({ what: 'kill', id, why }),
  }
}
