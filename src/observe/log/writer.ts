import { pino } from 'pino'
import { createRequire } from 'node:module'
import type { prettyFactory as PrettyFactory } from 'pino-pretty'
import type { Clock } from '../../base/clock.ts'
import type { LogLine } from '../../spine/facts.ts'
import { escapeDeep, escapeInJson } from './escape.ts'
import { RepetitionFilter } from './repetition.ts'
import { standardOutput, type LogSink } from './sink.ts'

export type LogLevel = LogLine['level']

export interface LogOptions {
  readonly level: LogLevel
  readonly format: 'pretty' | 'json'
  readonly clock: Clock
  /** Takes finished lines, line end included. Default: standard output, without ever blocking on it. */
  readonly sink?: LogSink
  /** Colours in pretty lines. Default: when standard output is a terminal and NO_COLOR is not set. */
  readonly color?: boolean
}

/** The one writer of the log, on the control thread: lines of several threads in one file descriptor would tear. */
export interface LogWriter {
  write(line: LogLine): void
  setLevel(level: LogLevel): void
  /** Lines given up because nobody read them in time. */
  readonly dropped: number
  /** Writes what waits, for two seconds at most. Await it before the process ends; later lines are dropped. */
  close(): Promise<void>
}

const SEVERITY: Readonly<Record<LogLevel, number>> = { debug: 20, info: 30, warn: 40, error: 50 }
/** Names of ours; a field of the same name gets a `_` behind it. */
const OWN = new Set(['level', 'time', 'module', 'msg', 'pid', 'hostname'])

/** JSON lines as pino writes them (`level` and `time` as text), or lines for people. */
export function createLogWriter(options: LogOptions): LogWriter {
  const sink = options.sink ?? standardOutput()
  let least = SEVERITY[options.level]
  const format = options.format === 'pretty' ? prettyFormat(options) : null
  const logger = pino(
    {
      level: 'debug',
      base: null,
      timestamp: false,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => sink.write(format === null ? escapeInJson(line) : format(line)) },
  )
  const filter = new RepetitionFilter(options.clock, (line) => {
    const record = {
      time: new Date(line.at).toISOString(),
      module: line.module,
      ...ownFields(line.fields),
    }
    if (format === null) logger[line.level](record, line.text)
    else logger[line.level](escapeDeep(record) as object, escapeDeep(line.text) as string)
  })
  let closed = false
  return {
    write(line) {
      if (!closed && SEVERITY[line.level] >= least) filter.offer(line)
    },
    setLevel(level) {
      least = SEVERITY[level]
    },
    get dropped() {
      return sink.dropped
    },
    close() {
      filter.endWindow()
      closed = true
      return sink.close()
    },
  }
}

function ownFields(fields: LogLine['fields']): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields ?? {}).map(([key, value]) => [OWN.has(key) ? `${key}_` : key, value]),
  )
}

function prettyFormat(options: LogOptions): (line: string) => string {
  // Loaded for people only: it brings fifteen packages.
  const require = createRequire(import.meta.url)
  const { prettyFactory } = require('pino-pretty') as { prettyFactory: typeof PrettyFactory }
  return prettyFactory({
    colorize: options.color ?? (process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === ''),
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'module',
    messageFormat: '{module}: {msg}',
    singleLine: true,
  })
}
