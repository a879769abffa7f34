import type { Clock } from '../../base/clock.ts'
import { within } from '../../base/within.ts'
import type { CallRecord } from '../../spine/facts.ts'
import type { TlsOptions } from '../collector-stream.ts'
import { RareLog, type Log } from '../../base/rare-log.ts'
import { DeadLetters } from './dead-letters.ts'
import { FileSink } from './file.ts'
import { HttpSink } from './http.ts'
import { Outbox, type Entry, type Sink, type SinkLevels } from './outbox.ts'
import { recordLine } from './record.ts'
import { Spool } from './spool.ts'
import { SyslogStreamSink } from './syslog-stream.ts'
import { SyslogUdpSink } from './syslog-udp.ts'

/** Where records go. */
export type SinkOptions =
  | { readonly kind: 'file'; readonly path: string; /** 0: never. */ readonly rotateSizeMb: number }
  | {
      readonly kind: 'http'
      readonly url: string
      readonly authHeader: string | null
      readonly caFile?: string
      readonly concurrency?: number
      readonly timeoutMs?: number
    }
  | {
      readonly kind: 'syslog'
      /** A name or an address, IPv6 without brackets. */
      readonly host: string
      readonly port: number
      readonly transport: 'udp' | 'tcp' | 'tls'
      readonly tls?: TlsOptions
    }

export interface CdrPipelineOptions {
  readonly sinks: readonly SinkOptions[]
  /** `server.instance_id`. */
  readonly node: string
  /** `cdr.channel_size`: records that may wait for each sink. */
  readonly channelSize: number
  /** Folder for what is still queued at the end; null: it is dropped then, and counted. */
  readonly spoolDir: string | null
  /** File for what a collector will never take; null: it is only counted. */
  readonly deadLetterPath: string | null
  readonly clock: Clock
  readonly log: Log
  /** Waits between attempts of http and syslog. Default 1 s … 30 s. */
  readonly minBackoffMs?: number
  readonly maxBackoffMs?: number
  /** A syslog connection on which nothing moves for so long is given up. Default 10 s. */
  readonly stallMs?: number
}

/** A disk that has not taken what is left by then has lost it, ms. */
const SPOOL_MS = 2000

interface Line {
  readonly sink: Sink
  readonly spool: Spool | null
}

/** Takes every record to every sink, each behind a bounded queue of its own: a slow one delays nothing and nobody. */
export class CdrPipeline {
  readonly #o: CdrPipelineOptions
  readonly #rare: RareLog
  readonly #dead: DeadLetters
  readonly #lines: readonly Line[]
  #closing: Promise<unknown> | null = null

  /** Throws TypeError for options no sink can work with (see `httpSinkFaults`), or an error when a CA file cannot be read. */
  constructor(options: CdrPipelineOptions) {
    this.#o = options
    this.#rare = new RareLog(options.clock, options.log)
    this.#dead = new DeadLetters(options.deadLetterPath, options.clock)
    const names = new Map<string, number>()
    this.#lines = options.sinks.map((sink) => {
      const n = (names.get(sink.kind) ?? 0) + 1
      names.set(sink.kind, n)
      const name = n === 1 ? sink.kind : `${sink.kind}-${n}`
      const spool = options.spoolDir === null ? null : new Spool(options.spoolDir, name)
      const outbox = new Outbox(name, options.channelSize, (entry) => spool?.settled(entry))
      return { sink: this.#make(sink, outbox), spool }
    })
  }

  /** Queues what the last run left, and starts the sinks. */
  async start(): Promise<void> {
    for (const { sink, spool } of this.#lines) {
      if (spool) await this.#load(sink, spool)
      sink.start()
      sink.wake()
    }
  }

  /** Takes a record. Never blocks and never throws: a sink whose queue is full drops it, counted. */
  accept(record: CallRecord): void {
    const entry = { id: record.id, line: recordLine(record, this.#o.node), at: this.#o.clock.wallTime() }
    for (const { sink } of this.#lines) {
      const { outbox } = sink
      if (outbox.offer({ ...entry, failures: 0 })) sink.wake()
      else {
        const { dropped } = outbox.levels()
        this.#rare.say(
          `full ${outbox.sink}`,
          'error',
          `CDR ${outbox.sink}: queue of ${outbox.capacity} full, ${dropped} records dropped so far`,
        )
      }
    }
  }

  /** The account of every sink, exact at any moment. */
  levels(): SinkLevels[] {
    return this.#lines.map(({ sink }) => sink.outbox.levels())
  }

  /** Opens files anew: after logrotate, on SIGHUP or SIGUSR1. */
  reopen(): void {
    for (const { sink } of this.#lines) sink.reopen?.()
  }

  /** Delivers what is queued, for at most `deadlineMs`. True when all queues are empty. */
  async flush(deadlineMs: number): Promise<boolean> {
    const empty = Promise.all(
      this.#lines.map(({ sink }) => {
        sink.hurry()
        return sink.outbox.whenEmpty()
      }),
    ).then(() => true)
    let timer: { cancel(): void } | undefined
    const late = new Promise<boolean>((resolve) => {
      timer = this.#o.clock.startTimer(deadlineMs, () => resolve(false))
    })
    const done = await Promise.race([empty, late])
    timer?.cancel()
    return done
  }

  /** Stops the sinks; what they did not deliver goes to the spool. */
  async close(): Promise<void> {
    this.#closing ??= Promise.all(this.#lines.map((line) => this.#closeLine(line)))
    await this.#closing
  }

  async #closeLine({ sink, spool }: Line): Promise<void> {
    const { outbox } = sink
    const left = await sink.close()
    for (let entry = outbox.take(); entry; entry = outbox.take()) left.push(entry)
    if (left.length === 0) return
    const kept = spool !== null && (await this.#save(spool, left))
    for (const entry of left) outbox.settle(entry, kept ? 'spooled' : 'dropped')
    const where = kept ? `kept in ${spool.path} for the next start` : 'dropped'
    this.#o.log(
      kept ? 'warn' : 'error',
      `CDR ${outbox.sink}: ${left.length} records not delivered at the end: ${where}`,
    )
  }

  async #save(spool: Spool, left: readonly Entry[]): Promise<boolean> {
    let why: string | null = 'the disk does not answer'
    const saved = spool.save(left).then(
      () => (why = null),
      (error: unknown) => (why = error instanceof Error ? error.message : String(error)),
    )
    await within(this.#o.clock, SPOOL_MS, saved)
    if (why !== null) this.#o.log('error', `CDR spool ${spool.path}: ${why}`)
    return why === null
  }

  async #load(sink: Sink, spool: Spool): Promise<void> {
    try {
      const { entries, faults } = await spool.load(this.#o.clock.wallTime())
      for (const entry of entries) sink.outbox.offer(entry, true)
      if (entries.length > 0)
        this.#o.log('info', `CDR ${sink.outbox.sink}: ${entries.length} records of the last run queued again`)
      if (faults > 0)
        this.#o.log('error', `CDR spool ${spool.path}: ${faults} lines are not records and were skipped`)
    } catch (error) {
      this.#o.log(
        'error',
        `CDR spool ${spool.path}: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }

  #make(options: SinkOptions, outbox: Outbox): Sink {
    const { clock, minBackoffMs, maxBackoffMs, stallMs } = this.#o
    const dead = this.#dead
    const backoff = {
      ...(minBackoffMs === undefined ? {} : { minBackoffMs }),
      ...(maxBackoffMs === undefined ? {} : { maxBackoffMs }),
    }
    const common = { outbox, clock, rare: this.#rare, ...backoff }
    switch (options.kind) {
      case 'file':
        return new FileSink({ ...common, path: options.path, rotateBytes: options.rotateSizeMb * 2 ** 20 })
      case 'http':
        return new HttpSink({ ...common, ...options, dead })
      case 'syslog': {
        const origin = { hostname: this.#o.node, procId: String(process.pid) }
        const { host, port } = options
        if (options.transport === 'udp') return new SyslogUdpSink({ ...common, host, port, origin, dead })
        const tls = options.transport === 'tls' ? (options.tls ?? {}) : null
        return new SyslogStreamSink({
          ...common,
          host,
          port,
          origin,
          tls,
          ...(stallMs === undefined ? {} : { stallMs }),
        })
      }
    }
  }
}
